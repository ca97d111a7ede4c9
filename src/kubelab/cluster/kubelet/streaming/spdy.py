"""A SPDY/3.1 session: many streams over one connection, as kubectl's exec, attach and port-forward use it.

As upstream's github.com/moby/spdystream: either side opens streams, each half of a stream closes on its own (FIN), PING
is answered, GOAWAY ends the session. There is no flow control by WINDOW_UPDATE there, and so none here: such a frame is
read and dropped, and a reader that falls behind slows the connection down as a whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from kubelab.cluster.kubelet.streaming.spdy_frames import Frame, FrameType, HeaderCodec, SpdyError, decode, encode, head

logger = logging.getLogger(__name__)

CANCEL = 5  # RST_STREAM's status codes
INVALID_STREAM = 2
MAX_WAITING = 1 << 20  # bytes a stream holds before the session stops reading
MAX_DATA = 32 * 1024  # bytes in one DATA frame we send


class SpdyStream:
    """One stream, both ways. Made by `SpdySession`, never by hand."""

    def __init__(self, session: SpdySession, number: int, headers: dict[str, str]) -> None:
        self.number, self.headers = number, headers
        self._session = session
        self._waiting = bytearray()
        self._remote_closed = self._local_closed = self._ignored = False
        self._changed = asyncio.Event()
        self.replied = asyncio.Event()

    async def read(self, limit: int = MAX_DATA) -> bytes:
        """Up to `limit` bytes; b"" when the peer has closed its half or the stream was reset."""
        while not self._waiting and not self._remote_closed:
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._waiting[:limit])
        del self._waiting[:limit]
        self._session.room.set()
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes; ConnectionResetError once this half is closed or the stream was reset."""
        for start in range(0, len(data), MAX_DATA):
            if self._local_closed:
                raise ConnectionResetError(f"stream {self.number} is closed")
            await self._session.send(Frame(FrameType.DATA, self.number, data=data[start : start + MAX_DATA]))

    async def close(self) -> None:
        """Close our half. The peer's half stays open."""
        if not self._local_closed:
            self._local_closed = True
            await self._session.send(Frame(FrameType.DATA, self.number, fin=True))
            self._session.forget_if_done(self)

    def ignore(self) -> None:
        """Nobody reads this stream any more: drop what waits and what comes, so that it does not hold the others up."""
        self._ignored = True
        self._waiting.clear()
        self._session.room.set()

    async def reset(self, status: int = CANCEL) -> None:
        """End both halves at once."""
        await self._session.send(Frame(FrameType.RST_STREAM, self.number, status=status))
        self.ended()
        self._session.forget_if_done(self)

    # -- called by the session

    def received(self, data: bytes, fin: bool) -> None:
        if not self._ignored:
            self._waiting += data
        self._remote_closed |= fin
        self._changed.set()

    def ended(self) -> None:
        self._remote_closed = self._local_closed = True
        self._changed.set()
        self.replied.set()

    def full(self) -> bool:
        return len(self._waiting) > MAX_WAITING

    def done(self) -> bool:
        return self._remote_closed and self._local_closed


class SpdySession:
    """A session over any ordered byte stream. Use as an async context manager; leaving it says GOAWAY.

    readexactly: `n -> bytes`, raising IncompleteReadError or ConnectionError at the end of the connection.
    send_bytes: writes bytes, waiting where the peer is slow.
    server: servers open even streams, clients odd ones.
    """

    def __init__(
        self,
        readexactly: Callable[[int], Awaitable[bytes]],
        send_bytes: Callable[[bytes], Awaitable[None]],
        *,
        server: bool,
    ) -> None:
        self._readexactly, self._send_bytes = readexactly, send_bytes
        self._codec = HeaderCodec()
        self._streams: dict[int, SpdyStream] = {}
        self._accepted: asyncio.Queue[SpdyStream | None] = asyncio.Queue()
        self._next = 2 if server else 1
        self._last_good = 0
        self._sending = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self.room = asyncio.Event()
        self.closed = asyncio.Event()

    async def __aenter__(self) -> SpdySession:
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.send(Frame(FrameType.GOAWAY, self._last_good))
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def accept(self) -> SpdyStream | None:
        """The next stream that the peer opened, None at the session's end. Answer it with `reply()` or `reset()`."""
        return await self._accepted.get()

    async def reply(self, stream: SpdyStream) -> None:
        await self.send(Frame(FrameType.SYN_REPLY, stream.number))

    async def open(self, headers: dict[str, str]) -> SpdyStream:
        """Open a stream; returns once the peer has answered it. ConnectionResetError where it refused."""
        stream = SpdyStream(self, self._next, headers)
        self._streams[stream.number] = stream
        self._next += 2
        await self.send(Frame(FrameType.SYN_STREAM, stream.number, headers=headers))
        await stream.replied.wait()
        if stream.done():
            raise ConnectionResetError(f"the peer refused stream {stream.number}")
        return stream

    async def linger(self, seconds: float) -> None:
        """Wait for the peer to end the connection, so that closing it does not cut off what it has not read yet."""
        for stream in self._streams.values():
            stream.ignore()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.closed.wait()

    async def send(self, frame: Frame) -> None:
        """Send one frame. A connection that is gone is no error here: reading notices it, and ends every stream."""
        async with self._sending:  # header blocks must leave in the order in which they were compressed
            try:
                await self._send_bytes(encode(frame, self._codec))
            except (ConnectionError, RuntimeError) as error:
                logger.debug("SPDY connection lost while sending: %s", error)

    def forget_if_done(self, stream: SpdyStream) -> None:
        if stream.done():
            self._streams.pop(stream.number, None)

    async def _read(self) -> None:
        try:
            while True:
                kind, number, flags, length = head(await self._readexactly(8))
                frame = decode(kind, number, flags, await self._readexactly(length), self._codec)
                if frame is not None and not await self._received(frame):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except SpdyError as error:
            logger.warning("SPDY session ended: %s", error)
        finally:
            self._end()

    def _end(self) -> None:
        self.closed.set()
        for stream in self._streams.values():
            stream.ended()
        self._streams.clear()
        self._accepted.put_nowait(None)

    async def _received(self, frame: Frame) -> bool:
        """Act on a frame; False where it ends the session."""
        stream = self._streams.get(frame.number)
        match frame.type:
            case FrameType.SYN_STREAM:
                self._opened(frame)
            case FrameType.PING:
                if frame.number % 2 != self._next % 2:  # else it answers one of ours
                    await self.send(frame)
            case FrameType.GOAWAY:
                return False
            case FrameType.DATA if stream is None:
                await self.send(Frame(FrameType.RST_STREAM, frame.number, status=INVALID_STREAM))
            case FrameType.DATA | FrameType.SYN_REPLY | FrameType.HEADERS if stream is not None:
                stream.received(frame.data, frame.fin)
                if frame.type is FrameType.SYN_REPLY:
                    stream.replied.set()
                self.forget_if_done(stream)
                await self._wait_for_room(stream)
            case FrameType.RST_STREAM if stream is not None:
                stream.ended()
                self.forget_if_done(stream)
        return True

    def _opened(self, frame: Frame) -> None:
        stream = SpdyStream(self, frame.number, frame.headers)
        stream.received(b"", frame.fin)
        self._streams[stream.number] = stream
        self._last_good = stream.number
        self._accepted.put_nowait(stream)

    async def _wait_for_room(self, stream: SpdyStream) -> None:
        while stream.full():
            self.room.clear()
            await self.room.wait()
