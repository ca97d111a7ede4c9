"""PriorityClasses, and the priority that a pod has by them.

Upstream: pkg/registry/scheduling/priorityclass/strategy.go, pkg/apis/scheduling/{types,helpers,validation}, and
plugin/pkg/admission/priority/admission.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, not_supported
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.strategy import Strategy

Object = dict[str, Any]
HIGHEST_USER = 1_000_000_000
SYSTEM = {"system-cluster-critical": 2 * HIGHEST_USER, "system-node-critical": 2 * HIGHEST_USER + 1000}
POLICIES = ("Never", "PreemptLowerPriority")
DESCRIPTIONS = {
    "system-cluster-critical": "Used for system critical pods that must run in the cluster, but can be moved to another"
    " node if necessary.",
    "system-node-critical": "Used for system critical pods that must not be moved from their current node.",
}


class PriorityClassStrategy(Strategy):
    def default(self, obj: Object) -> None:
        obj.setdefault("value", 0)
        obj.setdefault("preemptionPolicy", "PreemptLowerPriority")

    def prepare_create(self, obj: Object) -> None:
        obj["metadata"]["generation"] = 1

    def admit(self, registry: Registry, obj: Object, old: Object | None) -> None:
        """At most one class is for pods that name none."""
        if not obj.get("globalDefault"):
            return
        default = default_class(registry)
        if default is not None and default["metadata"]["name"] != obj["metadata"].get("name"):
            why = (
                f"PriorityClass {default['metadata']['name']} is already marked as default. Only one default can exist"
            )
            raise errors.forbidden(self.resource, obj["metadata"].get("name", ""), why)

    def validate(self, obj: Object) -> list[FieldError]:
        name, value, problems = obj["metadata"].get("name", ""), obj["value"], []
        if name.startswith("system-"):
            if SYSTEM.get(name) != value or obj.get("globalDefault"):
                text = "priority class names with 'system-' prefix are reserved for system use only"
                problems.append(forbidden("metadata.name", text + f". error: {_not_known(name, obj)}"))
        elif value > HIGHEST_USER:
            text = f"maximum allowed value of a user defined priority is {HIGHEST_USER}"
            problems.append(forbidden("value", text))
        if obj.get("preemptionPolicy") not in POLICIES:
            problems.append(not_supported("preemptionPolicy", obj.get("preemptionPolicy", ""), sorted(POLICIES)))
        return problems

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        problems: list[FieldError] = []
        if obj["value"] != old["value"]:
            problems.append(forbidden("value", "may not be changed in an update."))
        if obj.get("preemptionPolicy") != old.get("preemptionPolicy"):
            problems.append(FieldError("preemptionPolicy", "FieldValueInvalid", _IMMUTABLE % obj["preemptionPolicy"]))
        return problems


_IMMUTABLE = 'Invalid value: "%s": field is immutable'


def _not_known(name: str, obj: Object) -> str:
    known = SYSTEM.get(name)
    if known is None:
        return f"{name} is not a known system priority class"
    if known != obj["value"]:
        return f"value of {name} PriorityClass must be {known}"
    return f"globalDefault of {name} PriorityClass must be false"


def bootstrap(registry: Registry) -> None:
    """The two classes of the system (pkg/registry/scheduling/rest/storage_scheduling.go)."""
    for name, value in SYSTEM.items():
        if registry.store.get(registry.key(r.PRIORITYCLASSES, "", name)) is None:
            obj = {"metadata": {"name": name}, "value": value, "description": DESCRIPTIONS[name]}
            registry.create(
                r.PRIORITYCLASSES, {"apiVersion": r.PRIORITYCLASSES.api_version, "kind": "PriorityClass", **obj}
            )


def default_class(registry: Registry) -> Object | None:
    """The class for pods that name none: of several, made in a race, the one with the lowest value."""
    found = [c for c in (record.load() for record in registry.records(r.PRIORITYCLASSES)) if c.get("globalDefault")]
    return min(found, key=lambda c: c["value"], default=None)


def admit(registry: Registry, pod: Object) -> None:
    """Set a new pod's priority and preemption policy by its class. Raises 403."""
    spec, name = pod["spec"], pod["metadata"].get("name", "")
    given, priority, policy = spec.get("priorityClassName", ""), 0, "PreemptLowerPriority"
    found = default_class(registry) if not given else _named(registry, given, name)
    if found is not None:
        spec["priorityClassName"] = found["metadata"]["name"]
        priority, policy = found["value"], found.get("preemptionPolicy") or policy
    for field, value in (("priority", priority), ("preemptionPolicy", policy)):
        if spec.get(field) not in (None, value):
            shown = "integer value of priority" if field == "priority" else "string value of PreemptionPolicy"
            why = (
                f"the {shown} ({spec[field]}) must not be provided in pod spec; priority admission controller computed"
                f" {value} from the given PriorityClass name"
            )
            raise errors.forbidden(r.PODS, name, why)
        spec[field] = value


def _named(registry: Registry, name: str, pod: str) -> Object:
    record = registry.store.get(registry.key(r.PRIORITYCLASSES, "", name))
    if record is None:
        raise errors.forbidden(r.PODS, pod, f"no PriorityClass with name {name} was found")
    return record.load()
