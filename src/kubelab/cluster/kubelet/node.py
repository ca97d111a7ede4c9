"""What every part of one node's agent stands on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubelab.clock import Clock
from kubelab.cluster.events import EventRecorder
from kubelab.cluster.kubelet.config import KubeletConfiguration
from kubelab.runtime.api import MachineConfig
from kubelab.runtime.client import RuntimeClient


@dataclass(frozen=True)
class Node:
    """`folder` is the agent's own, `$KUBELAB_HOME/nodes/<name>`."""

    config: KubeletConfiguration
    runtime: RuntimeClient
    recorder: EventRecorder
    folder: Path
    clock: Clock

    @property
    def name(self) -> str:
        """The node's name, which is its machine's in the runtime."""
        return self.config.nodeName

    @property
    def machine(self) -> MachineConfig:
        return MachineConfig(self.name, self.config.address, self.config.podCIDR)

    @property
    def disk(self) -> Path:
        """What hostPath volumes are part of."""
        return self.folder / "disk"

    @property
    def pods_folder(self) -> Path:
        """Volumes are in `<pod UID>/`, logs in `<namespace>_<name>_<pod UID>/`."""
        return self.folder / "pods"
