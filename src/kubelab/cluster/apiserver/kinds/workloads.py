"""ReplicationControllers, ReplicaSets and Deployments.

Upstream: pkg/apis/core/v1/defaults.go, pkg/apis/apps/v1/defaults.go, pkg/registry/{core,apps}/…/strategy.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import coverage, podwarnings
from kubelab.cluster.apiserver.defaults import pod as pod_defaults
from kubelab.cluster.apiserver.fielderrors import FieldError
from kubelab.cluster.apiserver.strategy import Strategy
from kubelab.cluster.apiserver.validation import workloads as validation

Object = dict[str, Any]


class _Workload(Strategy):
    has_status = True
    has_generation = True
    template_required = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("replicas", 1)
        if "template" in spec or self.template_required:
            pod_defaults.template(spec.setdefault("template", {}))

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {"replicas": 0} if self.resource.plural != "deployments" else {}

    def warnings(self, obj: Object) -> list[str]:
        template = obj["spec"].get("template") or {}
        named = podwarnings.of_name(obj["metadata"]["name"], podwarnings.POD_NAMES)
        told = coverage.warnings("pod", template.get("spec") or {}, "spec.template.spec")
        return named + podwarnings.of_pod(template, "spec.template") + told


class PodTemplateStrategy(Strategy):
    has_generation = True

    def default(self, obj: Object) -> None:
        pod_defaults.template(obj.setdefault("template", {}))

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.pod_template(obj["template"], "template")

    def prepare_update(self, obj: Object, old: Object, subresource: str) -> None:
        changed = obj.get("template") != old.get("template")
        obj["metadata"]["generation"] = old["metadata"].get("generation", 1) + changed

    def warnings(self, obj: Object) -> list[str]:
        told = coverage.warnings("pod", obj["template"].get("spec") or {}, "template.spec")
        return podwarnings.of_pod(obj["template"], "template") + told


class ReplicationControllerStrategy(_Workload):
    default_propagation = "Orphan"
    template_required = False  # validation says so where it is missing

    def default(self, obj: Object) -> None:
        """Selector and labels are the template's where they were left out."""
        super().default(obj)
        labels = ((obj["spec"].get("template") or {}).get("metadata") or {}).get("labels")
        if labels:
            obj["spec"].setdefault("selector", dict(labels))
            obj["metadata"].setdefault("labels", dict(labels))

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.replication_controller(obj["spec"])


class ReplicaSetStrategy(_Workload):
    def validate(self, obj: Object) -> list[FieldError]:
        return validation.replica_set(obj["spec"])

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return self.validate(obj) + validation.immutable_selector(obj, old)


class DeploymentStrategy(_Workload):
    def default(self, obj: Object) -> None:
        super().default(obj)
        spec = obj["spec"]
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.deployment(obj["spec"])

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return self.validate(obj) + validation.immutable_selector(obj, old)
