"""The cluster's nodes, and how to lose one on purpose.

Stopping a machine is nothing that Kubernetes' API can do: on the embedded engines the `kubelab` command plays the hand
on the plug, on a kind cluster the Docker Engine in which its nodes are containers. On any other cluster of your own the
course leaves the machines alone.
"""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from typing import Any, Protocol

from kubernetes import client

from .errors import LabError
from .tables import Table
from .waiting import has_condition, until


class Plug(Protocol):
    """The hand on the plug of the machines."""

    def refusal(self) -> str:
        """Why no node can be lost here; "" where one can."""

    def command(self, action: str, name: str) -> str:
        """What a terminal would be told: `action` is "stop" or "start"."""

    def actions(self) -> list[str]:
        """What can be done to a machine here: "stop", "start", perhaps "cut"."""

    def stop(self, name: str) -> None: ...

    def start(self, name: str) -> None: ...

    def cut(self, name: str) -> None: ...


class EmbeddedPlug:
    """`kubelab node stop|start NAME`."""

    def refusal(self) -> str:
        return ""

    def command(self, action: str, name: str) -> str:
        return f"kubelab node {action} {name}"

    def actions(self) -> list[str]:
        return _actions()

    def stop(self, name: str) -> None:
        self._run("stop", name)

    def start(self, name: str) -> None:
        self._run("start", name)

    def cut(self, name: str) -> None:
        self._run("cut", name)

    def _run(self, action: str, name: str) -> None:
        command = [sys.executable, "-m", "kubelab.cli", "node", action, name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise LabError(f"`kubelab node {action} {name}` failed: {(done.stderr or done.stdout).strip()}")


class NoPlug:
    """A cluster of the student's own."""

    def refusal(self) -> str:
        return "this cluster is your own, so the course does not switch its machines. Do it yourself, then go on."

    def command(self, action: str, name: str) -> str:
        return f"# {action} the machine {name}"

    def actions(self) -> list[str]:
        return []

    def stop(self, name: str) -> None:
        raise LabError(self.refusal())

    start = cut = stop


class Nodes:
    def __init__(self, core: client.CoreV1Api, plug: Plug) -> None:
        self.core, self.plug = core, plug
        self.off: set[str] = set()  # switched off through this object, whether or not the cluster knows by now

    @property
    def can_be_lost(self) -> bool:
        """Whether `stop` works here."""
        return not self.plug.refusal()

    embedded = can_be_lost  # the failure panel's name for it

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
        self._refuse()
        self.plug.stop(name)
        self.off.add(name)

    def start(self, name: str) -> None:
        """Turn the node on again."""
        self._refuse()
        self.plug.start(name)
        self.off.discard(name)

    def cut(self, name: str) -> None:
        """Cut a node off the network: its programs run on, and neither it nor the cluster hears of the other.

        `start` joins it again.
        """
        if why := self.unable("cut"):
            raise LabError(f"{why}.")
        self.plug.cut(name)
        self.off.add(name)

    def unable(self, action: str) -> str:
        """Why these machines cannot be stopped, cut off or started from here; "" where they can."""
        if refusal := self.plug.refusal():
            return refusal.rstrip(".")
        return "" if action in self.plug.actions() else f"`{action}` is nothing that can be done to these nodes"

    def _refuse(self) -> None:
        if refusal := self.plug.refusal():
            raise LabError(refusal)

    def restore(self) -> None:
        """Turn on what an earlier run left off: nodes that are not Ready, where they can be lost. NotInTime."""
        missing = [name for name, status in self.table().rows if status.startswith("NotReady")]
        for name in missing if missing and self.can_be_lost else []:
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


@functools.cache
def _actions() -> list[str]:
    """What `kubelab node` can do, as its help has it."""
    command = [sys.executable, "-m", "kubelab.cli", "node", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL).stdout
    choices = re.search(r"\{([a-z,-]+)\}", said)
    return choices[1].split(",") if choices else []
