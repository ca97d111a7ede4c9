"""The cluster's nodes, and how to lose one on purpose.

Stopping a machine is nothing that Kubernetes' API can do: on the embedded engines the `kubelab` command plays the hand
on the plug. On a cluster of your own the course leaves the machines alone.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from kubernetes import client

from .errors import LabError
from .tables import Table
from .waiting import has_condition, until


class Nodes:
    def __init__(self, core: client.CoreV1Api, embedded: bool) -> None:
        self.core, self.embedded = core, embedded
        self.off: set[str] = set()  # switched off through this object, whether or not the cluster knows by now

    def names(self) -> list[str]:
        return sorted(node.metadata.name for node in self.core.list_node().items)

    def table(self) -> Table:
        """NAME and STATUS, as `kubectl get nodes`."""
        rows = []
        for node in self.core.list_node().items:
            ready = any(c.type == "Ready" and c.status == "True" for c in node.status.conditions or [])
            status = ("Ready" if ready else "NotReady") + (",SchedulingDisabled" if node.spec.unschedulable else "")
            rows.append((node.metadata.name, status))
        return Table(["NAME", "STATUS"], sorted(rows), "kubectl get nodes")

    def stop(self, name: str) -> None:
        """Cut the power of a node: its agent and its containers are gone at once, and nobody tells the cluster."""
        self._plug("stop", name)
        self.off.add(name)

    def start(self, name: str) -> None:
        """Turn the node on again."""
        self._plug("start", name)
        self.off.discard(name)

    def restore(self) -> None:
        """Turn on what an earlier run left off: the embedded engines' nodes that are not Ready. NotInTime."""
        for name, status in self.table().rows if self.embedded else []:
            if status.startswith("NotReady"):
                self.start(name)
                self.wait_for(name, ready=True)

    def wait_for(self, name: str, ready: bool, timeout: float = 90) -> float:
        """Wait until the cluster holds the node for Ready, or not. Returns the seconds it took. NotInTime."""

        def reached(nodes: list[dict[str, Any]]) -> bool:
            return bool(nodes) and has_condition(nodes[0], "Ready") == ready

        word = "Ready" if ready else "NotReady"
        _, seconds = until(
            self.core.list_node,
            condition=reached,
            what=f"{name} {word}",
            timeout=timeout,
            field_selector=f"metadata.name={name}",
        )
        return seconds

    def _plug(self, action: str, name: str) -> None:
        if not self.embedded:
            raise LabError(
                f"this cluster is your own, so the course does not {action} its machines. Do it yourself, then go on."
            )
        command = [sys.executable, "-m", "kubelab.cli", "node", action, name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise LabError(f"`kubelab node {action} {name}` failed: {(done.stderr or done.stdout).strip()}")
