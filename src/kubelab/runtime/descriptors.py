"""Read and write the descriptors that the runtime hands out (pipes, a pty's master) from an event loop.

They must be non-blocking, and stay their owner's: nothing here closes one.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator, Callable
from typing import Any

CHUNK = 32 * 1024


async def chunks(descriptor: int) -> AsyncIterator[bytes]:
    """What a descriptor yields, as it comes, until its end. A pty's end is EIO, which here is an end like any other."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            await _ready(descriptor, loop.add_reader, loop.remove_reader)
            continue
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return
        if not data:
            return
        yield data


async def write(descriptor: int, data: bytes) -> None:
    """Write all of `data`, waiting while the other end does not read. Raises BrokenPipeError where it is gone."""
    loop, rest = asyncio.get_running_loop(), memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            await _ready(descriptor, loop.add_writer, loop.remove_writer)


def resize(terminal: int, rows: int, columns: int) -> None:
    """Set a terminal's size by its master; the programs in it get SIGWINCH."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


async def _ready(descriptor: int, add: Callable[..., Any], remove: Callable[[int], Any]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    add(descriptor, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        remove(descriptor)
