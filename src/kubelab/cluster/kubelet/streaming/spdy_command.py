"""exec and attach over SPDY: how kubectl before 1.29 asks for them, and every kubectl whose WebSocket was refused.

Upstream: k8s.io/kubelet/pkg/cri/streaming/remotecommand/httpstream.go. The client opens one stream for each of error,
stdin, stdout, stderr and, with a terminal, resize; its header `streamtype` says which.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from kubelab.cluster.kubelet.streaming.remotecommand import StreamOptions
from kubelab.cluster.kubelet.streaming.spdy import SpdySession, SpdyStream

PROTOCOL = "v4.channel.k8s.io"  # Status as JSON on the error stream; resize as JSON objects
STREAM_CREATION_TIMEOUT = 30.0  # upstream's DefaultStreamCreationTimeout, seconds


class SpdyCommandStreams:
    """A client's streams, once all are there: `await SpdyCommandStreams.accept(…)`."""

    def __init__(self, session: SpdySession, streams: dict[str, SpdyStream]) -> None:
        self._session, self._streams = session, streams
        self._sizes = json.JSONDecoder()
        self._pending = ""

    @classmethod
    async def accept(cls, session: SpdySession, options: StreamOptions) -> SpdyCommandStreams | None:
        """Wait for the streams that the options call for. None where the client goes or does not open them in time."""
        wanted = {"error"} | {name for name in ("stdin", "stdout", "stderr") if getattr(options, name)}
        if options.tty:
            wanted.add("resize")
        found: dict[str, SpdyStream] = {}
        try:
            async with asyncio.timeout(STREAM_CREATION_TIMEOUT):
                while wanted - found.keys():
                    stream = await session.accept()
                    if stream is None:
                        return None
                    found[stream.headers.get("streamtype", "")] = stream
                    await session.reply(stream)
        except TimeoutError:
            return None
        return cls(session, found)

    @property
    def closed(self) -> asyncio.Event:
        return self._session.closed

    async def read_stdin(self) -> bytes:
        return await self._streams["stdin"].read()

    async def write_stdout(self, data: bytes) -> None:
        await self._streams["stdout"].write(data)

    async def write_stderr(self, data: bytes) -> None:
        await self._streams["stderr" if "stderr" in self._streams else "stdout"].write(data)

    async def next_resize(self) -> tuple[int, int] | None:
        while True:
            try:
                size, end = self._sizes.raw_decode(self._pending)
            except ValueError:
                data = await self._streams["resize"].read()
                if not data:
                    return None
                self._pending = (self._pending + data.decode(errors="replace")).lstrip()
            else:
                self._pending = self._pending[end:].lstrip()
                return int(size.get("Height", 0)), int(size.get("Width", 0))

    async def finish(self, status: dict[str, Any]) -> None:
        for name in ("stdout", "stderr"):
            if name in self._streams:
                await self._streams[name].close()
        await self._streams["error"].write(json.dumps(status).encode())
        await self._streams["error"].close()
