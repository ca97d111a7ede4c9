"""Rotation of container logs (upstream: test/e2e_node/container_log_rotation_test.go)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from engines.cluster.lab import eventually
from kubelab.clock import RealClock
from kubelab.cluster.kubelet.config import KubeletConfiguration
from kubelab.cluster.kubelet.log_rotation import LogRotation, rotated_files
from kubelab.cluster.kubelet.node import Node
from kubelab.runtime.client import RuntimeClient

from .conftest import Bench, python

COUNT = "import time\nfor n in range(400):\n    print(n, 'x' * 1000, flush=True)\n    time.sleep(.01)\ntime.sleep(100)"


@pytest.mark.requires("kubectl")
async def test_should_be_rotated_and_limited_to_a_fixed_amount_of_files(bench: Bench) -> None:
    await bench.create("p", python(COUNT), nodeName="node-1")
    pod = await bench.ready("p")
    command = [shutil.which("kubectl") or "", "--kubeconfig", str(bench.home.kubeconfig), "-n", bench.namespace]
    logs = await asyncio.create_subprocess_exec(*command, "logs", "-f", "p", stdout=asyncio.subprocess.PIPE)
    assert logs.stdout is not None
    first = await logs.stdout.readline()
    folder = f"{bench.namespace}_p_{pod['metadata']['uid']}"
    path = bench.home.node("node-1") / "pods" / folder / "app/0.log"
    settings = KubeletConfiguration.from_dict(
        {
            **{"nodeName": "node-1", "podCIDR": "-", "address": "-", "hostAddress": "-", "serverToken": "-"},
            **{"containerLogMaxSize": "20Ki", "containerLogMaxFiles": 3},
        }
    )
    async with RuntimeClient(bench.home.runtime_socket) as runtime:
        node = Node(settings, runtime, None, Path("/nonexistent"), RealClock())  # type: ignore[arg-type]
        rotation = LogRotation(node)

        async def put_aside() -> bool:
            await rotation.rotate_all()
            return len(rotated_files(path)) == 2

        await eventually(put_aside, "two files put aside", 30)
        assert rotated_files(path)[0].suffix == ".gz"
        await bench.delete("p", grace_period_seconds=0)
    out, _ = await asyncio.wait_for(logs.communicate(), 60)
    seen = [int(line.split()[0]) for line in (first + out).splitlines()]
    assert seen == list(range(len(seen))) and len(seen) > 40  # `logs -f` goes over from file to file, and misses none
