"""Which processes make the engines, and which of them another needs before it may begin.

A process is started at once and held at the end of its imports (`kubelab.component`) until what it needs is ready: so
the imports of five processes overlap, and the engines are up in little more than the time of the longest chain.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from kubelab.settings.files import NODES

RUNTIME = "runtime"
CONTROL_PLANE = "control-plane"
ENGINE = "engine"


@dataclass(frozen=True)
class Unit:
    """`needs`: ready before this one begins. `part_of`: when that one has died and is back, this one starts afresh."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    part_of: tuple[str, ...] = ()

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-m", self.module, *self.arguments]


def units() -> dict[str, Unit]:
    """By name, in the order in which they are best started."""
    # Addresses follow from the level that the runtime finds, so everything needs it.
    found = [
        Unit(RUNTIME, "kubelab.runtime"),
        Unit(CONTROL_PLANE, "kubelab.cluster.controlplane", needs=(RUNTIME,)),
    ]
    for name in NODES:
        found.append(
            Unit(name, "kubelab.cluster.kubelet", ("--name", name), (RUNTIME, CONTROL_PLANE), part_of=(RUNTIME,))
        )
    found.append(Unit(ENGINE, "kubelab.engine", needs=(RUNTIME,), part_of=(RUNTIME,)))
    return {unit.name: unit for unit in found}


def restarted_by_profile() -> list[str]:
    """Those whose settings a profile changes. The runtime is not one of them: containers go on."""
    return [CONTROL_PLANE, *NODES]
