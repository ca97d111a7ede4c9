"""A job's conditions: made, found, changed. Upstream: newCondition, ensureJobConditionStatus in
pkg/controller/job/job_controller.go.

A job ends in two steps. FailureTarget or SuccessCriteriaMet says how it will end, and while its last pods go it is
not restarted; Failed or Complete says that it is over.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubelab.cluster.times import timestamp

Object = dict[str, Any]

FAILURE_TARGET, SUCCESS_CRITERIA_MET, FAILED, COMPLETE = "FailureTarget", "SuccessCriteriaMet", "Failed", "Complete"
LAST_STEP = {FAILURE_TARGET: FAILED, SUCCESS_CRITERIA_MET: COMPLETE}


def make(kind: str, truth: str, reason: str, message: str, now: datetime) -> Object:
    moment = timestamp(now)
    return {
        "type": kind,
        "status": truth,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


def backoff_limit_exceeded(now: datetime) -> Object:
    message = "Job has reached the specified backoff limit"
    return make(FAILURE_TARGET, "True", "BackoffLimitExceeded", message, now)


def deadline_exceeded(now: datetime) -> Object:
    message = "Job was active longer than specified deadline"
    return make(FAILURE_TARGET, "True", "DeadlineExceeded", message, now)


def completions_reached(now: datetime) -> Object:
    message = "Reached expected number of succeeded pods"
    return make(SUCCESS_CRITERIA_MET, "True", "CompletionsReached", message, now)


def failed_by_policy(message: str, now: datetime) -> Object:
    return make(FAILURE_TARGET, "True", "PodFailurePolicy", message, now)


def too_many_failed_indexes(now: datetime) -> Object:
    message = "Job has exceeded the specified maximal number of failed indexes"
    return make(FAILURE_TARGET, "True", "MaxFailedIndexesExceeded", message, now)


def failed_indexes(now: datetime) -> Object:
    return make(FAILURE_TARGET, "True", "FailedIndexes", "Job has failed indexes", now)


def succeeded_by_policy(message: str, now: datetime) -> Object:
    return make(SUCCESS_CRITERIA_MET, "True", "SuccessPolicy", message, now)


def last_step(first: Object, now: datetime) -> Object:
    """Failed for FailureTarget, Complete for SuccessCriteriaMet, with the same reason."""
    return make(LAST_STEP[first["type"]], "True", first.get("reason", ""), first.get("message", ""), now)


def find(status: Object, kind: str) -> Object | None:
    """A condition, where it is true."""
    found = (c for c in status.get("conditions") or () if c["type"] == kind and c["status"] == "True")
    return next(found, None)


def ensure(status: Object, wanted: Object) -> bool:
    """Put the condition into `status`; whether that changed it. What is not there is not noted as false."""
    conditions = status.get("conditions") or []
    same = next((c for c in conditions if c["type"] == wanted["type"]), None)
    if same is None and wanted["status"] == "False":
        return False
    if same is not None and all(same.get(f, "") == wanted[f] for f in ("status", "reason", "message")):
        return False
    if same is None:
        status["conditions"] = [*conditions, wanted]
    else:
        status["conditions"] = [wanted if c is same else c for c in conditions]
    return True
