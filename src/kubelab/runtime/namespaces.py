"""The level *namespaces*: real isolation in a user namespace of the daemon's own, as root and as an ordinary user."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

from kubelab.home import Home
from kubelab.runtime import monitor, network, proc, syscalls, userns
from kubelab.runtime.addresses import OWN_NETWORK, Addresses
from kubelab.runtime.api import (
    ContainerConfig,
    Endpoint,
    Level,
    MachineConfig,
    Mount,
    NetworkConfig,
    RuntimeServiceError,
)
from kubelab.runtime.bridges import Bridges
from kubelab.runtime.isolation import Stdio
from kubelab.runtime.monitor import Launch
from kubelab.runtime.netlink import Rtnetlink
from kubelab.runtime.network import LAN
from kubelab.runtime.process import Process, execute
from kubelab.runtime.rootfs import RootFS
from kubelab.runtime.sandbox import Sandbox
from kubelab.runtime.supervised import Supervised, fork
from kubelab.runtime.syscalls import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS

_HARMLESS = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
_OF_A_SANDBOX = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS
_SHM_SIZE = 64 << 20  # bytes of a pod's /dev/shm, as containerd's
# What belongs to a sandbox's own namespaces; the rest is the host's (runc, libcontainer/configs/validate: sysctl).
_SYSCTLS = ("net.", "fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm")


class Namespaces:
    """Makes machines, pause processes and launches. All of it is in namespaces that only the daemon's children and
    descriptors hold, so a killed daemon leaves nothing."""

    level = Level.NAMESPACES

    def __init__(self, home: Home) -> None:
        self._shm = home.runtime / "shm"  # where each sandbox mounts its /dev/shm, in its own mount namespace
        self._lan = LAN()
        self._bridges: dict[str, Bridges] = {}  # by machine
        self._ports = 0
        self.uid_map = ""
        self._alive: tuple[int, int] = (-1, -1)

    async def start(self) -> None:
        """Take the daemon into its namespaces. Only before it has any thread."""
        self.uid_map = userns.enter()
        await self._lan.start()
        self._alive = os.pipe()  # nobody but the daemon holds the writing end: it closes when the daemon is gone
        syscalls.become_subreaper()

    def limits(self) -> dict[str, str]:
        """What differs from a container on a real node, for `kubelab doctor`."""
        limits = {
            "network": "pods reach the lab's network only, not the outside",
        }
        if self.uid_map.split()[2:] == ["1"]:
            limits["users"] = "all users of a container are one user of the host; chown to another one fails"
        return limits

    # -- machines

    def machine_configs(self) -> dict[str, MachineConfig]:
        return {name: machine.config for name, machine in self._lan.machines.items()}

    async def add_machine(self, config: MachineConfig) -> None:
        self._bridges[config.name] = Bridges(await self._lan.add(config))

    async def remove_machine(self, name: str) -> None:
        del self._bridges[name]
        await self._lan.remove(name)

    async def add_address(self, machine: str, address: str) -> None:
        await self._lan.machines[machine].add_address(address)

    async def remove_address(self, machine: str, address: str) -> None:
        await self._lan.machines[machine].remove_address(address)

    async def set_link(self, machine: str, up: bool) -> None:
        await self._lan.machines[machine].set_link(up)

    def machine_socket(self, machine: str, family: int, kind: int) -> tuple[socket.socket, Addresses]:
        return network.socket_inside(self._lan.machines[machine].namespace, family, kind), OWN_NETWORK

    async def ensure_network(self, config: NetworkConfig) -> None:
        await self._bridges[config.machine].ensure(config)

    async def remove_network(self, machine: str, network_id: str) -> None:
        await self._bridges[machine].remove(network_id)

    async def connect(self, sandbox: Sandbox, network_id: str, address: str, mac: str = "") -> Endpoint:
        return await self._bridges[sandbox.config.machine].connect(sandbox, network_id, address, mac)

    async def disconnect(self, sandbox: Sandbox, endpoint: Endpoint) -> None:
        await self._bridges[sandbox.config.machine].disconnect(sandbox, endpoint)

    def pod_endpoint(self, sandbox: Sandbox) -> Endpoint:
        pool = self._lan.machines[sandbox.config.machine].pool
        return Endpoint("", "eth0", sandbox.ip, pool.network.prefixlen, pool.gateway)

    def give_back_endpoint(self, machine: str, endpoint: Endpoint) -> None:
        if machine in self._bridges:
            self._bridges[machine].give_back(endpoint)

    # -- sandboxes

    def take_address(self, machine: str) -> str:
        return self._lan.machines[machine].pool.take()

    def give_back_address(self, machine: str, address: str) -> None:
        if machine in self._lan.machines:
            self._lan.machines[machine].pool.give_back(address)

    async def start_sandbox(self, sandbox: Sandbox) -> None:
        """Fork the pause process with the sandbox's namespaces and network. Raises RuntimeServiceError."""
        self._shm.mkdir(parents=True, exist_ok=True)
        self._ports += 1
        port = f"veth{self._ports}"
        machine = self._lan.machines[sandbox.config.machine]
        reader, writer = os.pipe()
        other = self._shared_network(sandbox, machine)
        keep = [writer, self._alive[0], machine.namespace, *([other] if other >= 0 else [])]
        fork(lambda: self._make_sandbox(sandbox, machine, port, writer, other), keep)
        os.close(writer)
        if other not in (-1, machine.namespace):
            os.close(other)
        answer = json.loads(await _read_all(reader) or '{"error": "its first process died"}')
        if "error" in answer:
            raise RuntimeServiceError("Unknown", f"failed to set up sandbox {sandbox.config.name}: {answer['error']}")
        sandbox.pid, sandbox.namespaces = answer["pid"], monitor.namespaces(answer["pid"])

    def _shared_network(self, sandbox: Sandbox, machine: network.Machine) -> int:
        """A descriptor of the network namespace that the sandbox shares, -1 where it has its own."""
        mode = sandbox.config.network
        if mode == "node":
            return machine.namespace
        return os.open(f"/proc/{sandbox.shares.pid}/ns/net", os.O_RDONLY) if sandbox.shares else -1

    def _make_sandbox(self, sandbox: Sandbox, machine: network.Machine, port: str, answer: int, other: int) -> None:
        """In a child: make the namespaces, then leave the pause process in them and go. It falls to the daemon, which
        is the subreaper."""
        try:
            if other >= 0:
                syscalls.unshare(_OF_A_SANDBOX & ~CLONE_NEWNET | CLONE_NEWPID)
                syscalls.setns(other, CLONE_NEWNET)
            else:
                asyncio.run(_unshare(machine, port, sandbox.ip, sandbox.config.mac_address))
                network.open_low_ports()
            size = sandbox.config.shm_size or _SHM_SIZE
            syscalls.mount("shm", self._shm, "tmpfs", _HARMLESS, f"mode=1777,size={size}")
            for folder, limit in sandbox.config.memory_volumes.items():
                _mount_memory(folder, limit)
            _set_sysctls(sandbox.config.sysctls)
            socket.sethostname(sandbox.hostname)
            if sandbox.config.domainname:
                syscalls.setdomainname(sandbox.config.domainname)
            pid = os.fork()
            if pid == 0:
                os.close(answer)
                self._pause()
            report: dict[str, Any] = {"pid": pid}
        except OSError as error:
            report = {"error": str(error)}
        os.write(answer, json.dumps(report).encode())

    def _pause(self) -> None:
        """Hold the namespaces, reap what is orphaned in the pod's PID namespace, end with the daemon."""
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        os.read(self._alive[0], 1)
        os._exit(0)

    def stop_sandbox(self, sandbox: Sandbox) -> None:
        os.kill(sandbox.pid, signal.SIGKILL)

    def sandbox_socket(self, sandbox: Sandbox, family: int, kind: int) -> tuple[socket.socket, Addresses]:
        descriptor = os.open(f"/proc/{sandbox.pid}/ns/net", os.O_RDONLY)
        try:
            return network.socket_inside(descriptor, family, kind), OWN_NETWORK
        finally:
            os.close(descriptor)

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
        given = {mount.container_path for mount in config.mounts}
        etc = [Mount(path, str(file)) for path, file in sandbox.etc_files().items() if path not in given]
        root = RootFS(folder, tuple(layers), (*etc, *config.mounts), config.readonly_rootfs, self._shm)
        root.prepare()
        program = Process.first(config, sandbox.hostname)

        def isolate() -> None:
            _hide()
            syscalls.unshare(CLONE_NEWNS)
            root.enter()

        return Launch(
            enter=lambda: self._enter_sandbox(sandbox, target),
            isolate=isolate,
            execute=lambda: execute(program),
            sweep=lambda namespaces: self._sweep(sandbox, namespaces, target),
            init=config.init,
            tty=config.tty,
            log_path=config.log_path,
            stdin=stdin,
        )

    def _enter_sandbox(self, sandbox: Sandbox, target: Supervised | None) -> None:
        shared = sandbox.config.share_process_namespace
        if target is not None and not shared:
            syscalls.join(target.pid, CLONE_NEWPID)
        syscalls.join(sandbox.pid, _OF_A_SANDBOX | (CLONE_NEWPID if shared else 0))
        if target is None and not shared:
            syscalls.unshare(CLONE_NEWPID)

    def _sweep(self, sandbox: Sandbox, namespaces: dict[str, int], target: Supervised | None) -> None:
        """With the container's own PID namespace the kernel has ended everything. In the pod's shared one, what the
        first process left behind now belongs to the pause process, or to the target's first one, and is known by its
        mount namespace."""
        if sandbox.config.share_process_namespace or target is not None:
            for pid in proc.descendants(target.monitor if target is not None else sandbox.pid):
                if monitor.namespaces(pid).get("mnt") == namespaces["mnt"]:
                    proc.kill(pid)

    def processes(self, container: Supervised, sandbox: Sandbox) -> list[int]:
        """Host PIDs of all that runs in the container, what exec started excepted."""
        found = proc.descendants(container.monitor)
        if sandbox.config.share_process_namespace:
            mine = container.namespaces.get("mnt")
            others = (pid for pid in proc.descendants(sandbox.pid) if pid not in found)
            found += [pid for pid in others if monitor.namespaces(pid).get("mnt") == mine]
        return found

    def monitor_lost(self, container_id: str) -> None:
        """The first process dies with its monitor, and the kernel ends its PID namespace with it."""

    def child_ended(self) -> None:
        """Nothing but pause processes falls to the daemon."""

    def exec_launch(
        self, folder: Path, container: Supervised, sandbox: Sandbox, program: Process, stdio: Stdio
    ) -> Launch:
        """A further process in the container."""
        return Launch(
            enter=lambda: _enter_container(container.pid),
            isolate=lambda: None,
            execute=lambda: execute(program),
            sweep=lambda _: None,
            joins=True,
            tty=program.tty,
            stdin=stdio[0],
            stdout=stdio[1],
            stderr=stdio[2],
        )


def _enter_container(pid: int) -> None:
    _hide()
    syscalls.join(pid, _OF_A_SANDBOX | CLONE_NEWPID)


def _hide() -> None:
    """Until we have become the program, a container may see us in its /proc: a program of the host's, which it could
    overwrite (CVE-2019-5736). An ordinary user's could not, and needs its /proc/self to switch users."""
    if Path("/proc/self/setgroups").read_text().strip() == "allow":
        syscalls.hide_from_ptrace()


def _mount_memory(folder: str, limit: int) -> None:
    """A volume in memory, in place of a folder, with that folder's owner and mode."""
    found = Path(folder).stat()
    size = f",size={limit}" if limit else ""
    options = f"mode={found.st_mode & 0o7777:o},uid={found.st_uid},gid={found.st_gid}{size}"
    try:
        syscalls.mount("tmpfs", folder, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, options)
    except OSError:  # the folder's owner has no place in our user namespace
        syscalls.mount("tmpfs", folder, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, f"mode=1777{size}")


async def _unshare(machine: network.Machine, port: str, ip: str, mac: str) -> None:
    """Go into namespaces for a sandbox, with a network at `port` of the machine's bridge where it has an `ip`."""
    async with machine.netlink() as bridge:
        syscalls.unshare(_OF_A_SANDBOX | CLONE_NEWPID)
        if ip:
            await network.connect_pod(bridge, port, ip, machine.pool.gateway, machine.pool.network.prefixlen, mac)
            return
        async with Rtnetlink() as link:
            await link.set_up("lo")


def _set_sysctls(wanted: dict[str, str]) -> None:
    """Raises OSError for one that is not the sandbox's own, or that the kernel refuses."""
    for name, value in wanted.items():
        path = Path("/proc/sys", name.replace(".", "/"))
        if not name.startswith(_SYSCTLS) or ".." in path.parts:
            raise PermissionError(f"sysctl {name!r} is not in a separate kernel namespace")
        try:
            path.write_text(value)
        except OSError as error:
            raise OSError(error.errno, f"open {path}: {(error.strerror or '').lower()}") from None


async def _read_all(reader: int) -> bytes:
    """All that a child writes into a pipe until it closes it, in one piece of at most PIPE_BUF bytes."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(reader, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
        return os.read(reader, 4096)
    finally:
        loop.remove_reader(reader)
        os.close(reader)
