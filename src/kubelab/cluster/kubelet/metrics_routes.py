"""`/metrics/resource` in Prometheus' text form and `/stats/summary` as JSON.

Upstream: pkg/kubelet/metrics/collectors/resource_metrics.go, k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go
and pkg/kubelet/server/stats/summary.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from kubelab.cluster.kubelet.usage import NodeReading, Reading, UsageReader, total
from kubelab.runtime.api import RuntimeServiceError

Object = dict[str, Any]
TEXT = "text/plain; version=0.0.4; charset=utf-8"
HELP = {
    "container_cpu_usage_seconds_total": ("counter", "Cumulative cpu time consumed by the container in core-seconds"),
    "container_memory_working_set_bytes": ("gauge", "Current working set of the container in bytes"),
    "container_start_time_seconds": ("gauge", "Start time of the container since unix epoch in seconds"),
    "node_cpu_usage_seconds_total": ("counter", "Cumulative cpu time consumed by the node in core-seconds"),
    "node_memory_working_set_bytes": ("gauge", "Current working set of the node in bytes"),
    "pod_cpu_usage_seconds_total": ("counter", "Cumulative cpu time consumed by the pod in core-seconds"),
    "pod_memory_working_set_bytes": ("gauge", "Current working set of the pod in bytes"),
    "resource_scrape_error": ("gauge", "1 if there was an error while getting container metrics, 0 otherwise"),
}
Sample = tuple[str, dict[str, str], float, float]  # name, labels, value, time in seconds or 0 for none


class MetricsRoutes:
    """Serves one node's readings."""

    def __init__(self, reader: UsageReader, node: str) -> None:
        self._reader, self._node = reader, node
        self._before: dict[tuple[str, str], Reading] = {}  # (pod UID, container) -> the reading before this one

    async def resource(self, _: web.Request) -> web.Response:
        try:
            samples = list(_samples(await self._reader.read()))
        except RuntimeServiceError:
            samples = [("resource_scrape_error", {}, 1.0, 0.0)]
        return web.Response(body=exposition(samples).encode(), headers={"Content-Type": TEXT})

    async def summary(self, _: web.Request) -> web.Response:
        try:
            reading = await self._reader.read()
        except RuntimeServiceError as error:
            return web.Response(status=500, text=f"Internal Error: {error}")
        pods = [self._pod(uid, containers) for uid, containers in reading.pods().items()]
        node = {"nodeName": self._node, "startTime": _time(reading.node.start), **self._usage(("", ""), reading.node)}
        self._before = {(c.pod.uid, c.name): c.reading for c in reading.containers} | {("", ""): reading.node}
        return web.json_response({"node": node, "pods": pods})

    def _pod(self, uid: str, containers: list[Any]) -> Object:
        whole, pod = total(c.reading for c in containers), containers[0].pod
        each = [
            {"name": c.name, "startTime": _time(c.reading.start), **self._usage((uid, c.name), c.reading)}
            for c in containers
        ]
        cores = sum(container["cpu"].get("usageNanoCores", 0) for container in each)
        usage = self._usage((uid, ""), whole)
        usage["cpu"]["usageNanoCores"] = cores
        reference = {"name": pod.name, "namespace": pod.namespace, "uid": uid}
        return {"podRef": reference, "startTime": _time(whole.start), "containers": each, **usage}

    def _usage(self, key: tuple[str, str], now: Reading) -> Object:
        """Cores come from two readings: this one and the one before, or the container's start."""
        before = self._before.get(key) or Reading(now.start, now.start, 0, 0)
        lasted = now.time - before.time
        cores = int((now.cpu - before.cpu) / lasted) if lasted > 0 and now.cpu >= before.cpu else 0
        at = _time(now.time)
        cpu = {"time": at, "usageNanoCores": cores, "usageCoreNanoSeconds": now.cpu}
        memory = {"time": at, "usageBytes": now.usage, "workingSetBytes": now.working_set}
        return {"cpu": cpu, "memory": memory}


def _samples(reading: NodeReading) -> Iterator[Sample]:
    for container in reading.containers:
        labels = {"container": container.name, "namespace": container.pod.namespace, "pod": container.pod.name}
        now = container.reading
        yield "container_cpu_usage_seconds_total", labels, now.cpu / 1e9, now.time
        yield "container_memory_working_set_bytes", labels, now.working_set, now.time
        yield "container_start_time_seconds", labels, now.start, 0.0
    yield "node_cpu_usage_seconds_total", {}, reading.node.cpu / 1e9, reading.node.time
    yield "node_memory_working_set_bytes", {}, reading.node.working_set, reading.node.time
    for containers in reading.pods().values():
        whole, pod = total(c.reading for c in containers), containers[0].pod
        labels = {"namespace": pod.namespace, "pod": pod.name}
        yield "pod_cpu_usage_seconds_total", labels, whole.cpu / 1e9, whole.time
        yield "pod_memory_working_set_bytes", labels, whole.working_set, whole.time
    yield "resource_scrape_error", {}, 0.0, 0.0


def exposition(samples: list[Sample]) -> str:
    """Prometheus' text form 0.0.4, metric by metric."""
    lines = []
    for name, (kind, words) in HELP.items():
        found = [sample for sample in samples if sample[0] == name]
        if found:
            lines += [f"# HELP {name} [STABLE] {words}", f"# TYPE {name} {kind}"]
        for _, labels, value, at in found:
            shown = ",".join(f'{key}="{text}"' for key, text in labels.items())
            stamp = f" {int(at * 1000)}" if at else ""
            lines.append(f"{name}{'{' + shown + '}' if shown else ''} {value:.15g}{stamp}")
    return "\n".join(lines) + "\n"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
