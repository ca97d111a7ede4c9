"""ReplicationControllers, ReplicaSets, Deployments.

Upstream: pkg/apis/core/validation/validation.go (ValidateReplicationControllerSpec), pkg/apis/apps/validation.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import objectmeta
from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, go_value, invalid, not_supported, required
from kubelab.cluster.apiserver.validation.common import at_least, label_selector
from kubelab.cluster.apiserver.validation.pod import pod_spec
from kubelab.cluster.selectors import label_selector_matches

Object = dict[str, Any]
IMMUTABLE = "field is immutable"
MISMATCH = "`selector` does not match template `labels`"
EMPTY = "empty selector is invalid for deployment"


def replication_controller(spec: Object) -> list[FieldError]:
    problems = at_least(spec, "replicas", 0, "spec") + at_least(spec, "minReadySeconds", 0, "spec")
    selector = spec.get("selector") or {}
    if not selector:
        problems.append(required("spec.selector"))
    problems += objectmeta.labels(selector, "spec.selector")
    return problems + _template(spec, {"matchLabels": selector}, required_name="spec.template")


def replica_set(spec: Object) -> list[FieldError]:
    problems = at_least(spec, "replicas", 0, "spec") + at_least(spec, "minReadySeconds", 0, "spec")
    problems += _selector(spec, "empty selector is invalid for replicaset")
    return problems + _template(spec, spec.get("selector") or {})


def deployment(spec: Object) -> list[FieldError]:
    problems = at_least(spec, "replicas", 0, "spec") + at_least(spec, "minReadySeconds", 0, "spec")
    problems += _selector(spec, EMPTY)
    problems += _template(spec, spec.get("selector") or {})
    problems += _strategy(spec.get("strategy") or {})
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


def _selector(spec: Object, empty: str) -> list[FieldError]:
    selector = spec.get("selector")
    if selector is None:
        return [required("spec.selector")]
    problems = label_selector(selector, "spec.selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        problems.append(invalid("spec.selector", go_value("v1.LabelSelector", selector), empty))
    return problems


def _template(spec: Object, selector: Object, required_name: str = "") -> list[FieldError]:
    template = spec.get("template")
    if template is None:
        return [required(required_name or "spec.template")]
    problems: list[FieldError] = []
    if selector.get("matchLabels") or selector.get("matchExpressions"):
        problems += selector_mismatch(selector, template)
    return problems + pod_template(template, "spec.template") + runs_for_ever(template, "ReplicaSet")


def selector_mismatch(selector: Object | None, template: Object) -> list[FieldError]:
    """The selector has to select the pods that the template makes."""
    labels = (template.get("metadata") or {}).get("labels") or {}
    if label_selector(selector or {}, "") or label_selector_matches(selector, labels):
        return []
    return [invalid("spec.template.metadata.labels", go_value("map[string]string", labels), MISMATCH)]


def pod_template(template: Object, path: str) -> list[FieldError]:
    """A pod template's metadata and spec, whoever owns it."""
    metadata = template.get("metadata") or {}
    return [
        *objectmeta.labels(metadata.get("labels"), f"{path}.metadata.labels"),
        *objectmeta.annotations(metadata.get("annotations"), f"{path}.metadata.annotations"),
        *pod_spec(template.get("spec") or {}, f"{path}.spec"),
    ]


def runs_for_ever(template: Object, owner: str) -> list[FieldError]:
    """What the pods of most controllers may not do: end."""
    pod, problems = template.get("spec") or {}, []
    if pod.get("restartPolicy") in ("OnFailure", "Never"):
        where = "spec.template.spec.restartPolicy"
        problems.append(not_supported(where, pod["restartPolicy"], ("Always",)))
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
        return [not_supported("spec.strategy.type", kind, ("Recreate", "RollingUpdate"))]
    path, amounts = "spec.strategy.rollingUpdate", rolling or {}
    problems = [p for f in ("maxUnavailable", "maxSurge") for p in amount(amounts.get(f), f"{path}.{f}")]
    if not problems and all(amounts.get(f) in (0, "0%") for f in ("maxUnavailable", "maxSurge")):
        text = "may not be 0 when `maxSurge` is 0"
        problems.append(invalid(f"{path}.maxUnavailable", amounts["maxUnavailable"], text))
    return problems


def amount(value: Any, path: str) -> list[FieldError]:
    """A number or a percentage."""
    if isinstance(value, str):
        number = value.removesuffix("%")
        if not value.endswith("%") or not number.isdigit():
            text = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%',"
            return [invalid(path, value, f"{text} regex used for validation is '[0-9]+%')")]
        over = path.endswith("maxUnavailable") and int(number) > 100
        return [invalid(path, value, "must not be greater than 100%")] if over else []
    if value is not None and value < 0:
        return [invalid(path, value, "must be greater than or equal to 0")]
    return []
