"""A port that swallows what comes: no answer, no refusal, as upstream's DROP for a service whose traffic has to stay on
a node that has no endpoint.

The kernel does the dropping. A listening socket whose queue is full, and that nobody empties, ignores further
connection requests (listen(2), tcp_abort_on_overflow=0); a UDP socket that nobody reads is deaf anyway.
"""

from __future__ import annotations

import asyncio
import socket

from kubelab.cluster.proxy.rules import Backend


class DroppingPort:
    """`filler` is an unconnected socket of the network that the port is in."""

    def __init__(self, backend: Backend, filler: socket.socket) -> None:
        self.backend, self._filler = backend, filler
        self._bound: socket.socket | None = None

    async def start(self, bound: socket.socket) -> None:
        self._bound = bound
        if bound.type == socket.SOCK_STREAM:
            bound.listen(0)  # room for one
            await asyncio.get_running_loop().sock_connect(self._filler, bound.getsockname())

    def close(self) -> None:
        self._filler.close()
        if self._bound is not None:
            self._bound.close()
