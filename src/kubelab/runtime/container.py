"""A container as the daemon knows it: CREATED, RUNNING, EXITED."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from kubelab.runtime.api import ContainerConfig, ContainerState, ContainerStatus
from kubelab.runtime.cgroups import Cgroup
from kubelab.runtime.logs import timestamp
from kubelab.runtime.sandbox import Sandbox
from kubelab.runtime.supervised import Exit, Supervised

START_FAILED = 128  # exit code of a container whose program could not be started (containerd, errorStartExitCode)
EPOCH = "1970-01-01T00:00:00.000000000Z"  # what containerd says it was started at


@dataclass
class Container:
    """`folder` is its part of `$KUBELAB_HOME/runtime`; `stdin` the writing end that attach hands out, -1 without."""

    id: str
    sandbox: Sandbox
    config: ContainerConfig
    folder: Path
    created_at: str = field(default_factory=timestamp)
    started_at: str = ""
    supervised: Supervised | None = None
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while its program is being started
    exit: Exit | None = None
    reason: str = ""
    message: str = ""
    stdin: int = -1
    out_of_memory: bool = False
    paused: bool = False
    cgroup: Cgroup | None = None  # while it runs
    execs: set[Supervised] = field(default_factory=set)

    @property
    def state(self) -> ContainerState:
        if self.exit is not None:
            return ContainerState.EXITED
        return ContainerState.CREATED if self.supervised is None else ContainerState.RUNNING

    @property
    def pid(self) -> int:
        return self.supervised.pid if self.supervised and self.exit is None else 0

    def reset(self) -> None:
        """As it was before it was started."""
        self.supervised, self.exit = None, None
        self.started_at = self.reason = self.message = ""
        self.out_of_memory = False

    def started(self, supervised: Supervised) -> None:
        self.supervised, self.started_at = supervised, supervised.started_at

    def start_failed(self, message: str) -> None:
        self.started_at, self.exit = EPOCH, Exit(START_FAILED, timestamp())
        self.reason, self.message = "StartError", message

    def exited(self, exit_: Exit) -> None:
        self.exit = exit_
        if self.out_of_memory:
            self.reason = "OOMKilled"
        else:
            self.reason = "Error" if exit_.code else "Completed"

    def close_stdin(self) -> None:
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def status(self) -> ContainerStatus:
        return ContainerStatus(
            id=self.id,
            sandbox_id=self.sandbox.id,
            config=self.config,
            state=self.state,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.exit.finished_at if self.exit else "",
            exit_code=self.exit.code if self.exit else 0,
            reason=self.reason,
            message=self.message,
            pid=self.pid,
            namespaces=dict(self.supervised.namespaces) if self.supervised else {},
            paused=self.paused,
        )
