"""Volumes: `docker volume create | ls | inspect | rm | prune`, and what a new one gets from the image.

Upstream: moby's volume/local, volume/service and daemon/volumes.go. A volume is a folder of the engine's with a record.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from kubelab.engine.containers_files import pack
from kubelab.engine.containers_mounts import no_driver
from kubelab.engine.errors import DockerError
from kubelab.engine.events import EventLog
from kubelab.images.unpack import unpack
from kubelab.images.view import MergedView

RULE = r"[a-zA-Z0-9][a-zA-Z0-9_.-]"
ANONYMOUS = "com.docker.volume.anonymous"  # the label of one that nobody has named
FILTERS = ("dangling", "driver", "label", "name")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
Users = Callable[[str], list[str]]  # a volume's name -> IDs of the containers that mount it


@dataclass
class Volume:
    name: str
    folder: Path
    created: str
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "_data"

    def shown(self) -> dict[str, Any]:
        return {
            "CreatedAt": self.created,
            "Driver": "local",
            "Labels": self.labels,
            "Mountpoint": str(self.data),
            "Name": self.name,
            "Options": self.options,
            "Scope": "local",
        }

    def size(self) -> int:
        return sum(each.lstat().st_size for each in self.data.rglob("*") if not each.is_dir())


@dataclass
class Volumes:
    """All volumes of the engine; `users` says who mounts one."""

    folder: Path
    events: EventLog
    users: Users = field(default=lambda _: [])
    _all: dict[str, Volume] = field(default_factory=dict)

    def load(self) -> None:
        for record in sorted(self.folder.glob("*/volume.json")):
            try:
                saved = json.loads(record.read_text())
            except ValueError:
                continue  # not written to the end
            self._all[saved["name"]] = Volume(folder=record.parent, **saved)

    def all(self) -> list[Volume]:
        return list(self._all.values())

    def find(self, name: str) -> Volume:
        """Raises DockerError 404."""
        try:
            return self._all[name]
        except KeyError:
            raise DockerError(404, f"get {name}: no such volume") from None

    def create(
        self, name: str = "", labels: dict[str, str] | None = None, options: dict[str, str] | None = None
    ) -> Volume:
        """The one that there is, or a new one. Raises DockerError 400."""
        name = name or secrets.token_hex(32)
        if name in self._all:
            return self._all[name]
        _check_name(name)
        for option in options or {}:
            raise DockerError(400, f'create {name}: invalid option: "{option}"')
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        volume = Volume(name, self.folder / name, created, labels, options)
        volume.data.mkdir(parents=True)
        saved = {key: value for key, value in asdict(volume).items() if key != "folder"}
        (volume.folder / "volume.json").write_text(json.dumps(saved))
        self._all[name] = volume
        self.events.publish("volume", "create", name, driver="local")
        return volume

    def remove(self, name: str, *, force: bool = False) -> None:
        """Raises DockerError 404 (not with `force`), 409 where a container has it."""
        if force and name not in self._all:
            return
        volume = self.find(name)
        if users := self.users(name):
            raise DockerError(409, f"remove {name}: volume is in use - [{', '.join(users)}]")
        shutil.rmtree(volume.folder, ignore_errors=True)
        del self._all[name]
        self.events.publish("volume", "destroy", name, driver="local")

    def select(self, filters: dict[str, list[str]]) -> Iterator[Volume]:
        for volume in self._all.values():
            checks = {
                "name": lambda value, it=volume: value in it.name,
                "driver": lambda value: value == "local",
                "dangling": lambda value, it=volume: (not self.users(it.name)) == _TRUTH.get(value, True),
            }
            if all(any(map(check, filters[name])) for name, check in checks.items() if name in filters) and has_labels(
                volume.labels or {}, filters.get("label", [])
            ):
                yield volume


def has_labels(labels: dict[str, str], wanted: list[str]) -> bool:
    """All of them: `name`, or `name=value`."""
    split = [each.partition("=") for each in wanted]
    return all(name in labels and (not equals or labels[name] == value) for name, equals, value in split)


def _check_name(name: str) -> None:
    if len(name) == 1:
        message = "volume name is too short, names should be at least two alphanumeric characters"
        raise DockerError(400, f"create {name}: {message}")
    if not re.fullmatch(f"{RULE}+", name):
        raise DockerError(
            400,
            f'create {name}: "{name}" includes invalid characters for a local volume name, only "{RULE}" are allowed. '
            "If you intended to pass a host directory, use absolute path",
        )


def check_driver(name: str, driver: str) -> None:
    if driver not in ("", "local"):
        raise no_driver(name, driver)


def copy_up(image: MergedView, path: str, target: Path) -> None:
    """What the image has at a volume's place goes into it while it is empty, owner and mode of the folder, too."""
    inside = PurePosixPath(image.resolve(path))
    found = image.find(str(inside))
    if found is None or not found.is_dir() or any(target.iterdir()):
        return
    with pack(image, inside, ".") as tar:
        unpack(tar, target)
    target.chmod(stat.S_IMODE(found.stat().st_mode))
