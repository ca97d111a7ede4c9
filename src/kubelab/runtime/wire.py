"""How the runtime's daemon, its clients and its monitors speak: JSON messages with file descriptors attached.

Between daemon and client: a stream of frames, four bytes of length (big-endian), then JSON; descriptors travel with
the frame's first bytes (SCM_RIGHTS, unix(7)). Between daemon and monitor: one SOCK_SEQPACKET datagram a message.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import socket
import struct
from collections.abc import Iterable
from typing import Any

from kubelab.runtime import api

Message = dict[str, Any]
MAX_DESCRIPTORS = 8
_LENGTH = struct.Struct(">I")


class Channel:
    """One end of a framed connection, for asyncio. Not for several senders, nor several receivers, at a time."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, path: str) -> Channel:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            channel = cls(sock)
            await channel._loop.sock_connect(sock, path)
        except BaseException:
            sock.close()
            raise
        return channel

    def close(self) -> None:
        self._socket.close()

    async def send(self, message: Message, descriptors: Iterable[int] = ()) -> None:
        """Send one frame. The descriptors are duplicated by the kernel; ours stay open."""
        body = json.dumps(message, separators=(",", ":")).encode()
        frame = _LENGTH.pack(len(body)) + body
        descriptors = list(descriptors)
        sent = 0
        if descriptors:
            await self._ready(self._loop.add_writer, self._loop.remove_writer)
            sent = socket.send_fds(self._socket, [frame], descriptors)
        if sent < len(frame):
            await self._loop.sock_sendall(self._socket, memoryview(frame)[sent:])

    async def receive(self) -> tuple[Message, list[int]] | None:
        """The next frame and its descriptors, which are now the caller's to close; None when the other side is gone."""
        header, descriptors = b"", []
        while len(header) < _LENGTH.size:
            await self._ready(self._loop.add_reader, self._loop.remove_reader)
            try:
                data, received, _, _ = socket.recv_fds(self._socket, _LENGTH.size - len(header), MAX_DESCRIPTORS)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                return None
            for descriptor in received:
                os.set_inheritable(descriptor, False)
            descriptors += received
            if not data:
                return None
            header += data
        body = await self._receive_exactly(_LENGTH.unpack(header)[0])
        return None if body is None else (json.loads(body), descriptors)

    async def _receive_exactly(self, count: int) -> bytes | None:
        body = bytearray()
        while len(body) < count:
            data = await self._loop.sock_recv(self._socket, min(count - len(body), 1 << 20))
            if not data:
                return None
            body += data
        return bytes(body)

    async def _ready(self, add: Any, remove: Any) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        add(self._socket, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            remove(self._socket)


def send_datagram(sock: socket.socket, message: Message, descriptors: Iterable[int] = ()) -> None:
    socket.send_fds(sock, [json.dumps(message).encode()], list(descriptors))


def receive_datagram(sock: socket.socket) -> tuple[Message, list[int]] | None:
    """The next datagram and its descriptors; None when the other side is gone."""
    try:
        data, descriptors, _, _ = socket.recv_fds(sock, 65536, MAX_DESCRIPTORS)
    except ConnectionResetError:
        return None
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return (json.loads(data), list(descriptors)) if data else None


def to_wire(value: Any) -> Any:
    """A dataclass of `kubelab.runtime.api` as JSON's types."""
    return dataclasses.asdict(value)


def machine_config(fields: Message) -> api.MachineConfig:
    return api.MachineConfig(**fields)


def sandbox_config(fields: Message) -> api.PodSandboxConfig:
    return api.PodSandboxConfig(**fields | {"dns": dns_config(fields.get("dns", {}))})


def dns_config(fields: Message) -> api.DNSConfig:
    return api.DNSConfig(**{name: tuple(values) for name, values in fields.items()})


def container_config(fields: Message) -> api.ContainerConfig:
    return api.ContainerConfig(
        **fields
        | {
            "argv": tuple(fields["argv"]),
            "env": tuple((name, value) for name, value in fields["env"]),
            "mounts": tuple(api.Mount(**mount | {"options": tuple(mount["options"])}) for mount in fields["mounts"]),
            "resources": resources(fields["resources"]),
            "security": api.Security(**{name: _tuple(value) for name, value in fields["security"].items()}),
            "ulimits": tuple((name, soft, hard) for name, soft, hard in fields["ulimits"]),
        }
    )


def resources(fields: Message) -> api.Resources:
    return api.Resources(**{name: _tuple(value) for name, value in fields.items()})


def network_config(fields: Message) -> api.NetworkConfig:
    return api.NetworkConfig(**{name: _tuple(value) for name, value in fields.items()})


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def sandbox_status(fields: Message) -> api.PodSandboxStatus:
    known = {"config": sandbox_config(fields["config"]), "state": api.SandboxState(fields["state"])}
    known["endpoints"] = tuple(api.Endpoint(**each) for each in fields["endpoints"])
    return api.PodSandboxStatus(**fields | known)


def container_stats(fields: Message) -> api.ContainerStats:
    return api.ContainerStats(**{name: _tuple(value) for name, value in fields.items()})


def container_status(fields: Message) -> api.ContainerStatus:
    known = {"config": container_config(fields["config"]), "state": api.ContainerState(fields["state"])}
    return api.ContainerStatus(**fields | known)
