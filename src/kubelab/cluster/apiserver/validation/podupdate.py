"""What of a pod may change once it is there. Upstream: validation.go (ValidatePodUpdate, ValidatePodStatusUpdate)."""

from __future__ import annotations

import copy
from typing import Any

import orjson

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, GoValue, forbidden, go_value, invalid, required
from kubelab.cluster.apiserver.validation import affinity
from kubelab.cluster.apiserver.validation.common import label_name
from kubelab.cluster.apiserver.validation.container import trimmed_image
from kubelab.cluster.apiserver.validation.pod import pod_and_containers

Object = dict[str, Any]
REFUSED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
IMMUTABLE = "field is immutable"
SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")


def pod_update(obj: Object, old: Object) -> list[FieldError]:
    """Nearly all of a pod's spec is fixed once it is there."""
    new, before = obj["spec"], old["spec"]
    problems = pod_and_containers(obj)
    for field in ("containers", "initContainers"):
        found = new.get(field) or []
        if len(found) != len(before.get(field) or ()):
            return [*problems, forbidden(f"spec.{field}", "pod updates may not add or remove containers")]
        for index, container in enumerate(found):
            where = f"spec.{field}[{index}]"
            problems += [] if container.get("image") else [required(f"{where}.image")]
            problems += trimmed_image(container, where)
    deadline, final = _deadline(new.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    problems += deadline
    if final:
        return problems
    problems += _tolerations(new, before) + _gates(new, before)
    return problems + _rest(new, before)


def _deadline(new: int | None, old: int | None) -> tuple[list[FieldError], bool]:
    """A deadline may be given and shortened. Also whether to stop looking, as upstream does."""
    path = "spec.activeDeadlineSeconds"
    if new is None:
        wrong = [] if old is None else [invalid(path, "null", "must not update from a positive integer to nil value")]
        return wrong, False
    if not 0 <= new <= 2**31 - 1:
        return [invalid(path, new, "must be between 0 and 2147483647, inclusive")], True
    if old is not None and old < new:
        return [invalid(path, new, "must be less than or equal to previous value")], True
    return [], False


def _tolerations(new: Object, old: Object) -> list[FieldError]:
    """They can only be added to; how long one holds may change."""
    found = [_without_seconds(toleration) for toleration in new.get("tolerations") or ()]
    for toleration in old.get("tolerations") or ():
        if _without_seconds(toleration) not in found:
            text = "existing toleration can not be modified except its tolerationSeconds"
            return [forbidden("spec.tolerations", text)]
    return affinity.tolerations(new.get("tolerations") or [], "spec.tolerations")


def _without_seconds(toleration: Object) -> Object:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _gates(new: Object, old: Object) -> list[FieldError]:
    """Scheduling gates can only be taken away."""
    known = {gate.get("name") for gate in old.get("schedulingGates") or ()}
    return [
        forbidden(
            f"spec.schedulingGates[{i}].name", f"only deletion is allowed, but found new scheduling gate '{name}'"
        )
        for i, name in enumerate(gate.get("name", "") for gate in new.get("schedulingGates") or ())
        if name not in known
    ]


def _rest(new: Object, old: Object) -> list[FieldError]:
    """Everything else must be as it was. Upstream shows a Go diff; here the fields that differ are named."""
    munged = copy.deepcopy(new)
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        _restore(munged, old, field)
    for field in ("containers", "initContainers"):
        for container, before in zip(munged.get(field) or (), old.get(field) or (), strict=True):
            _restore(container, before, "image")
    if old.get("terminationGracePeriodSeconds", 0) < 0 and new.get("terminationGracePeriodSeconds") == 1:
        _restore(munged, old, "terminationGracePeriodSeconds")
    problems = _gated(munged, old) if old.get("schedulingGates") else []
    if _set(munged) == _set(old):
        return problems
    changed = sorted(key for key in {*munged, *old} if _set(munged.get(key)) != _set(old.get(key)))
    return [*problems, forbidden("spec", f"{REFUSED}\nchanged: {', '.join(changed)}")]


def _restore(obj: Object, old: Object, field: str) -> None:
    if field in old:
        obj[field] = old[field]
    else:
        obj.pop(field, None)


def _set(value: Any) -> Any:
    """Without what is empty: Go's equality takes nothing and an empty list for the same."""
    if isinstance(value, dict):
        kept = {key: _set(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ("", [], {}, None, 0, False)}
    return [_set(item) for item in value] if isinstance(value, list) else value


def _gated(munged: Object, old: Object) -> list[FieldError]:
    """A pod that waits at a gate may still be told more exactly where to run."""
    problems: list[FieldError] = []
    before = old.get("nodeSelector") or {}
    if not before.items() <= (munged.get("nodeSelector") or {}).items():
        text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        problems.append(
            invalid("spec.nodeSelector", go_value("map[string]string", munged.get("nodeSelector") or {}), text)
        )
    _restore(munged, old, "nodeSelector")
    had, wanted = (spec.get("affinity") or {} for spec in (old, munged))
    problems += _node_affinity(wanted.get("nodeAffinity") or {}, had.get("nodeAffinity") or {})
    rest = {key: value for key, value in wanted.items() if key != "nodeAffinity"}
    munged["affinity"] = rest | ({"nodeAffinity": had["nodeAffinity"]} if had.get("nodeAffinity") else {})
    return problems


def _node_affinity(new: Object, old: Object) -> list[FieldError]:
    """Each required term may get stricter; what is preferred may change (validateNodeAffinityMutation)."""
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    terms, before = _terms(new), _terms(old)
    if not before:
        return []
    if len(terms) != len(before):
        text = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return [invalid(path, GoValue(orjson.dumps(terms).decode()), text)]
    text = "only additions are allowed (no mutations or deletions)"
    pairs = enumerate(zip(terms, before, strict=True))
    return [invalid(f"{path}[{i}]", term, text) for i, (term, had) in pairs if not _only_adds(term, had)]


def _terms(node_affinity: Object) -> list[Object]:
    required_terms = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms: list[Object] = required_terms.get("nodeSelectorTerms") or []
    return terms


def _only_adds(term: Object, before: Object) -> bool:
    """A term without any requirement selects nothing, so that one more would let more in."""
    lists = [(term.get(part) or [], before.get(part) or []) for part in ("matchExpressions", "matchFields")]
    if not any(had for _, had in lists):
        return not any(new for new, _ in lists)
    return all(new[: len(had)] == had for new, had in lists)


# -- status


def pod_status_update(obj: Object, old: Object) -> list[FieldError]:
    """What no kubelet does: move a pod, change its class, bring back what has ended."""
    status, before, spec = obj.get("status") or {}, old.get("status") or {}, old["spec"]
    problems: list[FieldError] = []
    for index, condition in enumerate(status.get("conditions") or ()):
        kind = condition.get("type") or ""
        if kind not in SYSTEM_CONDITIONS:
            problems += label_name(kind, f"metadata.conditions[{index}].Type")
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != before.get("nominatedNodeName"):
        problems += [invalid("status.nominatedNodeName", nominated, t) for t in names.dns1123_subdomain(nominated)]
    if status.get("qosClass") != before.get("qosClass"):
        problems.append(invalid("status.qosClass", status.get("qosClass") or "", IMMUTABLE))
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    policy = spec.get("restartPolicy", "Always")
    problems += _transitions(status, before, "containerStatuses", policy, set())
    problems += _transitions(status, before, "initContainerStatuses", policy, sidecars)
    return problems + _transitions(status, before, "ephemeralContainerStatuses", "Never", set())


def _transitions(new: Object, old: Object, field: str, policy: str, restarting: set[str]) -> list[FieldError]:
    if policy == "Always":
        return []
    now = {s.get("name"): s.get("state") or {} for s in new.get(field) or ()}
    problems: list[FieldError] = []
    for index, before in enumerate(old.get(field) or ()):
        ended = (before.get("state") or {}).get("terminated")
        if ended is None or (ended.get("exitCode", 0) and policy == "OnFailure") or before.get("name") in restarting:
            continue
        state = now.get(before.get("name"))
        if state is not None and "terminated" not in state:
            text = "may not be transitioned to non-terminated state"
            problems.append(forbidden(f"status.{field}[{index}].state", text))
    return problems
