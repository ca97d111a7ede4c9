"""Which isolation level works here: found by trying it, because a setting that allows one proves nothing under a
seccomp filter or an AppArmor profile.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from kubelab.home import Home
from kubelab.runtime import syscalls, userns
from kubelab.runtime.api import Level, MachineConfig, RuntimeServiceError
from kubelab.runtime.isolation import Isolation
from kubelab.runtime.namespaces import Namespaces
from kubelab.runtime.network import LAN
from kubelab.runtime.plain import Plain

VARIABLE = "KUBELAB_RUNTIME"
_TIME_LIMIT = 5  # seconds, for a kernel or file system that hangs
_OF_A_CONTAINER = syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWPID


@dataclass(frozen=True)
class Attempt:
    """What became of trying one level: the `steps` that worked, then the one that `failed`, "" where none did."""

    level: Level
    works: bool
    steps: tuple[str, ...]
    failed: str = ""
    error: str = ""
    advice: str = ""


def choose(home: Home) -> tuple[Isolation, list[dict[str, Any]]]:
    """The best level that works, or the one that `$KUBELAB_RUNTIME` names; with the attempts, as JSON's types.

    Raises RuntimeServiceError where the one that was asked for does not work, or none can.
    """
    if sys.platform != "linux":
        message = f"the runtime needs Linux, and this is {sys.platform}: run the lab in a virtual machine or on Binder"
        raise RuntimeServiceError("FailedPrecondition", message)
    forced = os.environ.get(VARIABLE, "")
    if forced not in ("", *Level):
        raise RuntimeServiceError(
            "InvalidArgument", f"${VARIABLE} is {forced!r}: it has to be one of {', '.join(Level)}"
        )
    attempts = [] if forced == Level.PROCESS else [try_namespaces(home.runtime)]
    if forced == Level.NAMESPACES and not attempts[0].works:
        raise RuntimeServiceError("FailedPrecondition", f"${VARIABLE} asks for namespaces. {explain(attempts[0])}")
    works = bool(attempts) and attempts[0].works
    if not works:
        attempts.append(Attempt(Level.PROCESS, True, ("start processes",)))
    return Namespaces(home) if works else Plain(home), [dataclasses.asdict(each) for each in attempts]


def explain(attempt: Attempt) -> str:
    """One attempt in a sentence or two, for people."""
    if attempt.works:
        return f"The level {attempt.level} works: {', '.join(attempt.steps)}."
    return f"The level {attempt.level} does not work here: {attempt.failed} failed ({attempt.error}). {attempt.advice}"


def try_namespaces(folder: Path) -> Attempt:
    """Make the parts of a container in a child: user namespace, network, overlayfs in `folder`, a program."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="try-", dir=folder))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _try_in_child(scratch, writer)
    os.close(writer)
    with os.fdopen(reader) as answer:
        found = json.loads(answer.read() or '{"steps": [], "failed": "the first step", "error": "the child died"}')
    os.waitpid(child, 0)
    shutil.rmtree(scratch, ignore_errors=True)
    failed, error = found.get("failed", ""), found.get("error", "")
    advice = _advice(failed, found.get("errno", 0)) if failed else ""
    return Attempt(Level.NAMESPACES, not failed, tuple(found["steps"]), failed, error, advice)


def _try_in_child(scratch: Path, answer: int) -> NoReturn:
    """Report the steps that worked, and the one that did not with its error."""
    steps = {
        "enter a user namespace": userns.enter,
        "make a network": lambda: asyncio.run(_make_network()),
        "mount overlayfs": lambda: _mount_overlay(scratch),
        "make namespaces for processes": lambda: syscalls.unshare(_OF_A_CONTAINER),
        "run a program": _run_program,
    }
    gc.disable()  # a collection would copy all pages that are shared with the parent
    signal.alarm(_TIME_LIMIT)  # a signal whose default is to end the process
    found: dict[str, Any] = {"steps": []}
    for name, step in steps.items():
        try:
            step()
        except Exception as error:  # of whichever kind: nothing may lead this child back into its parent's code
            found |= {"failed": name, "error": str(error), "errno": getattr(error, "errno", 0)}
            break
        found["steps"].append(name)
    os.write(answer, json.dumps(found).encode())
    os._exit(0)


async def _make_network() -> None:
    lan = LAN()
    await lan.start()
    await lan.add(MachineConfig("try", "172.31.0.11/24", "10.244.1.0/24"))


def _mount_overlay(scratch: Path) -> None:
    for name in ("lower", "upper", "work", "merged"):
        (scratch / name).mkdir()
    (scratch / "lower" / "file").touch()
    os.chdir(scratch)
    syscalls.mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work,userxattr")
    Path("merged/file").unlink()  # leaves a whiteout, which not every file system can hold
    os.chdir("/")
    syscalls.umount(scratch / "merged")


def _run_program() -> None:
    child = os.fork()
    if child == 0:
        program = ["/bin/true"] if Path("/bin/true").exists() else [sys.executable, "-ISc", "pass"]
        os.execv(program[0], program)
    _, status = os.waitpid(child, 0)
    if status:
        raise ChildProcessError(errno.ECHILD, f"it ended with {os.waitstatus_to_exitcode(status)}")


def _advice(failed: str, number: int) -> str:
    if failed == "enter a user namespace" or number == errno.EPERM:
        return (
            "User namespaces are forbidden here: by a container's seccomp filter (Docker: --security-opt "
            "seccomp=unconfined), by kernel.apparmor_restrict_unprivileged_userns (set it to 0) or by "
            "user.max_user_namespaces (raise it). The lab goes on with plain processes."
        )
    if failed == "mount overlayfs":
        return "It needs Linux 5.11, and $KUBELAB_HOME on a file system with xattrs that is not itself an overlay."
    return "The lab goes on with plain processes."
