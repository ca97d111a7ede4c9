"""The nodes' own figures, through `/metrics/resource`, metrics.k8s.io and `kubectl top`."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from engines.cluster.lab import eventually
from kubelab.home import Home

from .conftest import Bench

BUSY = {"name": "app", "image": "kubelab/python", "command": ["python3", "-c", "while True: pass"]}


async def run(home: Home, *words: str) -> str:
    command = ["kubectl", "--kubeconfig", str(home.kubeconfig), *words]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout


@pytest.mark.requires("kubectl")
async def test_top_shows_who_is_busy(bench: Bench):
    await bench.create("busy", BUSY)
    node = (await bench.ready("busy"))["spec"]["nodeName"]

    async def shown() -> list[str] | None:
        lines = (await run(bench.home, "top", "pods", "-n", bench.namespace, "--containers")).splitlines()
        return lines[1].split() if len(lines) == 2 else None

    pod, container, cpu, memory = await eventually(shown, "kubectl top shows the pod", 40)
    assert (pod, container) == ("busy", "app")
    assert int(cpu.removesuffix("m")) > 50 and int(memory.removesuffix("Mi")) > 0

    async def node_shown() -> bool:
        return node in await run(bench.home, "top", "nodes")

    await eventually(node_shown, "kubectl top shows the node", 20)
    text = await run(bench.home, "get", "--raw", f"/api/v1/nodes/{node}/proxy/metrics/resource")
    assert f'container_cpu_usage_seconds_total{{container="app",namespace="{bench.namespace}",pod="busy"}}' in text
    summary = await run(bench.home, "get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary")
    assert '"usageNanoCores"' in summary and f'"nodeName": "{node}"' in summary
