"""Jobs and CronJobs.

Upstream: pkg/apis/batch/v1/defaults.go, pkg/registry/batch/{job,cronjob}/strategy.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import coverage, podwarnings
from kubelab.cluster.apiserver.defaults import pod as pod_defaults
from kubelab.cluster.apiserver.fielderrors import FieldError
from kubelab.cluster.apiserver.strategy import Strategy
from kubelab.cluster.apiserver.validation import batch as validation

Object = dict[str, Any]
NO_LIMIT = 2**31 - 1  # backoffLimit where the limit holds for each index
CHILDREN_STAY = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set"
    " propagationPolicy=Orphan to suppress this warning"
)


class JobStrategy(Strategy):
    has_status = True
    has_generation = True
    default_propagation = "Orphan"
    default_propagation_warning = CHILDREN_STAY

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if "completions" not in spec and "parallelism" not in spec:
            spec["completions"] = 1
        spec.setdefault("parallelism", 1)
        spec.setdefault("backoffLimit", NO_LIMIT if "backoffLimitPerIndex" in spec else 6)
        spec.setdefault("completionMode", "NonIndexed")
        spec.setdefault("suspend", False)
        spec.setdefault("manualSelector", False)
        policy = "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed"
        spec.setdefault("podReplacementPolicy", policy)
        _default_job(spec)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {}
        if not obj["spec"]["manualSelector"]:
            _generate_selector(obj)
        labels = ((obj["spec"].get("template") or {}).get("metadata") or {}).get("labels")
        if labels and not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.job(obj)

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return [] if subresource else validation.job_update(obj, old)

    def warnings(self, obj: Object) -> list[str]:
        return _named(obj) + _warnings(obj["spec"], "spec")


class CronJobStrategy(Strategy):
    has_status = True
    has_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("concurrencyPolicy", "Allow")
        spec.setdefault("suspend", False)
        spec.setdefault("successfulJobsHistoryLimit", 3)
        spec.setdefault("failedJobsHistoryLimit", 1)
        _default_job(spec.setdefault("jobTemplate", {}).setdefault("spec", {}))

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {}

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.cron_job(obj)

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return [] if subresource else validation.cron_job_spec(obj["spec"])

    def warnings(self, obj: Object) -> list[str]:
        job_spec = (obj["spec"].get("jobTemplate") or {}).get("spec") or {}
        return _named(obj) + _warnings(job_spec, "spec.jobTemplate.spec")


def _default_job(job_spec: Object) -> None:
    """What holds for a CronJob's jobs, too."""
    for rule in (job_spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern.setdefault("status", "True")
    pod_defaults.template(job_spec.setdefault("template", {}))


def _generate_selector(obj: Object) -> None:
    """Labels and selector by the job's name and UID; what the user has set stays, and validation looks at it."""
    meta, spec = obj["metadata"], obj["spec"]
    labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
    for key in validation.LABELS:
        labels.setdefault(key, meta["uid"] if key.endswith("uid") else meta["name"])
    wanted = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    wanted.setdefault(validation.LABELS[0], meta["uid"])


def _named(obj: Object) -> list[str]:
    return podwarnings.of_name(obj["metadata"]["name"], podwarnings.POD_NAMES)


def _warnings(job_spec: Object, path: str) -> list[str]:
    pod = (job_spec.get("template") or {}).get("spec") or {}
    return [
        *podwarnings.of_pod(job_spec.get("template") or {}, f"{path}.template"),
        *coverage.warnings("job", job_spec, path),
        *coverage.warnings("pod", pod, f"{path}.template.spec"),
    ]
