"""The runtime's daemon: answers RPCs on `$KUBELAB_HOME/runtime.sock` and owns every sandbox and container.

One connection an RPC: a frame {"method", …parameters}, and for most one frame back, {"result"} or {"error": {"code",
"message"}}. exec and events keep theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import shutil
import signal
import socket

from kubelab.component import Component, die_with_parent
from kubelab.home import Home
from kubelab.images.store import ImageStore
from kubelab.runtime import levels, wire
from kubelab.runtime.api import RuntimeServiceError
from kubelab.runtime.isolation import Stdio
from kubelab.runtime.service import RuntimeService
from kubelab.runtime.supervised import Supervised
from kubelab.runtime.wire import Channel, Message

log = logging.getLogger("kubelab.runtime")


async def run(component: Component) -> None:
    """The component `runtime`."""
    home = Home.from_environment().ensure()
    _raise_descriptor_limit()
    try:
        isolation, tried = levels.choose(home)
    except RuntimeServiceError as error:
        raise SystemExit(str(error)) from None
    await isolation.start()
    _empty(home)  # after a kill, and not before we have the rights over what containers left
    if "KUBELAB_PARENT" in os.environ:
        die_with_parent()  # once more: a change of credentials, as entering a user namespace is, may undo it
    service = RuntimeService(home, isolation, ImageStore(home.images), tried)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, _reap, service)
    with contextlib.closing(_listen(home)) as listener:
        serving = loop.create_task(Server(service).serve(listener))
        component.ready(level=isolation.level, uid_map=isolation.uid_map)
        await component.stopped()
        serving.cancel()
        home.runtime_socket.unlink(missing_ok=True)
    await service.stop_everything()
    _empty(home)


def _raise_descriptor_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _empty(home: Home) -> None:
    """Writable layers are worth nothing without their containers, which never outlive the daemon."""
    shutil.rmtree(home.runtime, ignore_errors=True)
    home.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)


def _listen(home: Home) -> socket.socket:
    home.runtime_socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    previous = os.umask(0o177)
    try:
        listener.bind(str(home.runtime_socket))
    finally:
        os.umask(previous)
    listener.listen(1024)
    return listener


def _reap(service: RuntimeService) -> None:
    """Collect children that ended: monitors, pause processes, and whatever fell to us as their subreaper."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            service.child_ended(ended)


class Server:
    def __init__(self, service: RuntimeService) -> None:
        self._service = service
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            task = loop.create_task(self._answer(Channel(connection)))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _answer(self, channel: Channel) -> None:
        with contextlib.closing(channel), contextlib.suppress(ConnectionError):
            received = await channel.receive()
            if received is None:
                return
            try:
                await self._dispatch(channel, *received)
            except RuntimeServiceError as error:
                await channel.send({"error": {"code": error.code, "message": str(error)}})
            except ConnectionError:
                return
            except Exception as error:
                log.exception("%s failed", received[0].get("method"))
                await channel.send({"error": {"code": "Unknown", "message": f"{type(error).__name__}: {error}"}})

    async def _dispatch(self, channel: Channel, given: Message, descriptors: list[int]) -> None:
        method = given.pop("method")
        special = {"exec": self._exec, "events": self._events, "open_socket": self._open_socket}
        special["attach_stdin"] = self._attach
        if method in special:
            await special[method](channel, given, descriptors)
        else:
            await channel.send({"result": await self._service.call(method, given)})

    async def _open_socket(self, channel: Channel, given: Message, _: list[int]) -> None:
        made, addresses = self._service.sandboxes.open_socket(given["where"], given["family"], given["type"])
        with made:
            await channel.send({"result": addresses._asdict()}, [made.fileno()])

    async def _attach(self, channel: Channel, given: Message, _: list[int]) -> None:
        descriptor = self._service.containers.attach_stdin(given["id"])
        try:
            await channel.send({"result": None}, [descriptor])
        finally:
            os.close(descriptor)

    async def _events(self, channel: Channel, _: Message, __: list[int]) -> None:
        with self._service.events.listen() as queue:
            await channel.send({"result": None})
            while True:
                await channel.send(wire.to_wire(await queue.get()))

    async def _exec(self, channel: Channel, given: Message, descriptors: list[int]) -> None:
        """With a terminal its master goes back; else the client has sent the program's three descriptors."""
        try:
            if len(descriptors) != (0 if given["tty"] else 3):
                raise RuntimeServiceError("InvalidArgument", "exec takes three descriptors, none with a terminal")
            stdio: Stdio = (None, None, None) if given["tty"] else (descriptors[0], descriptors[1], descriptors[2])
            supervised = await self._service.containers.exec(given["id"], given, stdio)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        terminal = [supervised.terminal] if given["tty"] else []
        await channel.send({"result": {"pid": supervised.pid}}, terminal)
        for descriptor in terminal:
            os.close(descriptor)
        commands = asyncio.get_running_loop().create_task(_obey(channel, supervised))
        try:
            exit_ = await supervised.exited
            await channel.send({"exit_code": exit_.code})
        finally:
            commands.cancel()


async def _obey(channel: Channel, supervised: Supervised) -> None:
    """Signals from an exec's client, until it goes; the program then runs on, as upstream's does."""
    while received := await channel.receive():
        supervised.signal(received[0]["signal"])
