"""ReplicationControllers, ReplicaSets, Deployments.

Upstream: pkg/apis/core/validation/validation.go (ValidateReplicationControllerSpec), pkg/apis/apps/validation.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import objectmeta
from kubelab.cluster.apiserver.fielderrors import (
    FieldError,
    GoValue,
    forbidden,
    go_value,
    invalid,
    not_supported,
    required,
)
from kubelab.cluster.apiserver.validation.common import SELECTOR_OPERATORS, at_least, label_selector
from kubelab.cluster.apiserver.validation.pod import annotations, pod_spec
from kubelab.cluster.selectors import label_selector_matches

Object = dict[str, Any]
IMMUTABLE = "field is immutable"
MISMATCH = "`selector` does not match template `labels`"
EMPTY = "empty selector is invalid for deployment"  # of replica sets too


def replication_controller(spec: Object) -> list[FieldError]:
    problems, selector = at_least(spec, "minReadySeconds", 0, "spec"), spec.get("selector") or {}
    if not selector:
        problems.append(required("spec.selector"))
    problems += at_least(spec, "replicas", 0, "spec")
    template = spec.get("template")
    if template is None:
        return [*problems, required("spec.template")]
    if selector:
        problems += selector_mismatch({"matchLabels": selector}, template)
    return problems + pod_template(template, "spec.template") + runs_for_ever(template, "ReplicationController")


def replica_set(spec: Object) -> list[FieldError]:
    problems = at_least(spec, "replicas", 0, "spec") + at_least(spec, "minReadySeconds", 0, "spec")
    return problems + _selector_and_template(spec)


def deployment(spec: Object) -> list[FieldError]:
    problems = at_least(spec, "replicas", 0, "spec") + _selector_and_template(spec)
    problems += _strategy(spec.get("strategy") or {}) + at_least(spec, "minReadySeconds", 0, "spec")
    problems += at_least(spec, "revisionHistoryLimit", 0, "spec")
    deadline = spec.get("progressDeadlineSeconds")
    problems += at_least(spec, "progressDeadlineSeconds", 0, "spec")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        text = "must be greater than minReadySeconds"
        problems.append(invalid("spec.progressDeadlineSeconds", deadline, text))
    return problems


def immutable_selector(obj: Object, old: Object) -> list[FieldError]:
    new, before = obj["spec"].get("selector"), old["spec"].get("selector")
    return [] if new == before else [invalid("spec.selector", go_value("v1.LabelSelector", new or {}), IMMUTABLE)]


def _selector_and_template(spec: Object) -> list[FieldError]:
    """A selector that is left out selects nothing, so that it does not match the template either."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    problems = [required("spec.selector")] if selector is None else label_selector(selector, "spec.selector")
    shown = go_value("v1.LabelSelector", selector or {})
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        problems.append(invalid("spec.selector", shown, EMPTY))
    elif not _usable(selector):
        return [*problems, invalid("spec.selector", shown, "invalid label selector")]
    else:
        problems += selector_mismatch(selector, template)
    return problems + pod_template(template, "spec.template") + runs_for_ever(template, "ReplicaSet")


def _usable(selector: Object | None) -> bool:
    """Whether it could be made into a selector at all (metav1.LabelSelectorAsSelector)."""
    expressions = (selector or {}).get("matchExpressions") or ()
    return all(e.get("operator") in SELECTOR_OPERATORS for e in expressions) and not label_selector(selector or {}, "")


def selector_mismatch(selector: Object | None, template: Object) -> list[FieldError]:
    """The selector has to select the pods that the template makes."""
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is not None and (not _usable(selector) or label_selector_matches(selector, labels)):
        return []
    return [invalid("spec.template.metadata.labels", go_value("map[string]string", labels), MISMATCH)]


def pod_template(template: Object, path: str) -> list[FieldError]:
    """A pod template's metadata and spec, whoever owns it. (Upstream leaves `metadata` out of these paths.)"""
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    problems = [
        *objectmeta.labels(metadata.get("labels"), f"{path}.labels"),
        *objectmeta.annotations(metadata.get("annotations"), f"{path}.annotations"),
        *annotations(metadata, f"{path}.annotations"),
        *pod_spec(spec, f"{path}.spec"),
    ]
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        problems.append(forbidden(f"{path}.spec.ephemeralContainers", text))
    return problems


def runs_for_ever(template: Object, owner: str) -> list[FieldError]:
    """What the pods of most controllers may not do: end."""
    pod, problems = template.get("spec") or {}, []
    if pod.get("restartPolicy") != "Always":
        where = "spec.template.spec.restartPolicy"
        problems.append(not_supported(where, pod.get("restartPolicy") or "", ("Always",)))
    if pod.get("activeDeadlineSeconds") is not None:
        where = "spec.template.spec.activeDeadlineSeconds"
        problems.append(forbidden(where, f"activeDeadlineSeconds in {owner} is not Supported"))
    return problems


def _strategy(strategy: Object) -> list[FieldError]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            text = "may not be specified when strategy `type` is 'Recreate'"
            return [forbidden("spec.strategy.rollingUpdate", text)]
        return []
    if kind != "RollingUpdate":
        nothing = "(*apps.RollingUpdateDeployment)(nil)"
        shown = GoValue(f'apps.DeploymentStrategy{{Type:"{kind or ""}", RollingUpdate:{nothing}}}')
        return [not_supported("spec.strategy", shown, ("Recreate", "RollingUpdate"))]
    path, amounts = "spec.strategy.rollingUpdate", rolling or {}
    unavailable, surge = amounts.get("maxUnavailable"), amounts.get("maxSurge")
    problems = amount(unavailable, f"{path}.maxUnavailable") + amount(surge, f"{path}.maxSurge")
    if not _number(unavailable) and not _number(surge):
        text = "may not be 0 when `maxSurge` is 0"
        problems.append(invalid(f"{path}.maxUnavailable", GoValue(unavailable), text))
    return problems + at_most_all(unavailable, f"{path}.maxUnavailable")


def amount(value: Any, path: str) -> list[FieldError]:
    """A number or a percentage, which is shown without quotes (ValidatePositiveIntOrPercent)."""
    if isinstance(value, str):
        number = value.removesuffix("%")
        if value.endswith("%") and number.isdigit():
            return []
        text = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%',"
        return [invalid(path, GoValue(value), f"{text} regex used for validation is '[0-9]+%')")]
    if value is not None and value < 0:
        return [invalid(path, value, "must be greater than or equal to 0")]
    return []


def at_most_all(value: Any, path: str) -> list[FieldError]:
    """A percentage that is no more than all (IsNotMoreThan100Percent)."""
    if isinstance(value, str) and _number(value) > 100:
        return [invalid(path, GoValue(value), "must not be greater than 100%")]
    return []


def _number(value: Any) -> int:
    """A number's or percentage's value; 0 of what is neither."""
    text = str(value or 0).removesuffix("%")
    return int(text) if text.lstrip("-").isdigit() else 0
