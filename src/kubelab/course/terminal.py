"""Run a command as one would in a terminal, pointed at the lab's engines: the twin of what a cell did from Python."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .lab import Lab

TIMEOUT = 60  # seconds; a command that waits for more is none for a cell


def run(lab: Lab, command: str) -> None:
    """Print a command and what it prints, both streams; where its program is not installed, say so instead."""
    program, *_ = arguments = shlex.split(command)
    print(f"$ {command}")
    if shutil.which(program) is None:
        print(f"({program} is not installed on this computer; the course does not need it.)")
        return
    done = subprocess.run(
        arguments,
        env=environment(lab),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    print(done.stdout.rstrip())


def environment(lab: Lab) -> dict[str, str]:
    """What `eval "$(kubelab env)"` sets; of KUBECONFIG with a cluster of one's own, what is set already."""
    found = dict(os.environ)
    found["DOCKER_HOST"] = lab.docker_address.url
    if lab.engines.kubeconfig:
        found["KUBECONFIG"] = str(lab.engines.kubeconfig)
    return found
