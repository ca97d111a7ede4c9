"""Becoming the container's program: what the forked child does last, between its isolation and execve(2).

The order and the messages are runc's (libcontainer/init_linux.go, standard_init_linux.go).
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from kubelab.runtime import capabilities, init, syscalls, users
from kubelab.runtime.api import ContainerConfig, Security

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


NO_MORE = Security()


class StartError(Exception):
    """The program could not be started; the message is runc's."""


@dataclass(frozen=True)
class Process:
    """What to execute, as the container's config or an exec request says it."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    working_dir: str
    user: str
    hostname: str
    tty: bool = False
    security: Security = NO_MORE
    ulimits: tuple[tuple[str, int, int], ...] = ()
    oom_score_adj: int = 0
    init: bool = False
    cpus: tuple[int, ...] = ()

    @classmethod
    def first(cls, config: ContainerConfig, hostname: str) -> Process:
        """A container's own program."""
        return cls(
            config.argv, config.env, config.working_dir, config.user, hostname, config.tty,
            config.security, config.ulimits, config.oom_score_adj, config.init, config.resources.cpuset_cpus,
        )  # fmt: skip


def environment(process: Process, home: str) -> dict[str, str]:
    """The given variables, and those that every container has: PATH, HOSTNAME, HOME, with a terminal TERM."""
    always = {"PATH": DEFAULT_PATH, "HOSTNAME": process.hostname, "HOME": home}
    if process.tty:
        always["TERM"] = "xterm"
    return always | dict(process.env)


def execute(process: Process) -> NoReturn:
    """Become `process`, as root of the container's file system and namespaces. Raises StartError."""
    try:
        user = users.lookup(process.user)
    except ValueError as error:
        raise StartError(str(error)) from None
    reset_signals()
    if process.init:
        init.become()
    limit(process)
    enter_working_dir(process.working_dir or "/")
    security = process.security
    syscalls.limit_capabilities(capabilities.wanted(security.add_capabilities, security.drop_capabilities))
    switch_user(user, security.supplementary_groups)
    if security.no_new_privileges:
        syscalls.forbid_new_privileges()
    syscalls.die_with_parent(signal.SIGKILL)  # after the change of user, which undoes it
    env = environment(process, user.home)
    replace_program(find_program(process.argv[0], env["PATH"]), process.argv, env)


def limit(process: Process) -> None:
    """Its resource limits, its processors, its place in the order of the out-of-memory killer. Raises StartError."""
    for name, soft, hard in process.ulimits:
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (soft, hard))
        except (OSError, ValueError) as error:
            raise StartError(f"error setting rlimit type {name}: {error}") from None
    if process.cpus:
        try:
            os.sched_setaffinity(0, process.cpus)  # no cgroup of ours has a cpuset; what it starts inherits this
        except OSError as error:
            raise StartError(f"error setting cpuset to {process.cpus}: {_reason(error)}") from None
    if process.oom_score_adj:
        try:
            Path("/proc/self/oom_score_adj").write_text(str(process.oom_score_adj))
        except PermissionError:  # lowering it takes rights over the host, and runc goes on without them, too
            return


def enter_working_dir(path: str) -> None:
    """Make the folder where it is missing, as runc does, and go there."""
    try:
        Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)
        os.chdir(path)
    except OSError as error:
        raise StartError(f'chdir to cwd ("{path}") set in config.json failed: {_reason(error)}') from None


def reset_signals() -> None:
    """Default handlers and an empty mask; Python ignores SIGPIPE and SIGXFSZ, and an ignored signal survives execve."""
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(signum, signal.SIG_DFL)
        except OSError:  # the C library keeps two real-time signals to itself
            continue
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    os.umask(0o022)


def switch_user(user: users.User, further: tuple[int, ...] = ()) -> None:
    """Become the user; where its ID is not mapped, in a nested user namespace in which our one user has that ID."""
    try:
        if user.groups or user.uid or user.gid or further:
            _set_groups(list(dict.fromkeys((user.gid, *user.groups, *further))))  # the first, too: CVE-2022-36109
        os.setgid(user.gid)
        os.setuid(user.uid)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise StartError(f"setuid {user.uid}:{user.gid}: {_reason(error)}") from None
        _rename_user(user)


def _set_groups(groups: list[int]) -> None:
    try:
        os.setgroups(groups)
    except PermissionError:  # an ordinary user's namespace denies setgroups(2) to all that is in it
        return


def _rename_user(user: users.User) -> None:
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    Path("/proc/self/uid_map").write_text(f"{user.uid} 0 1")
    Path("/proc/self/gid_map").write_text(f"{user.gid} 0 1")


def find_program(name: str, path: str) -> str:
    """Where the program is, as Go's exec.LookPath finds it. Raises StartError in runc's words."""
    if "/" in name:
        problem = _not_executable(name)
        if problem:
            raise StartError(f'exec: "{name}": {problem}')
        return name
    denied = False
    for folder in path.split(":"):
        candidate = f"{folder or '.'}/{name}"
        problem = _not_executable(candidate)
        if not problem:
            return candidate
        denied = denied or problem == "permission denied"
    raise StartError(f'exec: "{name}": {"permission denied" if denied else "executable file not found in $PATH"}')


def _not_executable(path: str) -> str:
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return f"stat {path}: {_reason(error)}"
    if stat.S_ISDIR(mode):
        return "is a directory"
    return "" if mode & 0o111 else "permission denied"


def replace_program(program: str, argv: tuple[str, ...], env: dict[str, str]) -> NoReturn:
    try:
        os.execve(program, list(argv), env)
    except OSError as error:
        raise StartError(f"exec {program}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno else str(error)).lower()


def take_terminal() -> int:
    """Open a pseudo-terminal of the /dev in force, make it our controlling terminal and our stdio. Returns its master.

    The caller leads a session without a terminal (setsid(2)).
    """
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    use_stdio(slave, slave, slave)
    os.close(slave)
    return master


def use_stdio(stdin: int, stdout: int, stderr: int) -> None:
    for number, descriptor in enumerate((stdin, stdout, stderr)):
        os.dup2(descriptor, number, inheritable=True)
