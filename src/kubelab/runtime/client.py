"""The runtime's client: what the node agents and the Docker engine hold. Light to import."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

from kubelab.runtime import wire
from kubelab.runtime.addresses import Addresses, make_socket
from kubelab.runtime.api import (
    ContainerConfig,
    ContainerEvent,
    ContainerStats,
    ContainerStatus,
    DNSConfig,
    Endpoint,
    ExecResult,
    Level,
    MachineConfig,
    NetworkConfig,
    PodSandboxConfig,
    PodSandboxStatus,
    Resources,
    RuntimeServiceError,
)
from kubelab.runtime.descriptors import chunks, resize
from kubelab.runtime.wire import Channel

Env = Iterable[tuple[str, str]]


class RuntimeClient:
    """One connection an RPC, so that calls may run side by side. All methods raise RuntimeServiceError; its code is
    "Unavailable" where the daemon does not answer."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._level = ""

    async def __aenter__(self) -> RuntimeClient:
        self._level = (await self.version())["level"]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing stays open between calls."""

    # -- the runtime and its machines

    @property
    def level(self) -> str:
        return self._level

    async def version(self) -> dict[str, Any]:
        return await self._call("version")

    async def ensure_machine(self, config: MachineConfig) -> None:
        await self._call("ensure_machine", config=wire.to_wire(config))

    async def remove_machine(self, name: str) -> None:
        await self._call("remove_machine", name=name)

    async def set_link(self, machine: str, *, up: bool) -> None:
        """Pull a machine's cable to the lab's network, or plug it in again; what runs on it runs on. Level process: the
        machines share the host's network, and nothing happens."""
        await self._call("set_link", machine=machine, up=up)

    async def add_address(self, machine: str, ip: str) -> None:
        await self._call("add_address", machine=machine, ip=ip)

    async def remove_address(self, machine: str, ip: str) -> None:
        await self._call("remove_address", machine=machine, ip=ip)

    # -- further networks of a machine, for Docker

    async def ensure_network(self, config: NetworkConfig) -> None:
        await self._call("ensure_network", config=wire.to_wire(config))

    async def remove_network(self, machine: str, network_id: str) -> None:
        await self._call("remove_network", machine=machine, id=network_id)

    async def connect_sandbox(self, sandbox_id: str, network_id: str, address: str = "", mac: str = "") -> Endpoint:
        """An interface in that network, with the given or the next address."""
        return Endpoint(
            **await self._call("connect_sandbox", id=sandbox_id, network=network_id, address=address, mac=mac)
        )

    async def disconnect_sandbox(self, sandbox_id: str, network_id: str) -> None:
        await self._call("disconnect_sandbox", id=sandbox_id, network=network_id)

    async def update_pod_sandbox(self, sandbox_id: str, dns: DNSConfig, host_aliases: dict[str, str]) -> None:
        """Write its /etc/resolv.conf and /etc/hosts anew, under running containers."""
        await self._call("update_pod_sandbox", id=sandbox_id, dns=wire.to_wire(dns), host_aliases=host_aliases)

    # -- sandboxes

    async def run_pod_sandbox(self, config: PodSandboxConfig) -> str:
        return await self._call("run_pod_sandbox", config=wire.to_wire(config))

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        await self._call("stop_pod_sandbox", id=sandbox_id)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        await self._call("remove_pod_sandbox", id=sandbox_id)

    async def pod_sandbox_status(self, sandbox_id: str) -> PodSandboxStatus:
        return wire.sandbox_status(await self._call("pod_sandbox_status", id=sandbox_id))

    async def list_pod_sandbox(self, machine: str | None = None) -> list[PodSandboxStatus]:
        return [wire.sandbox_status(each) for each in await self._call("list_pod_sandbox", machine=machine)]

    # -- containers

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        return await self._call("create_container", sandbox_id=sandbox_id, config=wire.to_wire(config))

    async def start_container(self, container_id: str) -> None:
        """Returns when the program is executing."""
        await self._call("start_container", id=container_id)

    async def stop_container(self, container_id: str, timeout: float) -> None:  # noqa: ASYNC109 (CRI's parameter)
        """The stop signal, and SIGKILL after `timeout` seconds; returns when the container has ended."""
        await self._call("stop_container", id=container_id, timeout=timeout)

    async def kill_container(self, container_id: str, signum: int) -> None:
        await self._call("kill_container", id=container_id, signum=int(signum))

    async def pause_container(self, container_id: str) -> None:
        """Stop all of its processes where they are (containerd's Task.Pause); a signal lets it go on, too."""
        await self._call("pause_container", id=container_id)

    async def resume_container(self, container_id: str) -> None:
        await self._call("resume_container", id=container_id)

    async def update_container_resources(self, container_id: str, resources: Resources) -> None:
        """Other limits, in force at once; all of them are replaced."""
        await self._call("update_container_resources", id=container_id, resources=wire.to_wire(resources))

    async def reopen_container_log(self, container_id: str) -> None:
        """Its log file was renamed: let it write into a new one."""
        await self._call("reopen_container_log", id=container_id)

    async def remove_container(self, container_id: str) -> None:
        await self._call("remove_container", id=container_id)

    async def container_status(self, container_id: str) -> ContainerStatus:
        return wire.container_status(await self._call("container_status", id=container_id))

    async def list_containers(self, machine: str | None = None, sandbox_id: str | None = None) -> list[ContainerStatus]:
        found = await self._call("list_containers", machine=machine, sandbox_id=sandbox_id)
        return [wire.container_status(each) for each in found]

    async def container_stats(self, container_id: str) -> ContainerStats:
        return wire.container_stats(await self._call("container_stats", id=container_id))

    async def processes(self, container_id: str) -> list[dict[str, Any]]:
        return await self._call("processes", id=container_id)

    # -- exec, attach

    async def exec(
        self,
        container_id: str,
        argv: Sequence[str],
        *,
        tty: bool = False,
        stdin: bool = False,
        env: Env = (),
        user: str = "",
        working_dir: str = "",
    ) -> ExecSession:
        """Start a program in the container; returns when it is executing."""
        request = {"argv": list(argv), "env": list(env), "user": user, "working_dir": working_dir, "tty": tty}
        ours, theirs = ((), ()) if tty else _pipes(stdin)
        try:
            channel, result, received = await self._open("exec", theirs, id=container_id, **request)
        except BaseException:
            _close(ours)
            raise
        finally:
            _close(theirs)
        return ExecSession(channel, result["pid"], received if tty else ours, tty)

    async def exec_sync(
        self,
        container_id: str,
        argv: Sequence[str],
        timeout: float,  # noqa: ASYNC109 (CRI's parameter)
        env: Env = (),
        user: str = "",
        working_dir: str = "",
    ) -> ExecResult:
        """Run a program to its end; after `timeout` seconds (0: never) it is killed, and the error's code is
        "DeadlineExceeded"."""
        session = await self.exec(container_id, argv, env=env, user=user, working_dir=working_dir)
        async with session:
            try:
                async with asyncio.timeout(timeout or None):
                    stdout, stderr, code = await asyncio.gather(
                        _read_all(session.stdout), _read_all(session.stderr), session.wait()
                    )
            except TimeoutError:
                await session.kill(9)
                message = f"command {list(argv)} timed out: timeout {timeout:g}s exceeded"
                raise RuntimeServiceError("DeadlineExceeded", message) from None
        return ExecResult(stdout, stderr, code)

    async def attach_stdin(self, container_id: str) -> int:
        """A descriptor that writes to the container's stdin; yours to close."""
        return (await self._call_with_descriptors("attach_stdin", id=container_id))[1][0]

    async def resize_container_tty(self, container_id: str, rows: int, columns: int) -> None:
        await self._call("resize_container_tty", id=container_id, rows=rows, columns=columns)

    # -- the network

    async def open_socket(
        self,
        where: str,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,
    ) -> socket.socket:
        """A new, non-blocking socket that lives in a machine's (by name) or sandbox's (by ID) network. At the level
        process, where all share the host's, its bind and connect translate (`kubelab.runtime.addresses`)."""
        call = self._call_with_descriptors("open_socket", where=where, family=int(family), type=int(type))
        addresses, (descriptor,) = await call
        return make_socket(family, type, descriptor, Addresses(**addresses))

    async def dial(
        self,
        where: str,
        host: str,
        port: int,
        timeout: float,  # noqa: ASYNC109 (reads like asyncio.open_connection's other arguments)
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from inside a network. Raises OSError as connect(2) does, TimeoutError after `timeout` seconds."""
        made = await self.open_socket(where)
        try:
            async with asyncio.timeout(timeout):
                address = ("127.0.0.1" if host == "localhost" else host, port)  # nothing to look up
                await asyncio.get_running_loop().sock_connect(made, address)
            return await asyncio.open_connection(sock=made)
        except BaseException:
            made.close()
            raise

    async def listen(self, where: str, host: str, port: int) -> socket.socket:
        """A bound, listening socket inside a network. Raises OSError as bind(2) does."""
        made = await self.open_socket(where)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((host, port))
            made.listen(128)
        except BaseException:
            made.close()
            raise
        return made

    # -- events and files

    async def events(self) -> AsyncIterator[ContainerEvent]:
        """What happens from the moment of the first `anext`; ends with "Unavailable" when the daemon goes."""
        channel, _, _ = await self._open("events", ())
        with contextlib.closing(channel):
            while received := await channel.receive():
                yield ContainerEvent(**received[0])
        raise RuntimeServiceError("Unavailable", f"the runtime at {self._path} went away")

    def writable_layer(self, container_id: str) -> Path:
        """overlayfs' upper folder; at the level process what one would hold, found by comparing just now."""
        if self._level == Level.PROCESS:
            from kubelab.runtime.rootcopy import changes

            return changes(self._folder(container_id))
        return self._folder(container_id) / "upper"

    def root(self, container_id: str) -> Path:
        return self._folder(container_id) / "merged"

    def _folder(self, container_id: str) -> Path:
        return self._path.parent / "runtime" / container_id

    # -- the connection

    async def _call(self, method: str, **parameters: Any) -> Any:
        return (await self._call_with_descriptors(method, **parameters))[0]

    async def _call_with_descriptors(self, method: str, **parameters: Any) -> tuple[Any, list[int]]:
        channel, result, descriptors = await self._open(method, (), **parameters)
        channel.close()
        return result, descriptors

    async def _open(self, method: str, attached: Sequence[int], **parameters: Any) -> tuple[Channel, Any, list[int]]:
        """Send a request and return its connection, result and descriptors."""
        try:
            channel = await Channel.connect(str(self._path))
        except OSError as error:
            message = f"no runtime answers at {self._path} ({error.strerror}): is it running? See `kubelab status`"
            raise RuntimeServiceError("Unavailable", message) from None
        try:
            await channel.send({"method": method} | parameters, attached)
            received = await channel.receive()
            if received is None:
                raise RuntimeServiceError("Unavailable", f"the runtime at {self._path} went away during {method}")
            answer, descriptors = received
            if "error" in answer:
                raise RuntimeServiceError(answer["error"]["code"], answer["error"]["message"])
        except BaseException:
            channel.close()
            raise
        return channel, answer["result"], descriptors


class ExecSession:
    """A program started by exec. Its descriptors are non-blocking and the session's to close: `async with` it, or
    `close()` it. With a terminal `stdin` and `stdout` are the same master and `stderr` is None."""

    def __init__(self, channel: Channel, pid: int, descriptors: Sequence[int], tty: bool) -> None:
        self._channel = channel
        self._exit: asyncio.Task[int] | None = None
        self._descriptors = list(descriptors)
        self.pid = pid
        self.stdin: int | None
        self.stderr: int | None
        if tty:
            self.stdin, self.stdout, self.stderr = descriptors[0], descriptors[0], None
        else:
            self.stdout, self.stderr = descriptors[:2]
            self.stdin = descriptors[2] if len(descriptors) > 2 else None
        for descriptor in descriptors:
            os.set_blocking(descriptor, False)

    async def __aenter__(self) -> ExecSession:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def wait(self) -> int:
        """The exit code (128 + signal where a signal ended it). May be called several times, and cancelled."""
        if self._exit is None:
            self._exit = asyncio.get_running_loop().create_task(self._receive_exit())
        return await asyncio.shield(self._exit)

    async def _receive_exit(self) -> int:
        received = await self._channel.receive()
        if received is None:
            raise RuntimeServiceError("Unavailable", "the runtime went away during exec")
        return received[0]["exit_code"]

    async def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size; without a terminal nothing happens."""
        if self.stderr is None:
            resize(self.stdout, rows, columns)

    async def kill(self, signum: int) -> None:
        with contextlib.suppress(ConnectionError):  # it has ended already
            await self._channel.send({"signal": int(signum)})

    def close_stdin(self) -> None:
        """The program reads the end of its input."""
        if self.stdin is not None and self.stdin != self.stdout:
            self._descriptors.remove(self.stdin)
            os.close(self.stdin)
            self.stdin = None

    def close(self) -> None:
        """Close the descriptors and the connection; the program runs on where it has not ended."""
        if self._exit is not None:
            self._exit.cancel()
        _close(self._descriptors)
        self._descriptors = []
        self._channel.close()


def _pipes(stdin: bool) -> tuple[list[int], list[int]]:
    """Our ends (stdout, stderr and perhaps stdin) and the program's three."""
    (out, out_w), (err, err_w) = os.pipe(), os.pipe()
    if not stdin:
        return [out, err], [os.open(os.devnull, os.O_RDONLY), out_w, err_w]
    in_r, in_ = os.pipe()
    return [out, err, in_], [in_r, out_w, err_w]


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


async def _read_all(descriptor: int) -> bytes:
    return b"".join([chunk async for chunk in chunks(descriptor)])
