"""A container's mounts: binds, volumes and tmpfs from `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image.

Upstream: moby's volume/mounts (linux_parser.go) and daemon/volumes.go (registerMountPoints), whose order decides which
of two wins. Binds are only of folders that the student works in (`Folders`), and the rest is refused by name.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubelab.engine.errors import DockerError
from kubelab.runtime.api import Mount

Fields = dict[str, Any]

_MODES = frozenset(["ro", "rw", "z", "Z", "nocopy", "private", "rprivate", "consistent", "cached", "delegated"])
_TMPFS_FLAGS = ("noexec", "nosuid", "nodev", "noatime")
_TMPFS_DEFAULT = ("noexec", "nosuid", "nodev")
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class MountPoint:
    """One mount of a container, as it is kept in its record."""

    type: str  # "bind" | "volume" | "tmpfs"
    destination: str
    source: str = ""  # the host's path; "" for tmpfs
    name: str = ""  # the volume's
    mode: str = ""
    readonly: bool = False
    copy: bool = True  # a new volume gets what the image has there
    sub_path: str = ""
    anonymous: bool = False
    size: int = 0
    permissions: int = 0o1777
    options: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """What of the host is mounted."""
        return Path(self.source, self.sub_path)

    def for_runtime(self) -> Mount:
        if self.type == "tmpfs":
            return Mount(
                self.destination, readonly=self.readonly, type="tmpfs", size=self.size, mode=self.permissions,
                options=self.options,
            )  # fmt: skip
        return Mount(self.destination, self.source, self.readonly, self.sub_path)

    def shown(self) -> Fields:
        """As `docker inspect` has it."""
        if self.type == "tmpfs":
            return {"Type": "tmpfs", "Source": "", "Destination": self.destination, "Mode": "", "RW": not self.readonly,
                    "Propagation": ""}  # fmt: skip
        common = {"Source": self.source, "Destination": self.destination}
        rest = {"Mode": self.mode, "RW": not self.readonly}
        if self.type == "volume":
            return {"Type": "volume", "Name": self.name, **common, "Driver": "local", **rest, "Propagation": ""}
        return {"Type": "bind", **common, **rest, "Propagation": "rprivate"}


def from_record(saved: Iterable[Fields]) -> list[MountPoint]:
    return [MountPoint(**each | {"options": tuple(each["options"])}) for each in saved]


@dataclass(frozen=True)
class Folders:
    """Which of the host's folders may be bound: those below `allowed`, none below `closed` (the lab's own)."""

    allowed: tuple[Path, ...]
    closed: tuple[Path, ...]

    def check(self, source: str) -> None:
        """Raises DockerError 400. What counts is where the path's links lead."""
        real = Path(source).resolve()
        if any(real.is_relative_to(folder) for folder in self.closed):
            raise DockerError(400, f"cannot bind {source}: it belongs to the lab itself")
        if not any(real.is_relative_to(folder) for folder in self.allowed):
            may = ", ".join(str(folder) for folder in self.allowed)
            raise DockerError(400, f"cannot bind {source}: this engine binds only what is below {may}")


def parse(
    config: Fields, host: Fields, folders: Folders, from_container: Callable[[str], list[MountPoint]]
) -> list[MountPoint]:
    """All that is asked for, the image's volumes included. Volumes have names, or are anonymous; where they are on
    disk is not known yet. Raises DockerError."""
    found: dict[str, MountPoint] = {}
    for text in host.get("VolumesFrom") or ():
        name, _, mode = text.partition(":")
        for each in from_container(name):
            readonly = each.readonly or mode == "ro"
            found[each.destination] = dataclasses.replace(each, readonly=readonly, anonymous=False)
    given: set[str] = set()
    asked = [bind(text) for text in host.get("Binds") or ()] + [mount(each) for each in host.get("Mounts") or ()]
    for each in asked + [tmpfs(path, options) for path, options in (host.get("Tmpfs") or {}).items()]:
        if each.destination in given:
            raise DockerError(400, f"Duplicate mount point: {each.destination}")
        given.add(each.destination)
        if each.type == "bind":
            folders.check(each.source)
        found[each.destination] = each
    for path in config.get("Volumes") or ():
        found.setdefault(_clean(path), MountPoint("volume", _clean(path), anonymous=True))
    if (host.get("VolumeDriver") or "local") != "local" and any(each.type == "volume" for each in found.values()):
        name = next(each.name for each in found.values() if each.type == "volume")
        raise no_driver(name, host["VolumeDriver"])
    return list(found.values())


def no_driver(name: str, driver: str) -> DockerError:
    return DockerError(404, f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')


def bind(text: str) -> MountPoint:
    """`source:target[:mode]` or a target alone; a source that is no path is a volume's name."""
    parts = text.split(":")
    if len(parts) == 1:
        return MountPoint("volume", _target(text, parts[0], "volume"), anonymous=True)
    if len(parts) > 3 or not all(parts[:2]):
        raise DockerError(400, f"invalid volume specification: '{text}'")
    source, target, mode = (*parts, "")[:3]
    modes = [each for each in mode.split(",") if each]
    if set(modes) - _MODES or {"ro", "rw"} <= set(modes):
        raise DockerError(400, f"invalid mode: {mode}")
    readonly = "ro" in modes
    if source.startswith("/"):
        return MountPoint("bind", _target(text, target, "bind"), _clean(source), mode=mode, readonly=readonly)
    destination = _target(text, target, "volume")
    return MountPoint(
        "volume", destination, name=source, mode=mode or "z", readonly=readonly, copy="nocopy" not in modes
    )


def _target(text: str, path: str, kind: str) -> str:
    where = f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": "
    if not path.startswith("/"):
        raise DockerError(400, f"{where}invalid mount path: '{path}' mount path must be absolute")
    if _clean(path) == "/":
        raise DockerError(400, f"{where}invalid specification: destination can't be '/'")
    return _clean(path)


def mount(asked: Fields) -> MountPoint:
    """One of HostConfig.Mounts. Raises DockerError 400."""
    kind, target, source = asked.get("Type") or "", asked.get("Target") or "", asked.get("Source") or ""
    where = f'invalid mount config for type "{kind}": '
    if kind not in ("bind", "volume", "tmpfs"):
        raise DockerError(400, f"mount type {kind or 'unknown'} is not supported by this engine")
    if not target:
        raise DockerError(400, where + "field Target must not be empty")
    if not target.startswith("/"):
        raise DockerError(400, f"{where}invalid mount path: '{target}' mount path must be absolute")
    if _clean(target) == "/":
        raise DockerError(400, where + "invalid specification: destination can't be '/'")
    target, readonly = _clean(target), bool(asked.get("ReadOnly"))
    if kind == "tmpfs":
        if source:
            raise DockerError(400, where + "field Source must not be specified")
        options = asked.get("TmpfsOptions") or {}
        size, mode = options.get("SizeBytes") or 0, options.get("Mode") or 0o1777
        return MountPoint("tmpfs", target, readonly=readonly, size=size, permissions=mode, options=_TMPFS_DEFAULT)
    if kind == "bind":
        return _bind_mount(asked, where, target, source, readonly)
    options = asked.get("VolumeOptions") or {}
    if (driver := (options.get("DriverConfig") or {}).get("Name") or "local") != "local":
        raise no_driver(source, driver)
    return MountPoint(
        "volume", target, name=source, mode="z", readonly=readonly, copy=not options.get("NoCopy"),
        sub_path=options.get("Subpath") or "", anonymous=not source,
    )  # fmt: skip


def _bind_mount(asked: Fields, where: str, target: str, source: str, readonly: bool) -> MountPoint:
    options = asked.get("BindOptions") or {}
    if options.get("Propagation") not in (None, "", "private", "rprivate"):
        raise DockerError(400, f"{where}propagation {options['Propagation']} is not supported by this engine")
    if not source:
        raise DockerError(400, where + "field Source must not be empty")
    if not source.startswith("/"):
        raise DockerError(400, f"{where}invalid mount path: '{source}' mount path must be absolute")
    if not Path(source).exists() and not options.get("CreateMountpoint"):
        raise DockerError(400, f"{where}bind source path does not exist: {source}")
    return MountPoint("bind", target, _clean(source), readonly=readonly)


def tmpfs(path: str, text: str) -> MountPoint:
    """`--tmpfs /path:options`. Raises DockerError 400."""
    size, permissions, readonly, flags = 0, 0o1777, False, list(_TMPFS_DEFAULT)
    for option in filter(None, text.split(",")):
        name, _, value = option.partition("=")
        if name == "size" and (found := re.fullmatch(r"(\d+)([bkmg]?)", value.lower())):
            size = int(found[1]) * _UNITS[found[2]]
        elif name == "mode" and re.fullmatch("[0-7]{3,4}", value):
            permissions = int(value, 8)
        elif option in ("ro", "rw"):
            readonly = option == "ro"
        elif option in _TMPFS_FLAGS:
            flags = [*dict.fromkeys((*flags, option))]
        elif f"no{option}" in _TMPFS_FLAGS:
            flags = [each for each in flags if each != f"no{option}"]
        else:
            raise DockerError(400, f'invalid tmpfs option ["{option}"]')
    destination = _target(f"{path}:{text}", path, "tmpfs")
    return MountPoint("tmpfs", destination, readonly=readonly, size=size, permissions=permissions, options=tuple(flags))


def make_missing(points: Iterable[MountPoint]) -> None:
    """A folder that `-v` binds is made where the host has none."""
    for each in points:
        if each.type == "bind" and not Path(each.source).exists():
            Path(each.source).mkdir(parents=True)


def _clean(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
