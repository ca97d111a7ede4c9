"""One container as the engine knows it: what was asked for, what it is doing, and its record on disk.

Upstream: moby's container/container.go and state.go. The record survives the engine; the container itself survives in
the runtime.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubelab.engine.containers_health import Monitor
from kubelab.engine.containers_mounts import MountPoint, from_record
from kubelab.engine.containers_ports import PublishedPorts

NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, which clients know
ENGINE_GONE = 255  # exit code of a container whose end nobody saw
_SAVED = (
    "id name created image image_id config host_config sandbox_id runtime_id status exit_code error started_at "
    "finished_at oom_killed ip pid mounts endpoints restart_count manually_stopped "
    "links macs"
)
SAVED = _SAVED.split()


@dataclass
class Container:
    id: str
    name: str
    created: str  # RFC 3339 with nanoseconds
    image: str  # as the client named it
    image_id: str
    config: dict[str, Any]  # Docker's Config
    host_config: dict[str, Any]  # Docker's HostConfig
    folder: Path
    mounts: list[dict[str, Any]] = field(default_factory=list)  # MountPoint's fields
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)  # by network, as inspect shows them
    links: dict[str, str] = field(default_factory=dict)  # alias -> ID of another one (containers_links)
    macs: dict[str, str] = field(default_factory=dict)  # by network, where the client has chosen one
    sandbox_id: str = ""
    runtime_id: str = ""
    status: str = "created"  # created | running | paused | restarting | exited
    exit_code: int = 0
    error: str = ""
    started_at: str = NEVER
    finished_at: str = NEVER
    oom_killed: bool = False
    ip: str = ""
    pid: int = 0
    restart_count: int = 0
    manually_stopped: bool = False
    ports: PublishedPorts | None = None
    health: Monitor | None = None
    health_task: asyncio.Task[None] | None = None
    restarting: asyncio.Task[None] | None = None  # waits for the next start
    backoff: float = 0.0  # seconds that the last restart waited
    exec_ids: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # what was asked for and is not to be had here
    ends: int = 0  # how often a run of it has ended, or failed to start, since the engine began
    stops: int = 0  # the same, but for those that a restart followed
    removed: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)  # of status, ends, removed
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while it is started, stopped or removed

    @property
    def running(self) -> bool:
        """As Docker says it: paused and restarting ones run, too."""
        return self.status in ("running", "paused", "restarting")

    @property
    def alive(self) -> bool:
        """Whether it has a process."""
        return self.status in ("running", "paused")

    @property
    def auto_remove(self) -> bool:
        return bool(self.host_config.get("AutoRemove"))

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.id}.log"

    @property
    def hostname(self) -> str:
        return self.config.get("Hostname") or self.id[:12]

    @property
    def mount_points(self) -> list[MountPoint]:
        return from_record(self.mounts)

    def attributes(self, **more: str) -> dict[str, str]:
        """What an event tells of it."""
        return {**self.config["Labels"], "image": self.image, "name": self.name, **more}

    def save(self) -> None:
        """Write the record, renamed into place."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.folder / "container.json.new"
        fresh.write_text(json.dumps({name: getattr(self, name) for name in SAVED}))
        fresh.replace(self.folder / "container.json")

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    async def tell(self) -> None:
        """Save, and wake who waits for a change."""
        if not self.removed:
            self.save()
        async with self.changed:
            self.changed.notify_all()

    async def end_after(self, ends: int) -> None:
        """Wait until it has ended more often than `ends` times, or is removed."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.ends > ends or self.removed)

    async def removal(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.removed)


def load(folder: Path) -> Container | None:
    """The container of a record, None where it was not written to the end."""
    try:
        saved = json.loads((folder / "container.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return Container(folder=folder, **{name: saved[name] for name in SAVED if name in saved})
