"""The level *process*, where namespaces cannot be had: plain processes of the host, each pod with a loopback address.

A container runs in a merged copy of its image, with the image's programs first in PATH; absolute paths that a program
opens lead to the host's files. `limits()` says what that means.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NoReturn

from kubelab.home import Home
from kubelab.images.view import MergedView
from kubelab.runtime import proc, process, rootcopy, syscalls
from kubelab.runtime.addresses import Addresses, needed_shift
from kubelab.runtime.api import (
    ContainerConfig,
    Endpoint,
    Level,
    MachineConfig,
    Mount,
    NetworkConfig,
    RuntimeServiceError,
)
from kubelab.runtime.isolation import Stdio
from kubelab.runtime.monitor import Launch
from kubelab.runtime.network import AddressPool
from kubelab.runtime.process import Process, StartError
from kubelab.runtime.sandbox import Sandbox
from kubelab.runtime.supervised import Supervised

GUEST = Path(__file__).parent / "guest"  # sitecustomize.py, for the Python programs of containers
MARK = "KUBELAB_CONTAINER"  # in the environment of all of a container's processes


class Plain:
    level = Level.PROCESS
    uid_map = ""

    def __init__(self, home: Home) -> None:
        self._folder = home.runtime
        self._machines: dict[str, tuple[MachineConfig, AddressPool]] = {}
        self._shift = 0
        self._lost: set[str] = set()  # containers whose monitor was killed

    async def start(self) -> None:
        syscalls.become_subreaper()
        self._shift = needed_shift("127.0.0.1")

    def limits(self) -> dict[str, str]:
        return {
            "isolation": "containers see the host's processes, users and network",
            "files": "WORKDIR and relative paths lead into the image's files; absolute paths that a program opens are "
            "the host's, those of the command line are the image's where the host has no such file",
            "mounts": "a volume is a symbolic link in the image's files, a tmpfs a folder on disk without a limit; "
            "readOnly and readOnlyRootFilesystem do nothing",
            "users": "all programs run as the user who started the lab; USER and runAsUser do nothing",
            "network": "a pod's address and `localhost` are kept apart, and ports below 1024 to be had, for Python "
            "programs; others share the host's network as it is",
            "dns": "Python programs find services and pods by name; others have the host's resolver",
            "signals": "a container's first process is not PID 1: SIGTERM ends it even without a handler",
            "security": "capabilities, no-new-privileges, supplementary groups, sysctls and an init do nothing",
        }

    # -- machines: addresses of the host's loopback network

    def machine_configs(self) -> dict[str, MachineConfig]:
        return {name: config for name, (config, _) in self._machines.items()}

    async def add_machine(self, config: MachineConfig) -> None:
        for address in (config.address, config.pod_cidr):
            _require_loopback(address)
        self._machines[config.name] = (config, AddressPool(config.pod_cidr))

    async def remove_machine(self, name: str) -> None:
        del self._machines[name]

    async def add_address(self, machine: str, address: str) -> None:
        """All of 127.0.0.0/8 is the host's already."""
        _require_loopback(address)

    async def remove_address(self, machine: str, address: str) -> None:
        """Nothing was added."""

    async def set_link(self, machine: str, up: bool) -> None:
        """There is no cable: the machines share the host's network."""

    def machine_socket(self, machine: str, family: int, kind: int) -> tuple[socket.socket, Addresses]:
        address = self._machines[machine][0].address.partition("/")[0]
        return socket.socket(family, kind), Addresses(address, address, self._shift)

    async def ensure_network(self, config: NetworkConfig) -> None:
        """All share the host's network; what is on one is told to its members as names only."""

    async def remove_network(self, machine: str, network_id: str) -> None:
        """Nothing was made."""

    async def connect(self, sandbox: Sandbox, network_id: str, address: str, mac: str = "") -> Endpoint:
        """A sandbox has one loopback address, in whatever networks it is."""
        ip = sandbox.ip or self.take_address(sandbox.config.machine)
        return Endpoint(network_id, "lo", ip, 8, "")

    async def disconnect(self, sandbox: Sandbox, endpoint: Endpoint) -> None:
        if len(sandbox.endpoints) == 1:
            self.give_back_address(sandbox.config.machine, endpoint.ip)

    def pod_endpoint(self, sandbox: Sandbox) -> Endpoint:
        return Endpoint("", "lo", sandbox.ip, 8, "")

    def give_back_endpoint(self, machine: str, endpoint: Endpoint) -> None:
        self.give_back_address(machine, endpoint.ip)

    # -- sandboxes

    def take_address(self, machine: str) -> str:
        return self._machines[machine][1].take()

    def give_back_address(self, machine: str, address: str) -> None:
        if machine in self._machines:
            self._machines[machine][1].give_back(address)

    async def start_sandbox(self, sandbox: Sandbox) -> None:
        """There is nothing to hold."""

    def stop_sandbox(self, sandbox: Sandbox) -> None:
        """There was nothing held; its containers are killed already."""

    def sandbox_socket(self, sandbox: Sandbox, family: int, kind: int) -> tuple[socket.socket, Addresses]:
        return socket.socket(family, kind), Addresses(sandbox.ip, sandbox.ip, self._shift)

    # -- containers

    def container_launch(
        self,
        folder: Path,
        config: ContainerConfig,
        sandbox: Sandbox,
        layers: list[Path],
        stdin: int | None,
        target: Supervised | None = None,
    ) -> Launch:
        program = Process.first(config, sandbox.hostname)

        def enter() -> None:
            syscalls.become_subreaper()
            merged = rootcopy.merge(layers, folder)
            for mount in config.mounts:
                link_volume(merged, folder, mount, config.mounts)
            _lend_interpreter(merged, folder / "host-bin")

        return Launch(
            enter=enter,
            isolate=lambda: None,
            execute=lambda: self._execute(program, folder, sandbox),
            sweep=lambda _: _end_descendants(),
            tty=config.tty,
            log_path=config.log_path,
            stdin=stdin,
        )

    def exec_launch(
        self, folder: Path, container: Supervised, sandbox: Sandbox, program: Process, stdio: Stdio
    ) -> Launch:
        return Launch(
            enter=syscalls.become_subreaper,
            isolate=lambda: None,
            execute=lambda: self._execute(program, folder, sandbox),
            sweep=lambda _: _end_descendants(),
            joins=True,
            tty=program.tty,
            stdin=stdio[0],
            stdout=stdio[1],
            stderr=stdio[2],
        )

    def _execute(self, program: Process, folder: Path, sandbox: Sandbox) -> NoReturn:
        root = folder / "merged"
        env = _environment(program, folder, sandbox) | {"KUBELAB_PORT_SHIFT": str(self._shift)}
        process.limit(program)
        process.enter_working_dir(f"{root}/{program.working_dir.lstrip('/')}")
        process.reset_signals()
        first, *arguments = program.argv
        arguments = [_mapped(root, word) for word in arguments]
        found = process.find_program(f"{root}{first}" if _has(root, first) else first, env["PATH"])
        argv = (first, *arguments)
        interpreter = _interpreter(root, Path(found))
        if interpreter:
            argv, found = (*interpreter, found, *arguments), interpreter[0]
        process.replace_program(found, argv, env)

    def processes(self, container: Supervised, sandbox: Sandbox) -> list[int]:
        """With what the first process orphaned, which the monitor adopts."""
        return proc.descendants(container.monitor)

    def monitor_lost(self, container_id: str) -> None:
        self._lost.add(container_id)
        self.child_ended()

    def child_ended(self) -> None:
        """What a killed monitor looked after falls to us one by one, as its parents die."""
        if self._lost:
            for orphan in proc.descendants(os.getpid()):
                if proc.environment(orphan).get(MARK) in self._lost:
                    proc.kill(orphan)


def _require_loopback(address: str) -> None:
    if not address.startswith("127."):
        raise RuntimeServiceError(
            "InvalidArgument", f"{address}: at the level process addresses have to be in 127.0.0.0/8"
        )


def _environment(program: Process, folder: Path, sandbox: Sandbox) -> dict[str, str]:
    """The container's, with HOME in the image's files, PATH leading to the image's programs first, and what
    guest/sitecustomize.py needs."""
    env = process.environment(program, home="/root")
    inside = [f"{folder}/host-bin"]
    inside += [f"{folder}/merged{entry}" for entry in env["PATH"].split(":") if entry.startswith("/")]
    python_path = [str(GUEST), *filter(None, [env.get("PYTHONPATH")])]
    home = env["HOME"]
    return env | {
        "HOME": f"{folder}/merged{home}" if home.startswith("/") else home,
        "PATH": ":".join([*inside, env["PATH"]]),
        "PYTHONPATH": ":".join(python_path),
        "KUBELAB_POD_IP": sandbox.ip,
        "KUBELAB_HOSTS": str(_hosts(folder, sandbox)),
        "KUBELAB_RESOLV_CONF": str(sandbox.etc_files()["/etc/resolv.conf"]),
        MARK: folder.name,
    }


def _hosts(folder: Path, sandbox: Sandbox) -> Path:
    """The file that the container's config mounts, else the sandbox's."""
    mounted = folder / "merged/etc/hosts"
    return mounted if mounted.is_symlink() else sandbox.etc_files()["/etc/hosts"]


def _has(root: Path, path: str) -> bool:
    return path.startswith("/") and os.path.lexists(f"{root}{path}")


def _mapped(root: Path, word: str) -> str:
    """An absolute path of the command line that only the image has."""
    return f"{root}{word}" if _has(root, word) and not os.path.lexists(word) else word


def _lend_interpreter(root: Path, folder: Path) -> None:
    """Where the image's Python does not run outside the image (other shared libraries), put ours before it in PATH."""
    theirs = root / "usr/local/bin/python3"
    if not theirs.exists() or subprocess.run([theirs, "-ISc", "pass"], capture_output=True).returncode == 0:
        return
    folder.mkdir()
    ours = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    for name in ("python", "python3"):
        (folder / name).symlink_to(ours)


def _interpreter(root: Path, script: Path) -> list[str]:
    """The words of a script's `#!` line where its interpreter is one that only the image has, else none."""
    try:
        with script.open("rb") as file:
            line = file.readline(256)
    except OSError as error:
        raise StartError(f"exec {script}: {(error.strerror or str(error)).lower()}") from None
    words = os.fsdecode(line[2:]).split(maxsplit=1) if line.startswith(b"#!") else []
    mapped = [_mapped(root, words[0]), *words[1:]] if words else []
    return [word.strip() for word in mapped] if mapped and mapped[0] != words[0] else []


def link_volume(merged: Path, own: Path, mount: Mount, mounts: Sequence[Mount]) -> None:
    """A volume: a symbolic link in place of what the image has there. `own` is the container's folder of ours."""
    source = _volume_source(own, mount)
    path = PurePosixPath(mount.container_path)
    folder = str(path.parent)
    if not any(path.is_relative_to(other.container_path) for other in mounts if other is not mount):
        folder = MergedView([merged]).resolve(folder)  # the image's links, such as /var/run, lead nowhere outside it
    target = merged / folder.lstrip("/") / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        target.rename(target.with_name(f"{target.name}.image"))
    else:
        target.unlink(missing_ok=True)
    target.symlink_to(source)


def _volume_source(own: Path, mount: Mount) -> Path:
    """Raises StartError for a sub_path that leads out of its volume."""
    if mount.type == "tmpfs":
        source = own / "tmpfs" / mount.container_path.strip("/").replace("/", "-")
        source.mkdir(parents=True, exist_ok=True)
        source.chmod(mount.mode)
        return source
    volume = Path(mount.host_path).absolute()
    source = volume / mount.sub_path
    if not source.resolve().is_relative_to(volume.resolve()):
        raise StartError(f"subpath {mount.sub_path!r} of {mount.host_path}: it leads out of the volume")
    if mount.sub_path:
        source.mkdir(parents=True, exist_ok=True)
    return source


def _end_descendants() -> None:
    """Kill what is left below the monitor; killed parents hand their children to it, so until there are none."""
    while left := proc.descendants(os.getpid()):
        for pid in left:
            proc.kill(pid)
        for pid in proc.children(os.getpid()):
            os.waitpid(pid, 0)
