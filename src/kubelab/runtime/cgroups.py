"""Control groups: a cgroup for each container, below one of the daemon's own, wherever such can be made (cgroups(7)).

Version 1 has one hierarchy a controller, version 2 a single one; which there is, and what may be written, is found by
trying. Limits, out-of-memory kills and figures then come from the kernel; where a controller cannot be had the daemon
falls back (`kubelab.runtime.memory`, SIGSTOP), and says so in `limits()`.

Sources: the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst; the conversion from shares to a weight is
the OCI runtime specification's (runc, libcontainer/cgroups: ConvertCPUSharesToCgroupV2Value).
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from kubelab.runtime import proc
from kubelab.runtime.api import Resources

CONTROLLERS = ("memory", "cpu", "cpuacct", "pids", "freezer")
PREFIX = "kubelab-"  # of the daemon's own cgroups: kubelab-PID-STARTTIME
_IN_V2 = "+memory +cpu +pids"
_UNLIMITED = 1 << 62  # what version 1 shows for no limit is a little below 2^63
_DEFAULT_PERIOD = 100_000  # microseconds
_FREEZE_SECONDS = 2.0
_REMOVE_SECONDS = 2.0


@dataclass(frozen=True)
class Usage:
    """What a cgroup has used: bytes and nanoseconds."""

    memory: int
    memory_limit: int
    memory_stat: dict[str, int]
    cpu: int
    cpu_user: int
    cpu_system: int
    throttling: tuple[int, int, int]
    pids: int

    @property
    def working_set(self) -> int:
        """Without the file cache that the kernel would give up first (cAdvisor's working set)."""
        inactive = self.memory_stat.get("total_inactive_file", self.memory_stat.get("inactive_file", 0))
        return max(self.memory - inactive, 0)


class Cgroup:
    """One container's. `folders` maps controllers to folders; in version 2 all of them are the same."""

    def __init__(self, folders: dict[str, Path], version: int) -> None:
        self._folders, self.version = folders, version

    def make(self, resources: Resources) -> None:
        for folder in self._each():
            folder.mkdir(parents=True, exist_ok=True)
        self.limit(resources)

    def _each(self) -> list[Path]:
        return list(dict.fromkeys(self._folders.values()))

    def limit(self, resources: Resources) -> None:
        """Put limits in force; a container that runs may be given others. Raises OSError where the kernel refuses."""
        for controller, name, value in _settings(self.version, resources):
            if folder := self._folders.get(controller):
                (folder / name).write_text(value)
        if "memory" in self._folders:
            self._limit_memory(resources)

    def _limit_memory(self, resources: Resources) -> None:
        """In version 1 memory may never be above memory and swap together, so the order depends on what is there."""
        folder, memory, swap = self._folders["memory"], resources.memory_limit or -1, resources.memory_swap or -1
        if self.version == 2:
            (folder / "memory.max").write_text(_or_max(memory))
            if (folder / "memory.swap.max").exists():
                (folder / "memory.swap.max").write_text(_or_max(swap - memory if swap > 0 else -1))
            return
        steps = [("memory.limit_in_bytes", memory), ("memory.memsw.limit_in_bytes", swap)]
        steps = [(name, value) for name, value in steps if (folder / name).exists()]
        try:
            for name, value in steps:
                (folder / name).write_text(str(value))
        except OSError:
            for name, value in reversed(steps):
                (folder / name).write_text(str(value))

    def open(self) -> list[int]:
        """Descriptors through which `enter` goes, for a process that will not see the cgroup file system then."""
        return [os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for folder in self._each()]

    def enforces(self, controller: str) -> bool:
        return controller in self._folders

    # -- looking

    def usage(self) -> Usage:
        read = self._read_v2 if self.version == 2 else self._read_v1
        return read()

    def _read_v1(self) -> Usage:
        tick = 1_000_000_000 // proc.TICK
        accounted, throttled = self._table("cpuacct", "cpuacct.stat"), self._table("cpu", "cpu.stat")
        limit = self._number("memory", "memory.limit_in_bytes")
        return Usage(
            memory=self._number("memory", "memory.usage_in_bytes"),
            memory_limit=limit if limit < _UNLIMITED else 0,
            memory_stat=self._table("memory", "memory.stat"),
            cpu=self._number("cpuacct", "cpuacct.usage"),
            cpu_user=accounted.get("user", 0) * tick,
            cpu_system=accounted.get("system", 0) * tick,
            throttling=tuple(throttled.get(name, 0) for name in ("nr_periods", "nr_throttled", "throttled_time")),
            pids=self._number("pids", "pids.current"),
        )

    def _read_v2(self) -> Usage:
        cpu = self._table("cpu", "cpu.stat")
        return Usage(
            memory=self._number("memory", "memory.current"),
            memory_limit=self._number("memory", "memory.max"),
            memory_stat=self._table("memory", "memory.stat"),
            cpu=cpu.get("usage_usec", 0) * 1000,
            cpu_user=cpu.get("user_usec", 0) * 1000,
            cpu_system=cpu.get("system_usec", 0) * 1000,
            throttling=(cpu.get("nr_periods", 0), cpu.get("nr_throttled", 0), cpu.get("throttled_usec", 0) * 1000),
            pids=self._number("pids", "pids.current"),
        )

    def oom_kills(self) -> int:
        """How many of its processes the kernel has killed for want of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        return self._table("memory", name).get("oom_kill", 0)

    def processes(self) -> list[int]:
        found: list[int] = []
        for folder in self._each()[:1]:
            with contextlib.suppress(OSError):
                found = [int(line) for line in (folder / "cgroup.procs").read_text().split()]
        return found

    def _number(self, controller: str, name: str) -> int:
        """0 where there is no such file, and for "max"."""
        try:
            text = (self._folders[controller] / name).read_text().strip()
        except (OSError, KeyError):
            return 0
        return int(text) if text.isdecimal() else 0

    def _table(self, controller: str, name: str) -> dict[str, int]:
        try:
            lines = (self._folders[controller] / name).read_text().splitlines()
        except (OSError, KeyError):
            return {}
        return {words[0]: int(words[1]) for words in map(str.split, lines) if len(words) == 2 and words[1].isdecimal()}

    # -- freezing, ending

    def freeze(self, frozen: bool) -> None:
        """Stop all of its processes, or let them go on. Raises TimeoutError where one cannot be stopped."""
        folder = self._folders["freezer"]
        if self.version == 2:
            (folder / "cgroup.freeze").write_text("1" if frozen else "0")
            return
        wanted = "FROZEN" if frozen else "THAWED"
        deadline = time.monotonic() + _FREEZE_SECONDS
        while True:
            (folder / "freezer.state").write_text(wanted)  # again: a fork may have got away from the first (runc does)
            if (folder / "freezer.state").read_text().strip() == wanted:
                return
            if time.monotonic() > deadline:
                (folder / "freezer.state").write_text("THAWED")
                raise TimeoutError("unable to freeze")
            time.sleep(0.001)

    def remove(self) -> bool:
        """False where a process is still in it."""
        for folder in self._each():
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True

    def remove_soon(self) -> None:
        """Wait for what is just dying. Only for processes that have nothing else to do."""
        deadline = time.monotonic() + _REMOVE_SECONDS
        while not self.remove() and time.monotonic() < deadline:
            time.sleep(0.002)


def enter(descriptors: list[int]) -> None:
    """Put the calling process into a cgroup that was opened before."""
    for descriptor in descriptors:
        os.write(descriptor, b"0")
        os.close(descriptor)


def _or_max(value: int) -> str:
    return "max" if value < 0 else str(value)


def _settings(version: int, wanted: Resources) -> list[tuple[str, str, str]]:
    """(controller, file, text) for processor time and processes; without a limit the kernel's default."""
    period, shares = wanted.cpu_period or _DEFAULT_PERIOD, wanted.cpu_shares or 1024
    quota = wanted.cpu_quota if wanted.cpu_quota > 0 else -1
    pids = ("pids", "pids.max", _or_max(wanted.pids_limit if wanted.pids_limit > 0 else -1))
    if version == 2:
        weight = 1 + (max(shares, 2) - 2) * 9999 // 262142 if wanted.cpu_shares else 100
        return [("cpu", "cpu.weight", str(weight)), ("cpu", "cpu.max", f"{_or_max(quota)} {period}"), pids]
    return [
        ("cpu", "cpu.shares", str(shares)),
        ("cpu", "cpu.cfs_period_us", str(period)),
        ("cpu", "cpu.cfs_quota_us", str(quota)),
        pids,
    ]


class Cgroups:
    """The daemon's own cgroup in each hierarchy where it can have one."""

    def __init__(self) -> None:
        self.version = 0  # 0: none can be had
        self._name = f"{PREFIX}{os.getpid()}-{_started(os.getpid())}"
        self._folders: dict[str, Path] = {}

    def start(self) -> None:
        """Find out by trying; remove what killed daemons left."""
        own = own_folders()
        sweep(own)
        for version in (1, 2):
            found = self._try_v1(own) if version == 1 else self._try_v2(own)
            if found:
                self.version, self._folders = version, found
                return

    def _try_v1(self, own: dict[str, Path]) -> dict[str, Path]:
        found = {}
        for controller in CONTROLLERS:
            if controller in own and _can_enter(own[controller] / self._name):
                found[controller] = own[controller] / self._name
        return found

    def _try_v2(self, own: dict[str, Path]) -> dict[str, Path]:
        """Below our own cgroup; where the kernel forbids that because there are processes in it, beside it."""
        if "" not in own:
            return {}
        for parent in (own[""], own[""].parent):
            folder = parent / self._name
            with contextlib.suppress(OSError):
                folder.mkdir(exist_ok=True)
                for each in (parent, folder):
                    _enable(each)
                controllers = (folder / "cgroup.subtree_control").read_text().split()
                if "memory" in controllers and _can_enter(folder / "try"):
                    (folder / "try").rmdir()
                    return {name: folder for name in (*controllers, "cpuacct", "freezer") if name in CONTROLLERS}
            with contextlib.suppress(OSError):
                folder.rmdir()
        return {}

    def enforces(self, controller: str) -> bool:
        return controller in self._folders

    def of(self, container_id: str) -> Cgroup | None:
        """None where no hierarchy can be written."""
        if not self._folders:
            return None
        folders = {name: folder / container_id for name, folder in self._folders.items()}
        return Cgroup(folders, self.version)

    def stop(self) -> None:
        for folder in set(self._folders.values()):
            _remove_tree(folder)


def _enable(folder: Path) -> None:
    for controller in _IN_V2.split():
        with contextlib.suppress(OSError):  # not delegated to us
            (folder / "cgroup.subtree_control").write_text(controller)


def _can_enter(folder: Path) -> bool:
    """Whether a child of ours can be put into a cgroup that we make; the folder stays."""
    try:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        with contextlib.suppress(OSError):
            folder.rmdir()
        return False
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(descriptor, b"0")
            status = 0
        finally:
            os._exit(status)
    os.close(descriptor)
    return os.waitpid(child, 0)[1] == 0


def own_folders() -> dict[str, Path]:
    """Controller -> the folder of the cgroup that we are in; "" is version 2's."""
    mounts = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split()[:3]
        if kind in ("cgroup", "cgroup2"):
            mounts.update(dict.fromkeys(options.split(",") if kind == "cgroup" else [""], (root, point)))
    found = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                root, point = mounts[controller]
                inside = path.removeprefix(root.rstrip("/")) if path.startswith(root) else ""
                if ".." not in inside.split("/"):
                    found[controller] = Path(point) / inside.strip("/")
    return found


def sweep(own: dict[str, Path] | None = None) -> None:
    """Remove the cgroups of daemons that are gone; one that still has processes stays."""
    for controller, folder in (own or own_folders()).items():
        if controller in (*CONTROLLERS, ""):
            for left in (*folder.glob(f"{PREFIX}*"), *(folder.parent.glob(f"{PREFIX}*") if not controller else ())):
                pid, _, started = left.name.removeprefix(PREFIX).partition("-")
                if _started(int(pid) if pid.isdecimal() else 0) != started:
                    _remove_tree(left)


def _started(pid: int) -> str:
    """The kernel's ticks at which a process started, by which a reused PID is told; "" where it is gone."""
    status = proc.stat(pid)
    return str(status.start_ticks) if status else ""


def _remove_tree(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for inner in [each for each in folder.iterdir() if each.is_dir()]:
            _remove_tree(inner)
        folder.rmdir()
