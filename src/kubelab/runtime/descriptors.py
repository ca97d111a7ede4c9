"""Read and write the descriptors that the runtime hands out (pipes, a pty's master) from an event loop.

Both calls take the descriptor over: closing the transport or the writer closes it. Where one pty master serves both
ways, give each call a copy (`os.dup`).
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator

CHUNK = 32 * 1024


async def chunks(descriptor: int) -> AsyncIterator[bytes]:
    """What a descriptor yields, until its end. A pty's end is EIO, which here is an end like any other."""
    reader, transport = await open_reader(descriptor)
    try:
        while data := await reader.read(CHUNK):
            yield data
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    finally:
        transport.close()


async def open_reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    """A StreamReader over a descriptor, and the transport to close it with."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    return reader, transport


async def open_writer(descriptor: int) -> asyncio.StreamWriter:
    """A StreamWriter over a descriptor; `drain()` waits while the other end does not read."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop), os.fdopen(descriptor, "wb", buffering=0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)
