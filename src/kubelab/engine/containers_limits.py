"""A container's resources and rights: what HostConfig asks for, checked in dockerd's words, for the runtime.

Upstream: moby's daemon/daemon_unix.go (verifyPlatformContainerResources, adaptContainerSettings, getCPUResources),
daemon/oci_linux.go (parseSecurityOpt, WithRlimits).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from kubelab.engine.errors import DockerError
from kubelab.runtime import capabilities
from kubelab.runtime.api import Resources, Security

Fields = dict[str, Any]

MINIMUM_MEMORY = 6 << 20
PERIOD = 100_000  # microseconds
SHM_SIZE = 64 << 20
_ULIMITS = "core cpu data fsize memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
ULIMITS = frozenset(_ULIMITS.split())
_NAMESPACED = ("net.", "fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm")


DISCARDED = {
    "MemorySwappiness": "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
    "Memory swappiness discarded.",
    "MemoryReservation": "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. "
    "Limitation discarded.",
    "OomKillDisable": "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    "BlkioWeight": "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
}
_DEVICE_RULE = re.compile(r"[acb] (\d+|\*):(\d+|\*) [rwm]{1,3}")


def check(host: Fields) -> None:
    """Raises DockerError 400."""
    check_resources(host)
    for rule in host.get("DeviceCgroupRules") or ():  # nothing denies what such a rule allows
        if not _DEVICE_RULE.fullmatch(rule):
            raise _bad(f"invalid device cgroup rule format: '{rule}'")
    if not -1000 <= (host.get("OomScoreAdj") or 0) <= 1000:
        raise _bad(f"Invalid value {host['OomScoreAdj']}, range for oom score adj is [-1000, 1000]")
    if (host.get("ShmSize") or 0) < 0:
        raise _bad("SHM size can not be less than 0")
    for field in ("CapAdd", "CapDrop"):
        host[field] = _capabilities(field, host.get(field))
    ulimits(host)
    no_new_privileges(host)
    for name in host.get("Sysctls") or {}:
        if not name.startswith(_NAMESPACED):
            raise _bad(f"sysctl '{name}' is not in a separate kernel namespace: this engine changes none of the host's")
    for group in host.get("GroupAdd") or ():
        if not group:
            raise _bad("invalid group: it is empty")


def check_resources(host: Fields) -> None:
    """Also for `docker update`. Raises DockerError 400."""
    memory, swap = host.get("Memory") or 0, host.get("MemorySwap") or 0
    if 0 < memory < MINIMUM_MEMORY:
        raise _bad("Minimum memory limit allowed is 6MB")
    if swap > 0 and not memory:
        raise _bad("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < swap < memory:
        raise _bad("Minimum memoryswap limit should be larger than memory limit, see usage")
    cpus, period, quota = (host.get(name) or 0 for name in ("NanoCpus", "CpuPeriod", "CpuQuota"))
    for value, name in ((period, "CPU Period"), (quota, "CPU Quota")):
        if cpus and value:
            raise _bad(f"Conflicting options: Nano CPUs and {name} cannot both be set")
    most = os.cpu_count() or 1
    if cpus and not 0 < cpus <= most * 10**9:
        raise _bad(f"Range of CPUs is from 0.01 to {most}.00, as there are only {most} CPUs available")
    if period and not 1000 <= period <= 1_000_000:
        raise _bad("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1000:
        raise _bad("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    reservation = host.get("MemoryReservation") or 0
    if 0 < reservation < MINIMUM_MEMORY:
        raise _bad("Minimum memory reservation allowed is 6MB")
    if 0 < memory < reservation:
        raise _bad("Minimum memory limit can not be less than memory reservation limit, see usage")
    cpuset(host)


def discard(host: Fields) -> list[str]:
    """Take out what no kernel that we are on enforces for us, as dockerd does; returns its warnings."""
    found = []
    for name, warning in DISCARDED.items():
        if host.get(name) not in (None, 0, False, -1):
            host[name] = None if name in ("MemorySwappiness", "OomKillDisable") else 0
            found.append(warning)
    return found


def cpuset(host: Fields) -> tuple[int, ...]:
    """The processors of `--cpuset-cpus`, () for all. Raises DockerError 400."""
    chosen = _numbers(host, "CpusetCpus", "cpuset cpus")
    there = os.sched_getaffinity(0)
    if not chosen <= there:
        raise _bad(f"Requested CPUs are not available - requested {host['CpusetCpus']}, available: {_ranges(there)}")
    if not _numbers(host, "CpusetMems", "cpuset mems") <= {0}:
        raise _bad(f"Requested memory nodes are not available - requested {host['CpusetMems']}, available: 0")
    return tuple(sorted(chosen))


def _numbers(host: Fields, field: str, name: str) -> set[int]:
    """Of `0-2,4` (moby: parsers.ParseUintList)."""
    found: set[int] = set()
    text = host.get(field) or ""
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(first) <= int(last) < 8192)):
            raise _bad(f"Invalid value {text} for {name}")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _ranges(numbers: set[int]) -> str:
    """`0-2,4`, as the kernel writes such a set."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def resources(host: Fields) -> Resources:
    """For the runtime. `--cpus` is a quota of the default period."""
    quota, period = host.get("CpuQuota") or 0, host.get("CpuPeriod") or 0
    if host.get("NanoCpus"):
        quota, period = host["NanoCpus"] * PERIOD // 10**9, PERIOD
    return Resources(
        memory_limit=host.get("Memory") or 0,
        memory_swap=host.get("MemorySwap") or 0,
        cpu_shares=host.get("CpuShares") or 0,
        cpu_quota=max(quota, 0),
        cpu_period=period,
        pids_limit=max(host.get("PidsLimit") or 0, 0),
        cpuset_cpus=cpuset(host),
    )


def complete(host: Fields) -> None:
    """A memory limit without one for swap allows as much swap again (adaptContainerSettings)."""
    if host.get("Memory") and not host.get("MemorySwap"):
        host["MemorySwap"] = 2 * host["Memory"]


def security(host: Fields, groups: tuple[int, ...] = ()) -> Security:
    return Security(
        add_capabilities=tuple(host.get("CapAdd") or ()),
        drop_capabilities=tuple(host.get("CapDrop") or ()),
        no_new_privileges=no_new_privileges(host),
        supplementary_groups=groups,
    )


def _capabilities(field: str, names: list[str] | None) -> list[str] | None:
    """As dockerd writes them down: `net_admin` is CAP_NET_ADMIN."""
    found = []
    for name in names or ():
        try:
            short = capabilities.normalize(name)
        except ValueError:
            full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
            raise _bad(f'invalid {field}: unknown capability: "{full}"') from None
        found.append(short if short == capabilities.ALL else f"CAP_{short}")
    return found if names else names


def no_new_privileges(host: Fields) -> bool:
    """Raises DockerError 400 for any other security option."""
    found = False
    for option in host.get("SecurityOpt") or ():
        name, _, value = option.replace(":", "=", 1).partition("=")
        if name == "no-new-privileges" and value in ("", "true", "false"):
            found = value != "false"
        elif option not in ("seccomp=unconfined", "apparmor=unconfined", "label=disable"):  # what is in force anyway
            raise _bad(f'invalid --security-opt: "{option}" is not supported by this engine')
    return found


def ulimits(host: Fields) -> tuple[tuple[str, int, int], ...]:
    """Raises DockerError 400."""
    found = []
    for each in host.get("Ulimits") or ():
        name, soft, hard = each.get("Name", ""), each.get("Soft", 0), each.get("Hard", 0)
        if name not in ULIMITS:
            raise _bad(f"invalid ulimit type: {name}")
        if soft > hard >= 0:
            raise _bad(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
        found.append((name, soft, hard))
    return tuple(found)


def groups(host: Fields, root_file: Path | None) -> tuple[int, ...]:
    """GroupAdd as numbers; names are the image's. Raises DockerError 400 for one that it has not."""
    numbers = {}
    if root_file is not None:
        lines = [line.split(":") for line in root_file.read_text(errors="replace").splitlines()]
        numbers = {fields[0]: fields[2] for fields in lines if len(fields) > 2}
    found = []
    for group in host.get("GroupAdd") or ():
        number = numbers.get(group, group)
        if not number.isdecimal():
            raise _bad(f"Unable to find group {group}")
        found.append(int(number))
    return tuple(found)


def _bad(message: str) -> DockerError:
    return DockerError(400, message)
