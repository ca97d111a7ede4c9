"""The job that a CronJob makes for a time, and what it remembers of it.

Upstream: getJobFromTemplate2, getJobName and getRef in pkg/controller/cronjob.
"""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

from kubelab.cluster.controllers.job.pods import finished_condition
from kubelab.cluster.controllers.ownership import controller_reference
from kubelab.cluster.schedule import zone_of

Object = dict[str, Any]

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


def job_name(cron_job: Object, due: datetime) -> str:
    """The same for the same minute: who makes the job twice finds that it is there."""
    return f"{cron_job['metadata']['name']}-{int(due.timestamp()) // 60}"


def job_for(cron_job: Object, due: datetime) -> Object:
    template = copy.deepcopy(cron_job["spec"]["jobTemplate"])
    metadata = template.get("metadata") or {}
    zone = cron_job["spec"].get("timeZone")
    local = due.astimezone(zone_of(zone)) if zone else due
    annotations = {**(metadata.get("annotations") or {}), SCHEDULED_AT: local.isoformat().replace("+00:00", "Z")}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(cron_job, due),
            "namespace": cron_job["metadata"]["namespace"],
            "labels": metadata.get("labels") or {},
            "annotations": annotations,
            "ownerReferences": [controller_reference(cron_job)],
        },
        "spec": template["spec"],
    }


def reference(job: Object) -> Object:
    """An ObjectReference, as `status.active` holds them."""
    metadata = job["metadata"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }


def outcome(job: Object) -> str:
    """Complete, Failed, or "" for a job that has not finished."""
    condition = finished_condition(job)
    return condition["type"] if condition is not None else ""


def oldest_finished(jobs: list[Object], kind: str, keep: int | None) -> list[Object]:
    """Jobs that ended as `kind`, but for the newest `keep`; none where nothing limits them."""
    ended = [job for job in jobs if outcome(job) == kind]
    if keep is None or len(ended) <= keep:
        return []
    ended.sort(key=lambda job: (job.get("status", {}).get("startTime") or "9", job["metadata"]["name"]))
    return ended[: len(ended) - keep]
