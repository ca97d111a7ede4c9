"""The node's cable: cut off, the agent and its containers go on, and nothing comes in or goes out.

Upstream has no such thing: there a switch fails. The supervisor signals it (SIGUSR1: cut, SIGUSR2: healed) and pulls
the machine's own link in the runtime; here is the rest, which in the lab runs over the host's loopback: the way to the
API server, the kubelet's own server, and the node's ports on the host.
"""

from __future__ import annotations

import asyncio
import logging
import signal

from kubelab.cluster.client import APIClient
from kubelab.cluster.kubelet.server import KubeletServer
from kubelab.cluster.proxy.service_proxy import ServiceProxy

log = logging.getLogger(__name__)


class Cable:
    def __init__(self, client: APIClient, server: KubeletServer, proxy: ServiceProxy) -> None:
        self._client, self._server, self._proxy = client, server, proxy
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self) -> None:
        """Obey the supervisor's signals from now on."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: self._spawn(cut=True))
        loop.add_signal_handler(signal.SIGUSR2, lambda: self._spawn(cut=False))

    def _spawn(self, *, cut: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._set(cut=cut))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _set(self, *, cut: bool) -> None:
        async with self._one_at_a_time:
            log.warning("the network is %s", "gone" if cut else "back")
            self._proxy.set_cut(cut)
            if cut:
                await self._client.sever()
                await self._server.stop()
            else:
                await self._server.start()
                await self._client.restore()
