"""metrics.k8s.io/v1beta1: NodeMetrics and PodMetrics. Upstream: metrics-server's pkg/api/{node,pod,table}.go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from kubelab.cluster import quantity
from kubelab.cluster.apiserver import errors, fieldselector, query, render
from kubelab.cluster.apiserver.metrics.points import Points, Usage
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.requestinfo import RequestInfo
from kubelab.cluster.resources import METRICS_NODES, NODES, PODS, Resource

Object = dict[str, Any]


class MetricsAPI:
    """Answers from `points` for the nodes and pods of the registry."""

    def __init__(self, registry: Registry, points: Callable[[], Points]) -> None:
        self._registry, self._points = registry, points

    def handle(self, request: web.Request, info: RequestInfo) -> web.Response:
        """GET of one or of a list. Raises 404 and 405."""
        source = NODES if info.resource is METRICS_NODES else PODS
        if info.subresource or info.verb not in info.resource.verbs:
            raise errors.method_not_allowed()
        if info.name:
            return self._one(request, info, source)
        options = query.list_options(request.query)
        selected = query.selector(options, source) if options.selects else lambda obj: True
        name = fieldselector.required_name(options.field_selector)
        objects = (record.load() for record in self._registry.records(source, info.namespace))
        wanted = [o for o in objects if selected(o) and (not name or o["metadata"]["name"] == name)]
        found = [metrics for metrics in map(self._metrics, wanted) if metrics is not None]
        return _answer(request, info.resource, found, listed=True)

    def _one(self, request: web.Request, info: RequestInfo, source: Resource) -> web.Response:
        record = self._registry.store.get(self._registry.key(source, info.namespace, info.name))
        metrics = self._metrics(record.load()) if record is not None else None
        if metrics is None:
            name = f"{info.namespace}/{info.name}" if info.namespace else info.name
            kind = info.resource.kind.lower()
            words = f'{kind}.{info.resource.group} "{name}" not found'
            details = {"name": name, "group": info.resource.group, "kind": kind}
            raise errors.StatusError(404, "NotFound", words, details)
        return _answer(request, info.resource, [metrics], listed=False)

    def _metrics(self, obj: Object) -> Object | None:
        meta = obj["metadata"]
        if "namespace" not in meta:
            usage = self._points().node(meta["name"])
            return None if usage is None else {**_head("NodeMetrics", meta, usage), "usage": _amounts(usage)}
        usages = self._points().pod((meta["namespace"], meta["name"]))
        if not usages or (obj.get("status") or {}).get("phase") != "Running":
            return None
        latest = max(usages.values(), key=lambda usage: usage.time)
        containers = [{"name": name, "usage": _amounts(usage)} for name, usage in usages.items()]
        return {**_head("PodMetrics", meta, latest), "containers": containers}


def _head(kind: str, meta: Object, usage: Usage) -> Object:
    at = datetime.fromtimestamp(usage.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    shown = {"name": meta["name"], "creationTimestamp": at}
    shown |= {key: meta[key] for key in ("namespace", "labels") if meta.get(key)}
    head = {"kind": kind, "apiVersion": METRICS_NODES.api_version, "metadata": shown}
    return {**head, "timestamp": at, "window": f"{usage.window:.3f}s"}


def _amounts(usage: Usage) -> Object:
    """CPU in nanocores, memory in kibibytes, as metrics-server writes them."""
    cores = round(usage.cpu * 1e9)
    return {"cpu": f"{cores}n" if cores else "0", "memory": f"{round(usage.memory / 1024)}Ki"}


def _answer(request: web.Request, resource: Resource, items: list[Object], *, listed: bool) -> web.Response:
    if render.negotiate(request.headers.get("Accept", "")) == render.TABLE:
        body = _table(items)
    elif listed:
        head = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": {}}
        body = {**head, "items": [{k: v for k, v in i.items() if k not in ("kind", "apiVersion")} for i in items]}
    else:
        body = items[0]
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def _table(items: list[Object]) -> Object:
    names = ("Name", "cpu", "memory", "Window")
    formats = {"Name": "name"}
    columns = [
        {"name": n, "type": "string", "format": formats.get(n, ""), "description": "", "priority": 0} for n in names
    ]
    rows = [{"cells": _cells(item), "object": _partial(item)} for item in items]
    head = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}}
    return {**head, "columnDefinitions": columns, "rows": rows}


def _cells(item: Object) -> list[str]:
    usages = [item["usage"]] if "usage" in item else [container["usage"] for container in item["containers"]]
    cpu, memory = (sum(quantity.parse(usage[what]) for usage in usages) for what in ("cpu", "memory"))
    return [item["metadata"]["name"], f"{int(cpu * 1_000_000_000)}n", f"{int(memory / 1024)}Ki", item["window"]]


def _partial(item: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
