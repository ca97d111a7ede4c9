"""The kubelet's route for port-forward: find the pod's sandbox, agree on a protocol, forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from kubelab.cluster.kubelet.streaming import portforward, websocket
from kubelab.cluster.kubelet.streaming.portforward import Connection, SpdyForwarder, Target, WebSocketForwarder
from kubelab.cluster.kubelet.streaming.spdy import SpdySession
from kubelab.cluster.kubelet.streaming.upgrade import (
    UpgradeRefused,
    is_websocket,
    spdy_connection,
    spdy_protocol,
    websocket_protocol,
)
from kubelab.runtime.api import PodSandboxStatus, RuntimeServiceError

if TYPE_CHECKING:
    from kubelab.cluster.kubelet.kubelet import Kubelet

DIAL_TIMEOUT = 10.0  # seconds


class PortForwardRoutes:
    """Handler of `/portForward`."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet

    async def port_forward(self, request: web.Request) -> web.StreamResponse:
        """Query: `port`, several or joined by commas, for WebSocket clients that do not tunnel SPDY."""
        namespace, pod = request.match_info["namespace"], request.match_info["pod"]
        try:
            target = self._target(await self._kubelet.sandbox(namespace, pod))
            if is_websocket(request):
                return await self._over_websocket(request, target)
            protocol = spdy_protocol(request, [portforward.PROTOCOL])
            async with spdy_connection(request, protocol) as connection:
                await SpdyForwarder(connection.session, target).run()
            return connection.response
        except KeyError as error:
            return web.Response(status=500, text=str(error.args[0]))
        except UpgradeRefused as refusal:
            return refusal.response

    async def _over_websocket(self, request: web.Request, target: Target) -> web.StreamResponse:
        protocol = websocket_protocol(request, [portforward.TUNNEL_PROTOCOL, websocket.V4])
        ports = [] if protocol == portforward.TUNNEL_PROTOCOL else ports_of(request)
        socket = web.WebSocketResponse(protocols=[protocol], max_msg_size=websocket.MAX_MESSAGE)
        await socket.prepare(request)
        if ports:
            await WebSocketForwarder(socket, target, ports).run()
            return socket
        tunnel = portforward.WebSocketTunnel(socket)
        async with SpdySession(tunnel.readexactly, tunnel.send, server=True) as session:
            await SpdyForwarder(session, target).run()
        return socket

    def _target(self, sandbox: PodSandboxStatus) -> Target:
        async def dial(port: int) -> Connection:
            try:
                return await self._kubelet.runtime.dial(sandbox.id, "127.0.0.1", port, DIAL_TIMEOUT)
            except RuntimeServiceError as error:
                raise OSError(str(error)) from error

        return Target(sandbox.id, dial)


def ports_of(request: web.Request) -> list[int]:
    """The query's ports. Raises UpgradeRefused where there is none, or one is none."""
    texts = [text for value in request.query.getall("port", []) for text in value.split(",")]
    if not texts:
        raise UpgradeRefused(400, 'query parameter "port" is required')
    for text in texts:
        if not text.isdigit() or not 1 <= int(text) <= 65535:
            raise UpgradeRefused(400, f'unable to parse "{text}" as a port')
    return [int(text) for text in texts]
