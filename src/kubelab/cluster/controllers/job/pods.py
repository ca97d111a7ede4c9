"""What the Job controller asks of a pod, and the pod that a job makes.

Upstream: pkg/controller/job/{tracking_utils,indexed_job_utils,utils}.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.pods import condition, is_terminating, phase

Object = dict[str, Any]

FINALIZER = "batch.kubernetes.io/job-tracking"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
LONGEST_GENERATED = 58  # of the 63 characters of a generated name


def has_finalizer(pod: Object) -> bool:
    """Whether the pod is still to be counted."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def is_indexed(job: Object) -> bool:
    return job["spec"].get("completionMode") == "Indexed"


def is_suspended(job: Object) -> bool:
    return bool(job["spec"].get("suspend"))


def finished_condition(job: Object) -> Object | None:
    """The condition Complete or Failed, where it is true."""
    found = (condition(job, kind) for kind in ("Complete", "Failed"))
    return next((c for c in found if c is not None and c["status"] == "True"), None)


def replaces_failed_only(job: Object) -> bool:
    """A terminating pod is not replaced before it has ended."""
    return job["spec"].get("podReplacementPolicy") == "Failed"


def is_failed(pod: Object, job: Object) -> bool:
    """Failed, or deleted before it could be: such a pod would otherwise be counted by nobody."""
    if phase(pod) == "Failed":
        return True
    return not replaces_failed_only(job) and is_terminating(pod) and phase(pod) != "Succeeded"


def completion_index(pod: Object) -> int | None:
    """The index that the pod works on; None where it says none."""
    text = (pod["metadata"].get("annotations") or {}).get(COMPLETION_INDEX, "")
    return int(text) if text.isdigit() else None


def has_valid_index(pod: Object, job: Object) -> bool:
    """In an indexed job, only pods of its indexes count."""
    index = completion_index(pod)
    return not is_indexed(job) or (index is not None and index < job["spec"]["completions"])


def template_of(job: Object, index: int | None) -> Object:
    """The template of the next pod: it holds the finalizer, and in an indexed job its index wherever it may be read."""
    template = job["spec"]["template"]
    metadata, spec = dict(template.get("metadata") or {}), dict(template["spec"])
    metadata["finalizers"] = [*(f for f in metadata.get("finalizers") or () if f != FINALIZER), FINALIZER]
    if index is not None:
        mark = {COMPLETION_INDEX: str(index)}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **mark}
        metadata["labels"] = {**(metadata.get("labels") or {}), **mark}
        spec["hostname"] = f"{job['metadata']['name']}-{index}"
        for field in ("initContainers", "containers"):
            if spec.get(field):
                spec[field] = [_with_index(container) for container in spec[field]]
    return {"metadata": metadata, "spec": spec}


def _with_index(container: Object) -> Object:
    env = container.get("env") or []
    if any(variable["name"] == INDEX_VARIABLE for variable in env):
        return container
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{COMPLETION_INDEX}']"}}
    return {**container, "env": [*env, {"name": INDEX_VARIABLE, "valueFrom": source}]}


def generate_name(job: Object, index: int | None) -> str:
    """`job-` or `job-3-`, cut so that the index stays readable."""
    name = job["metadata"]["name"]
    if index is None:
        return f"{name}-"
    suffix = f"-{index}-"
    return name[: LONGEST_GENERATED - len(suffix)] + suffix
