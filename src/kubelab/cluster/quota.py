"""What an object counts for a ResourceQuota: used by the API server's admission and by the controller that recounts.

Upstream: pkg/quota/v1/evaluator/core/{pods,services}.go and pkg/quota/v1 in staging/src/k8s.io/apiserver. Usages are
{resource name: quantity}.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.resources import PODS, SERVICES, Resource

Object = dict[str, Any]
Usage = dict[str, str]
# Core kinds that can be limited by their plural name as well as by `count/…`.
BY_NAME = ("configmaps", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas", "secrets", "services")
COMPUTE = ("cpu", "memory", "ephemeral-storage")
EXPLICIT = tuple(f"{kind}{name}" for kind in ("", "requests.", "limits.") for name in ("cpu", "memory"))
TERMINAL = ("Succeeded", "Failed")


def usage(resource: Resource, obj: Object) -> Usage:
    """What an object of a resource uses of any quota in its namespace."""
    found = {f"count/{resource.qualified}": "1"}
    if resource.group == "" and resource.plural in BY_NAME:
        found[resource.plural] = "1"
    if resource == PODS:
        found |= _pod(obj)
    elif resource == SERVICES:
        found |= _service(obj["spec"])
    return found


def counts(resource: Resource, name: str) -> bool:
    """Whether objects of a resource can use any of what a quota calls `name`."""
    if name == f"count/{resource.qualified}":
        return True
    if resource == PODS:
        return name in (*COMPUTE, "pods") or name.startswith(("requests.", "limits.", "hugepages-"))
    if resource == SERVICES and name in ("services.nodeports", "services.loadbalancers"):
        return True
    return resource.group == "" and name == resource.plural and name in BY_NAME


def covers(quota: Object, resource: Resource, obj: Object) -> bool:
    """Whether a quota is about this object: it limits something of it, and its scopes fit."""
    spec = quota["spec"]
    if not any(counts(resource, name) for name in spec.get("hard") or {}):
        return False
    return all(resource == PODS and scope_fits(scope, obj) for scope in scopes(spec))


def scopes(spec: Object) -> list[Object]:
    """Both ways to write scopes, as requirements {scopeName, operator, values}."""
    plain = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    return plain + ((spec.get("scopeSelector") or {}).get("matchExpressions") or [])


def scope_fits(scope: Object, pod: Object) -> bool:
    spec, name = pod["spec"], scope["scopeName"]
    if name == "Terminating":
        return spec.get("activeDeadlineSeconds") is not None
    if name == "NotTerminating":
        return spec.get("activeDeadlineSeconds") is None
    if name in ("BestEffort", "NotBestEffort"):
        return _best_effort(spec) is (name == "BestEffort")
    if name == "CrossNamespacePodAffinity":
        return _reaches_other_namespaces(spec)
    given, values = spec.get("priorityClassName", ""), scope.get("values") or ()
    answers = {"Exists": bool(given), "DoesNotExist": not given, "In": given in values, "NotIn": given not in values}
    return answers.get(scope["operator"], False)


def add(left: Usage, right: Usage) -> Usage:
    return left | {name: quantity.add(left.get(name, "0"), amount) for name, amount in right.items()}


def total(usages: Iterable[Usage]) -> Usage:
    result: Usage = {}
    for one in usages:
        result = add(result, one)
    return result


# -- pods


def _pod(pod: Object) -> Usage:
    """A pod that has finished uses nothing but its place in `count/pods`."""
    if (pod.get("status") or {}).get("phase") in TERMINAL:
        return {}
    found: Usage = {"pods": "1"}
    for kind in ("requests", "limits"):
        for name, amount in pod_amounts(pod["spec"], kind).items():
            found[f"{kind}.{name}"] = amount
            if kind == "requests" and (name in COMPUTE or name.startswith("hugepages-")):
                found[name] = amount
    return found


def pod_amounts(spec: Object, kind: str) -> Usage:
    """Requests or limits of the pod: its containers and sidecars, or an init container before them if that is more."""
    sidecars: Usage = {}
    largest: Usage = {}
    for container in spec.get("initContainers") or ():
        amounts = (container.get("resources") or {}).get(kind) or {}
        if container.get("restartPolicy") == "Always":
            sidecars = add(sidecars, amounts)
            largest = _most(largest, sidecars)
        else:
            largest = _most(largest, add(sidecars, amounts))
    running = total([sidecars, *((c.get("resources") or {}).get(kind) or {} for c in spec.get("containers") or ())])
    return add(_most(running, largest), spec.get("overhead") or {})


def _most(left: Usage, right: Usage) -> Usage:
    more = {k: v for k, v in right.items() if k not in left or quantity.parse(v) > quantity.parse(left[k])}
    return left | more


def _best_effort(spec: Object) -> bool:
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    amounts = (((c.get("resources") or {}).get(kind) or {}) for c in containers for kind in ("requests", "limits"))
    return not any(quantity.parse(found.get(name, 0)) for found in amounts for name in ("cpu", "memory"))


def _reaches_other_namespaces(spec: Object) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        affinity = (spec.get("affinity") or {}).get(kind) or {}
        terms = list(affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        weighted = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [one["podAffinityTerm"] for one in weighted]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


def unspecified(names: Iterable[str], spec: Object) -> dict[str, list[str]]:
    """Of the quota's names those that every container has to state, and the containers that do not."""
    found: dict[str, list[str]] = {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        for name in set(names) & set(EXPLICIT):
            kind, _, what = name.rpartition(".")
            if what not in (resources.get(kind or "requests") or {}):
                found.setdefault(name, []).append(container.get("name", ""))
    return {name: sorted(found[name]) for name in sorted(found)}


# -- services


def _service(spec: Object) -> Usage:
    ports, kind = len(spec.get("ports") or ()), spec.get("type")
    balanced = kind == "LoadBalancer"
    allocated = kind == "NodePort" or (balanced and spec.get("allocateLoadBalancerNodePorts") is not False)
    if balanced and not allocated:
        ports = sum(1 for port in spec.get("ports") or () if port.get("nodePort"))
        allocated = True
    return {"services.nodeports": str(ports if allocated else 0), "services.loadbalancers": str(int(balanced))}
