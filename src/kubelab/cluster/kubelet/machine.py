"""What the node says of the machine it runs on: capacity, and the facts of `status.nodeInfo`.

Upstream: pkg/kubelet/cadvisor and pkg/kubelet/nodestatus (MachineInfo, VersionInfo), which read the same files.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from functools import cache
from pathlib import Path

import kubelab
from kubelab.cluster import quantity
from kubelab.cluster.version import GIT_VERSION

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


@cache
def architecture() -> str:
    """Go's name of the processor's architecture."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def operating_system() -> str:
    return platform.system().lower()


def capacity(folder: Path, max_pods: int) -> dict[str, str]:
    """The whole machine, whatever else runs on it: each node of the lab says the same, as they share it."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{memory}Ki",
        "ephemeral-storage": f"{shutil.disk_usage(folder).total // 1024}Ki",
        "pods": str(max_pods),
        **_huge_pages(),
    }


def _huge_pages() -> dict[str, str]:
    """`hugepages-2Mi: 0`: every size that the processor has, as cAdvisor finds them."""
    found = {}
    for each in sorted(Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB")):
        size = int(each.name.removeprefix("hugepages-").removesuffix("kB"))
        with contextlib.suppress(OSError):
            total = int((each / "nr_hugepages").read_text()) * size
            found[f"hugepages-{quantity.canonical(f'{size}Ki')}"] = quantity.canonical(f"{total}Ki")
    return found


@cache
def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().split("\n", 1)[0].strip()
    except OSError:
        return ""


def _os_image() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return f"{platform.system()} {platform.release()}"


def node_info() -> dict[str, str]:
    return {
        "machineID": _first_line("/etc/machine-id"),
        "systemUUID": _first_line("/sys/class/dmi/id/product_uuid") or _first_line("/etc/machine-id"),
        "bootID": _first_line("/proc/sys/kernel/random/boot_id"),
        "kernelVersion": platform.release(),
        "osImage": _os_image(),
        "containerRuntimeVersion": f"kubelab://{kubelab.__version__}",
        "kubeletVersion": GIT_VERSION,
        "kubeProxyVersion": "",  # a kubelet cannot know it, and since 1.33 does not say (DisableNodeKubeProxyVersion)
        "operatingSystem": operating_system(),
        "architecture": architecture(),
    }
