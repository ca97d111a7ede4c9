"""The columns of Jobs and CronJobs. Upstream: printJob and printCronJob in pkg/printers/internalversion/printers.go."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubelab.cluster.apiserver.age import age, human_duration

Object = dict[str, Any]
NONE = "<none>"


def job_status(job: Object, now: float) -> str:
    """What the job's conditions come to in one word."""
    true = {c["type"] for c in job.get("status", {}).get("conditions") or () if c["status"] == "True"}
    for word in ("Complete", "Failed"):
        if word in true:
            return word
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next((word for word in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if word in true), "Running")


def completions(job: Object, now: float) -> str:
    spec, succeeded = job["spec"], job.get("status", {}).get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism", 0)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def duration(job: Object, now: float) -> str:
    """From its start to its completion, or until now."""
    status = job.get("status", {})
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    until = datetime.fromisoformat(end).timestamp() if end else now
    return human_duration(until - datetime.fromisoformat(start).timestamp())


def suspended(cron_job: Object, now: float) -> str:
    return "True" if cron_job["spec"].get("suspend") else "False"


def active(cron_job: Object, now: float) -> int:
    return len(cron_job.get("status", {}).get("active") or ())


def last_schedule(cron_job: Object, now: float) -> str:
    last = cron_job.get("status", {}).get("lastScheduleTime")
    return age(last, now) if last else NONE
