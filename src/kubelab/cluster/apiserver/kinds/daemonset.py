"""DaemonSets and ControllerRevisions.

Upstream: pkg/apis/apps/v1/{defaults,conversion}.go, pkg/registry/apps/{daemonset,controllerrevision}/strategy.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import coverage, podwarnings
from kubelab.cluster.apiserver.defaults import pod as pod_defaults
from kubelab.cluster.apiserver.fielderrors import FieldError
from kubelab.cluster.apiserver.strategy import Strategy
from kubelab.cluster.apiserver.validation import daemonset as validation
from kubelab.cluster.apiserver.validation.workloads import immutable_selector

Object = dict[str, Any]
# Counts the changes of the template. A field once, an annotation since apps/v1; the server alone sets it.
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
COUNTS = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")


class DaemonSetStrategy(Strategy):
    has_status = True
    has_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        pod_defaults.template(spec.setdefault("template", {}))
        strategy = spec.setdefault("updateStrategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", 1)
            rolling.setdefault("maxSurge", 0)
        spec.setdefault("revisionHistoryLimit", 10)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = dict.fromkeys(COUNTS, 0)
        _set_template_generation(obj, 1)

    def prepare_update(self, obj: Object, old: Object, subresource: str) -> None:
        super().prepare_update(obj, old, subresource)
        before = int((old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, 1))
        changed = obj["spec"].get("template") != old["spec"].get("template")
        _set_template_generation(obj, before + changed)

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.daemon_set(obj["spec"])

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return self.validate(obj) + immutable_selector(obj, old)

    def warnings(self, obj: Object) -> list[str]:
        template = obj["spec"].get("template") or {}
        told = coverage.warnings("pod", template.get("spec") or {}, "spec.template.spec")
        return podwarnings.of_pod(template, "spec.template") + told


def _set_template_generation(obj: Object, number: int) -> None:
    obj["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = str(number)


class ControllerRevisionStrategy(Strategy):
    def default(self, obj: Object) -> None:
        obj.setdefault("revision", 0)

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.controller_revision(obj)

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return validation.controller_revision_update(obj, old)
