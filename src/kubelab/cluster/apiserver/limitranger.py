"""Admission by LimitRange: what containers are given who say nothing, and what they may not ask for.

Upstream: plugin/pkg/admission/limitranger/admission.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kubelab.cluster import quantity, quota
from kubelab.cluster.apiserver import errors
from kubelab.cluster.resources import LIMITRANGES, PODS

if TYPE_CHECKING:
    from kubelab.cluster.apiserver.registry import Registry

Object = dict[str, Any]
ANNOTATION = "kubernetes.io/limit-ranger"


def admit(registry: Registry, pod: Object) -> None:
    """Fill in the defaults of the namespace's limit ranges, then check. Raises 403."""
    ranges = [record.load() for record in registry.records(LIMITRANGES, pod["metadata"].get("namespace", ""))]
    for limit_range in ranges:
        _default(limit_range["spec"].get("limits") or (), pod)
    for limit_range in ranges:
        problems = [text for item in limit_range["spec"].get("limits") or () for text in _problems(item, pod["spec"])]
        if problems:
            distinct = list(dict.fromkeys(problems))
            why = distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"
            raise errors.forbidden(PODS, pod["metadata"].get("name", ""), why)


# -- defaults


def _default(items: Any, pod: Object) -> None:
    given: dict[str, Object] = {"requests": {}, "limits": {}}
    for item in items:
        if item.get("type") == "Container":
            given["limits"] |= item.get("default") or {}
            given["requests"] |= item.get("defaultRequest") or {}
    notes = [*_merge(pod["spec"], "initContainers", given), *_merge(pod["spec"], "containers", given)]
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


def _merge(spec: Object, field: str, given: dict[str, Object]) -> Iterator[str]:
    kind = "init container" if field == "initContainers" else "container"
    for container in spec.get(field) or ():
        for what in ("requests", "limits"):
            own = (container.get("resources") or {}).get(what) or {}
            new = {name: amount for name, amount in given[what].items() if name not in own}
            if new:
                container.setdefault("resources", {})[what] = own | new
                yield f"{', '.join(sorted(new))} {what[:-1]} for {kind} {container.get('name', '')}"


# -- checks


def _problems(item: Object, spec: Object) -> Iterator[str]:
    kind = item.get("type")
    if kind == "Container":
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            resources = container.get("resources") or {}
            yield from _check(item, "Container", resources.get("requests") or {}, resources.get("limits") or {})
    elif kind == "Pod":
        yield from _check(item, "Pod", quota.pod_amounts(spec, "requests"), quota.pod_amounts(spec, "limits"))


def _check(item: Object, kind: str, requests: Object, limits: Object) -> Iterator[str]:
    for name, least in sorted((item.get("min") or {}).items()):
        yield from _minimum(f"minimum {name} usage per {kind} is {least}", least, requests.get(name), limits.get(name))
    for name, most in sorted((item.get("max") or {}).items()):
        yield from _maximum(f"maximum {name} usage per {kind} is {most}", most, requests.get(name), limits.get(name))
    for name, ratio in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        words = f"{name} max limit to request ratio per {kind} is {ratio}, but"
        yield from _ratio(words, ratio, requests.get(name, "0"), limits.get(name, "0"))


def _minimum(words: str, least: str, request: str | None, limit: str | None) -> Iterator[str]:
    if request is None:
        yield f"{words}.  No request is specified"
    elif quantity.parse(request) < quantity.parse(least):
        yield f"{words}, but request is {request}"
    elif limit is not None and quantity.parse(limit) < quantity.parse(least):
        yield f"{words}, but limit is {limit}"


def _maximum(words: str, most: str, request: str | None, limit: str | None) -> Iterator[str]:
    if limit is None:
        yield f"{words}.  No limit is specified"
    elif quantity.parse(limit) > quantity.parse(most):
        yield f"{words}, but limit is {limit}"
    elif request is not None and quantity.parse(request) > quantity.parse(most):
        yield f"{words}, but request is {request}"


def _ratio(words: str, ratio: str, request: str, limit: str) -> Iterator[str]:
    asked, limited = quantity.parse(request), quantity.parse(limit)
    if not asked:
        yield f"{words} no request is specified or request is 0"
    elif not limited:
        yield f"{words} no limit is specified or limit is 0"
    elif limited / asked > quantity.parse(ratio):
        yield f"{words} provided ratio is {limited / asked:f}"
