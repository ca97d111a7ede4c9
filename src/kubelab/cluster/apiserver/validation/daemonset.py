"""DaemonSets and the ControllerRevisions that hold their history.

Upstream: pkg/apis/apps/validation/validation.go (ValidateDaemonSetSpec, ValidateRollingUpdateDaemonSet,
ValidateControllerRevision).
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver.fielderrors import FieldError, GoValue, go_value, invalid, not_supported, required
from kubelab.cluster.apiserver.validation.common import at_least, label_selector
from kubelab.cluster.apiserver.validation.workloads import (
    IMMUTABLE,
    amount,
    at_most_all,
    pod_template,
    runs_for_ever,
    selector_mismatch,
)

Object = dict[str, Any]
ROLLING = "spec.updateStrategy.rollingUpdate"


def daemon_set(spec: Object) -> list[FieldError]:
    selector, template = spec.get("selector"), spec.get("template") or {}
    problems = label_selector(selector or {}, "spec.selector")
    problems += selector_mismatch(selector, template)
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        text = "empty selector is invalid for daemonset"
        problems.append(invalid("spec.selector", go_value("v1.LabelSelector", selector), text))
    problems += pod_template(template, "spec.template") + runs_for_ever(template, "DaemonSet")
    problems += at_least(spec, "minReadySeconds", 0, "spec")
    problems += _update_strategy(spec.get("updateStrategy") or {})
    return problems + at_least(spec, "revisionHistoryLimit", 0, "spec")


def _update_strategy(strategy: Object) -> list[FieldError]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        nothing = "(*apps.RollingUpdateDaemonSet)(nil)"
        shown = GoValue(f'apps.DaemonSetUpdateStrategy{{Type:"{kind or ""}", RollingUpdate:{nothing}}}')
        return [not_supported("spec.updateStrategy", shown, ("RollingUpdate", "OnDelete"))]
    if rolling is None:
        return [required(ROLLING)]
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    problems = amount(unavailable, f"{ROLLING}.maxUnavailable") + amount(surge, f"{ROLLING}.maxSurge")
    problems += at_most_all(unavailable, f"{ROLLING}.maxUnavailable") + at_most_all(surge, f"{ROLLING}.maxSurge")
    return problems or _one_of_the_two(unavailable, surge)


def _one_of_the_two(unavailable: Any, surge: Any) -> list[FieldError]:
    """Either a node goes without its pod for a while, or it has two."""
    has_unavailable, has_surge = (value not in (None, 0, "0%") for value in (unavailable, surge))
    if has_unavailable and has_surge:
        return [invalid(f"{ROLLING}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")]
    if not has_unavailable and not has_surge:
        return [required(f"{ROLLING}.maxUnavailable", "cannot be 0 when maxSurge is 0")]
    return []


def controller_revision(obj: Object) -> list[FieldError]:
    problems = [] if obj.get("data") is not None else [required("data", "data is mandatory")]
    if obj.get("revision", 0) < 0:
        problems.append(invalid("revision", obj["revision"], "must be greater than or equal to 0"))
    return problems


def controller_revision_update(obj: Object, old: Object) -> list[FieldError]:
    """A revision's number may change, what it holds may not."""
    problems = controller_revision(obj)
    if obj.get("data") != old.get("data"):
        problems.append(invalid("data", go_value("runtime.RawExtension", obj.get("data") or {}), IMMUTABLE))
    return problems
