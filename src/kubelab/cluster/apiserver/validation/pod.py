"""What a pod may be: its spec, and what of it may change later.

Upstream: pkg/apis/core/validation/validation.go (ValidatePodSpec, ValidatePodUpdate).
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import names, objectmeta
from kubelab.cluster.apiserver.defaults.pod import containers
from kubelab.cluster.apiserver.fielderrors import FieldError, duplicate, forbidden, invalid, not_supported, required
from kubelab.cluster.apiserver.validation import container as rules
from kubelab.cluster.apiserver.validation import volume
from kubelab.cluster.apiserver.validation.common import at_least

Object = dict[str, Any]
RESTART_POLICIES = ("Always", "Never", "OnFailure")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
OPERATORS = ("Equal", "Exists")
EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
UPDATE_REFUSED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod(obj: Object) -> list[FieldError]:
    return pod_spec(obj["spec"], "spec")


def pod_spec(spec: Object, path: str) -> list[FieldError]:
    """The rules of a pod's spec, at `path` ("spec" or "spec.template.spec")."""
    return [
        *volume.volumes(spec.get("volumes") or [], f"{path}.volumes"),
        *_containers(spec, path),
        *_enums(spec, path),
        *objectmeta.labels(spec.get("nodeSelector"), f"{path}.nodeSelector"),
        *_names(spec, path),
        *_tolerations(spec.get("tolerations") or [], f"{path}.tolerations"),
        *_numbers(spec, path),
    ]


def _containers(spec: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    mountable = {v.get("name") for v in spec.get("volumes") or ()}
    seen: set[str] = set()
    if not spec.get("containers"):
        problems.append(required(f"{path}.containers"))
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            where = f"{path}.{field}[{index}]"
            problems += rules.container(container, where, mountable, init=field == "initContainers")
            if container.get("name") in seen:
                problems.append(duplicate(f"{where}.name", container["name"]))
            seen.add(container.get("name", ""))
    if spec.get("ephemeralContainers"):
        text = "cannot be set on create"
        problems.append(forbidden(f"{path}.ephemeralContainers", text))
    return problems


def _enums(spec: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    if spec.get("restartPolicy") not in RESTART_POLICIES:
        problems.append(not_supported(f"{path}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES))
    if spec.get("dnsPolicy") not in DNS_POLICIES:
        problems.append(not_supported(f"{path}.dnsPolicy", spec.get("dnsPolicy"), DNS_POLICIES))
    return problems


def _names(spec: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    checks = (
        ("nodeName", names.dns1123_subdomain),
        ("serviceAccountName", names.dns1123_subdomain),
        ("hostname", names.dns1123_label),
        ("subdomain", names.dns1123_label),
    )
    for field, rule in checks:
        if spec.get(field):
            problems += [invalid(f"{path}.{field}", spec[field], text) for text in rule(spec[field])]
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        where = f"{path}.hostAliases[{index}].ip"
        problems += [invalid(where, alias.get("ip", ""), text) for text in names.ip_address(alias.get("ip", ""))]
    return problems


def _tolerations(tolerations: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, toleration in enumerate(tolerations):
        where = f"{path}[{index}]"
        key, operator = toleration.get("key"), toleration.get("operator") or "Equal"
        if key:
            problems += [invalid(f"{where}.key", key, text) for text in names.qualified_name(key)]
        elif operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            problems.append(invalid(f"{where}.operator", operator, text))
        if operator not in OPERATORS:
            problems.append(not_supported(f"{where}.operator", operator, OPERATORS))
        if operator == "Exists" and toleration.get("value"):
            text = "value must be empty when `operator` is 'Exists'"
            problems.append(invalid(f"{where}.operator", toleration["value"], text))
        effect = toleration.get("effect")
        if effect and effect not in EFFECTS:
            problems.append(not_supported(f"{where}.effect", effect, EFFECTS))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            problems.append(invalid(f"{where}.effect", effect or "", text))
    return problems


def _numbers(spec: Object, path: str) -> list[FieldError]:
    problems = at_least(spec, "terminationGracePeriodSeconds", 0, path)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        where = f"{path}.activeDeadlineSeconds"
        problems.append(invalid(where, deadline, "must be between 1 and 2147483647, inclusive"))
    return problems


# -- updates


def pod_update(obj: Object, old: Object) -> list[FieldError]:
    """Nearly all of a pod's spec is fixed once it is there."""
    new_spec, old_spec = obj["spec"], old["spec"]
    counts = [
        (field, len(new_spec.get(field) or ()), len(old_spec.get(field) or ()))
        for field in ("containers", "initContainers")
    ]
    for field, new, before in counts:
        if new != before:
            return [forbidden(f"spec.{field}", "pod updates may not add or remove containers")]
    problems: list[FieldError] = []
    for index, container in enumerate(containers(new_spec)):
        if not container.get("image"):
            problems.append(required(f"spec.containers[{index}].image"))
    before = old_spec.get("tolerations") or []
    if any(toleration not in (new_spec.get("tolerations") or []) for toleration in before):
        text = "existing toleration can not be modified except its tolerationSeconds"
        problems.append(forbidden("spec.tolerations", text))
    problems += _gates_update(new_spec, old_spec)
    if _fixed(new_spec) != _fixed(old_spec):
        changed = sorted(
            key for key in {*new_spec, *old_spec} if _fixed(new_spec).get(key) != _fixed(old_spec).get(key)
        )
        problems.append(forbidden("spec", f"{UPDATE_REFUSED}\nchanged: {', '.join(changed)}"))
    return problems


def _gates_update(new: Object, old: Object) -> list[FieldError]:
    """Scheduling gates can be taken away only (validateSchedulingGatesUpdate)."""
    known = {gate["name"] for gate in old.get("schedulingGates") or ()}
    names = [gate.get("name", "") for gate in new.get("schedulingGates") or ()]
    return [
        forbidden(
            f"spec.schedulingGates[{i}].name", f"only deletion is allowed, but found new scheduling gate '{name}'"
        )
        for i, name in enumerate(names)
        if name not in known
    ]


def _fixed(spec: Object) -> Object:
    """The part of a spec that no update may change."""
    free = {"activeDeadlineSeconds", "tolerations", "containers", "initContainers", "schedulingGates"}
    fixed: Object = {key: value for key, value in spec.items() if key not in free and value not in ("", [], {}, None)}
    for field in ("containers", "initContainers"):
        fixed[field] = [
            {key: value for key, value in c.items() if key != "image" and value not in ("", [], {}, None)}
            for c in spec.get(field) or ()
        ]
    return fixed
