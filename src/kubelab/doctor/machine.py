"""The machine: Python, kernel, processors, memory, disk, limits of a process."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import kubelab
from kubelab.home import Home

from .finding import Finding, State

ENOUGH_MEMORY, ENOUGH_DISK = 1 << 30, 500 << 20  # bytes: engines, a kernel and pods; images and logs
ENOUGH_FILES = 1024  # descriptors of a process: one a connection, three a container


def examine(home: Home) -> Iterator[Finding]:
    yield Finding("kubelab", f"{kubelab.__version__}, Python {platform.python_version()} ({sys.executable})")
    yield Finding(
        "machine", f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} processors"
    )
    yield _user()
    yield _memory()
    yield _disk(home)
    yield _descriptors()


def _user() -> Finding:
    inside = next((name for name in ("/.dockerenv", "/run/.containerenv") if Path(name).exists()), "")
    return Finding("user", f"uid {os.getuid()}{', in a container' if inside else ''}")


def _memory() -> Finding:
    import psutil

    free = psutil.virtual_memory().available
    text = f"{free >> 20} MiB available"
    if free < ENOUGH_MEMORY:
        return Finding("memory", text, State.NOTE, f"{ENOUGH_MEMORY >> 20} MiB is comfortable: close other programs.")
    return Finding("memory", text)


def _disk(home: Home) -> Finding:
    folder = next(parent for parent in (home.path, *home.path.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free >> 20} MiB free below {home.path}"
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return Finding(
            "state",
            f"{folder} is not a folder that you can write to",
            State.FAILED,
            "Set KUBELAB_HOME to a folder of yours.",
        )
    if free < ENOUGH_DISK:
        return Finding("state", text, State.FAILED, "Free some space, or set KUBELAB_HOME to another disk.")
    return Finding("state", text)


def _descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{soft} open files a process (hard limit {hard})"
    if hard != resource.RLIM_INFINITY and hard < ENOUGH_FILES:
        return Finding(
            "limits", text, State.NOTE, f"Raise it to {ENOUGH_FILES} for many pods: ulimit -n {ENOUGH_FILES}."
        )
    return Finding("limits", text)
