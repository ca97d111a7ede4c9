"""The kubelet's routes for exec and attach: find the container, agree on a protocol, run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, closing
from typing import TYPE_CHECKING

from aiohttp import web

from kubelab.cluster.kubelet.streaming import websocket
from kubelab.cluster.kubelet.streaming.logs import end_of
from kubelab.cluster.kubelet.streaming.remotecommand import (
    BadOptions,
    RemoteStreams,
    StreamOptions,
    attach_to_container,
    exec_in_container,
)
from kubelab.cluster.kubelet.streaming.spdy_command import PROTOCOL, SpdyCommandStreams
from kubelab.cluster.kubelet.streaming.upgrade import (
    UpgradeRefused,
    is_websocket,
    spdy_connection,
    spdy_protocol,
    websocket_protocol,
)
from kubelab.runtime import logs
from kubelab.runtime.api import ContainerState, ContainerStatus

if TYPE_CHECKING:
    from kubelab.cluster.kubelet.kubelet import Kubelet
    from kubelab.runtime.client import RuntimeClient

Command = Callable[[StreamOptions, RemoteStreams], Awaitable[None]]


class NotRunning(Exception):
    """There is no such container, or it does not run (HTTP 500, as upstream's kubelet answers)."""


class CommandRoutes:
    """Handlers of `/exec` and `/attach`."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet

    async def exec(self, request: web.Request) -> web.StreamResponse:
        """Query: input, output, error, tty, and `command` once for each word."""
        argv = request.query.getall("command", [])
        if not argv:
            return web.Response(status=400, text="you must specify at least 1 command")

        async def run(container: ContainerStatus, options: StreamOptions, streams: RemoteStreams) -> None:
            await exec_in_container(self._kubelet.runtime, container.id, argv, options, streams)

        return await self._serve(request, run)

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """Query: input, output, error, tty. The terminal is the container's own, or there is none."""

        async def run(container: ContainerStatus, options: StreamOptions, streams: RemoteStreams) -> None:
            # The place in the log is taken before the first of the client's bytes can have an answer there.
            with closing(logs.LogReader(container.config.log_path, 0, None)) as reader:
                async with aclosing(container_output(self._kubelet.runtime, container, reader)) as output:
                    await attach_to_container(self._kubelet.runtime, container.id, options, output, streams)

        return await self._serve(request, run)

    async def _serve(
        self,
        request: web.Request,
        run: Callable[[ContainerStatus, StreamOptions, RemoteStreams], Awaitable[None]],
    ) -> web.StreamResponse:
        try:
            options = StreamOptions.from_query(request.query)
            container = await self._running_container(request)

            async def command(options: StreamOptions, streams: RemoteStreams) -> None:
                await run(container, options, streams)

            if is_websocket(request):
                return await over_websocket(request, options, command)
            return await over_spdy(request, options, command)
        except BadOptions as error:
            return web.Response(status=400, text=str(error))
        except NotRunning as error:
            return web.Response(status=500, text=str(error))
        except UpgradeRefused as refusal:
            return refusal.response

    async def _running_container(self, request: web.Request) -> ContainerStatus:
        name = request.match_info["container"]
        try:
            status = await self._kubelet.container(request.match_info["namespace"], request.match_info["pod"], name)
        except KeyError as error:
            raise NotRunning(f'container not found ("{name}")') from error
        if status.state is not ContainerState.RUNNING:
            raise NotRunning(f'container not found ("{name}")')
        return status


async def over_websocket(request: web.Request, options: StreamOptions, command: Command) -> web.StreamResponse:
    protocol = websocket_protocol(request, [websocket.V5, websocket.V4])
    socket = web.WebSocketResponse(protocols=[protocol], max_msg_size=websocket.MAX_MESSAGE)
    await socket.prepare(request)
    streams = websocket.WebSocketCommandStreams(socket, options)
    try:
        await streams.start()
        await command(options, streams)
    finally:
        await streams.stop()
    return socket


async def over_spdy(request: web.Request, options: StreamOptions, command: Command) -> web.StreamResponse:
    protocol = spdy_protocol(request, [PROTOCOL])
    async with spdy_connection(request, protocol) as connection:
        streams = await SpdyCommandStreams.accept(connection.session, options)
        if streams is not None:
            await command(options, streams)
    return connection.response


async def container_output(
    runtime: RuntimeClient, container: ContainerStatus, reader: logs.LogReader
) -> AsyncIterator[tuple[str, bytes]]:
    """What a container writes from where the reader is, until it ends: (stream's name, bytes)."""
    async with end_of(runtime, container.id) as ended:
        async for entry in logs.entries(reader, ended):
            yield entry.stream, entry.data
