"""The small tools of the base image: a POSIX shell and what one types into it, copied from the host.

A tool that the host does not have is left out, unless busybox is there to stand in for it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from kubelab.images.elf import is_elf
from kubelab.images.tree import Tree

TOOLS = (
    "sh", "bash", "busybox", "cat", "ls", "cp", "mv", "rm", "mkdir", "rmdir", "ln", "touch", "chmod", "chown",
    "stat", "du", "df", "head", "tail", "wc", "sort", "uniq", "cut", "tr", "tee", "seq", "expr",
    "grep", "sed", "awk", "find", "xargs", "ps", "top", "free", "pgrep", "pkill", "kill", "sleep", "timeout", "date",
    "env", "printenv", "id", "whoami", "hostname", "uname", "nproc",
    "echo", "printf", "true", "false", "test", "[", "yes", "pwd", "basename", "dirname", "readlink", "realpath",
    "mktemp", "mount", "umount", "which", "getent",
    "md5sum", "sha256sum", "base64", "od", "dd", "tar", "gzip", "cmp", "diff", "ip", "ss", "ping",
)  # fmt: skip
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/sbin"


def find() -> dict[str, Path]:
    """The tools that this host has: name → program, links followed (several names may share one, as with busybox)."""
    path = os.environ.get("PATH", "") + ":" + _PATH
    found = {name: Path(where).resolve() for name in TOOLS if (where := shutil.which(name, path=path))}
    usable = {name: program for name, program in found.items() if _runs_anywhere(program)}
    if busybox := usable.get("busybox"):
        usable |= {name: busybox for name in TOOLS if name not in usable}
    return usable


def _runs_anywhere(program: Path) -> bool:
    """Whether it is a binary, or a script for the POSIX shell, which the image has."""
    try:
        if is_elf(program):
            return True
        with program.open("rb") as file:
            return file.readline().strip() in (b"#!/bin/sh", b"#! /bin/sh")
    except OSError:
        return False


def add_to(tree: Tree) -> list[Path]:
    """Plan the tools in /usr/bin; returns the ELF files among them."""
    tools = find()
    for name, program in tools.items():
        tree.file(f"/usr/bin/{program.name}", program, mode=0o755)
        if name != program.name:
            tree.link(f"/usr/bin/{name}", program.name)
    return [program for program in sorted(set(tools.values())) if is_elf(program)]
