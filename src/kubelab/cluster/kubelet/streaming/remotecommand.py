"""Run exec and attach over whatever carries the streams: SPDY or WebSocket.

Upstream: k8s.io/kubelet/pkg/cri/streaming/remotecommand (ServeExec, ServeAttach), and containerd's CRI plug-in for the
texts of its errors. The end of a command is told by a Status on the error stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from kubelab.runtime.api import RuntimeServiceError
from kubelab.runtime.descriptors import chunks, write

if TYPE_CHECKING:
    from kubelab.runtime.client import ExecSession, RuntimeClient

logger = logging.getLogger(__name__)

SIGKILL = 9
DRAIN_SECONDS = 2.0  # how long output may still come once the command has ended: a child may hold its stdout open


class BadOptions(ValueError):
    """The request asks for streams that cannot be had (HTTP 400)."""


@dataclass(frozen=True)
class StreamOptions:
    """Which streams the client wants."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> StreamOptions:
        """The kubelet's own parameter names: input, output, error, tty. A terminal has no stderr of its own."""
        wanted = {name: query.get(name) in ("1", "true") for name in ("input", "output", "error", "tty")}
        if not (wanted["input"] or wanted["output"] or wanted["error"]):
            raise BadOptions("you must specify at least 1 of stdin, stdout, stderr")
        return cls(wanted["input"], wanted["output"], wanted["error"] and not wanted["tty"], wanted["tty"])


class RemoteStreams(Protocol):
    """The client's side of exec and attach."""

    closed: asyncio.Event  # set when the client has gone

    async def read_stdin(self) -> bytes:
        """The next bytes, b"" at the end."""

    async def write_stdout(self, data: bytes) -> None: ...

    async def write_stderr(self, data: bytes) -> None: ...

    async def next_resize(self) -> tuple[int, int] | None:
        """The terminal's next size as (rows, columns), None when there will be no more."""

    async def finish(self, status: dict[str, Any]) -> None:
        """Send the Status and end the streams."""


def success() -> dict[str, Any]:
    return {"metadata": {}, "status": "Success"}


def internal_error(message: str) -> dict[str, Any]:
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


def exit_status(argv: list[str], code: int) -> dict[str, Any]:
    """Success for 0, else the Failure from which clients take the command's exit code."""
    if code == 0:
        return success()
    return {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: "
        f"error executing command [{' '.join(argv)}], exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def exec_in_container(
    runtime: RuntimeClient, container_id: str, argv: list[str], options: StreamOptions, streams: RemoteStreams
) -> None:
    """Run `argv` in a container until it ends or the client goes; a client that goes takes the command with it."""
    try:
        session = await runtime.exec(container_id, argv, tty=options.tty, stdin=options.stdin)
    except RuntimeServiceError as error:
        await streams.finish(
            internal_error(f"error executing command in container: failed to exec in container: {error}")
        )
        return
    code = None
    try:
        async with session, _pumps(exec_pumps(session, options, streams)) as output:
            code = await _unless_closed(session.wait(), streams)
            if code is not None and output:
                await asyncio.wait(output, timeout=DRAIN_SECONDS)
    finally:
        if code is None:  # the client went, or the connection was lost
            with contextlib.suppress(RuntimeServiceError, OSError):
                await session.kill(SIGKILL)
    if code is not None:
        await streams.finish(exit_status(argv, code))


async def attach_to_container(
    runtime: RuntimeClient,
    container_id: str,
    options: StreamOptions,
    output: AsyncIterator[tuple[str, bytes]],
    streams: RemoteStreams,
) -> None:
    """Join a running container: `output` yields what it writes, as (stream's name, bytes), and ends when it ends."""

    async def copy_output() -> bool:
        async for name, data in output:
            if name == "stdout" and options.stdout:
                await streams.write_stdout(data)
            elif name == "stderr" and (options.stderr or (options.tty and options.stdout)):
                await streams.write_stderr(data)
        return True

    inward: list[Awaitable[None]] = []
    async with AsyncExitStack() as stack:
        if options.stdin:
            try:
                stdin = await runtime.attach_stdin(container_id)
            except RuntimeServiceError as error:
                await streams.finish(internal_error(f"error attaching to container: {error}"))
                return
            closing = stack.enter_context(_Descriptor(stdin))
            inward.append(_copy_in(streams, stdin, at_end=_nothing if options.tty else closing.close))
        if options.tty:
            inward.append(_resize(streams, partial(runtime.resize_container_tty, container_id)))
        async with _pumps((inward, [])):
            if await _unless_closed(copy_output(), streams) is None:
                return
        await streams.finish(success())


class _Descriptor:
    """Closes a descriptor once: when told, or at the end of the block."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor: int | None = descriptor

    def __enter__(self) -> _Descriptor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def exec_pumps(
    session: ExecSession, options: StreamOptions, streams: RemoteStreams
) -> tuple[list[Awaitable[None]], list[Awaitable[None]]]:
    """What copies between a command and its client: inward (stdin, resizes) and outward (stdout, stderr)."""
    inward: list[Awaitable[None]] = []
    outward: list[Awaitable[None]] = []
    if session.stdin is not None and options.stdin:
        # A terminal is not hung up by its user's silence.
        inward.append(_copy_in(streams, session.stdin, at_end=_nothing if options.tty else session.close_stdin))
    if options.tty:
        inward.append(_resize(streams, session.resize))
    if session.stdout is not None:
        outward.append(_copy_out(session.stdout, streams.write_stdout if options.stdout else _drop))
    if session.stderr is not None:
        outward.append(_copy_out(session.stderr, streams.write_stderr if options.stderr else _drop))
    return inward, outward


@contextlib.asynccontextmanager
async def _pumps(
    coroutines: tuple[list[Awaitable[None]], list[Awaitable[None]]],
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run pumps beside the body, which gets the outward ones; whatever still runs at its end is cancelled."""
    inward, outward = ([asyncio.ensure_future(pump) for pump in side] for side in coroutines)
    try:
        yield outward
    finally:
        for task in (*inward, *outward):
            task.cancel()
        for result in await asyncio.gather(*inward, *outward, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, (OSError, RuntimeServiceError)):
                logger.error("a stream failed", exc_info=result)


async def _unless_closed(work: Awaitable[Any], streams: RemoteStreams) -> Any:
    """The work's result, or None when the client goes first."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(streams.closed.wait())
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        working.cancel()
        gone.cancel()


async def _copy_in(streams: RemoteStreams, descriptor: int, *, at_end: Callable[[], None]) -> None:
    """The client's stdin into a descriptor."""
    while data := await streams.read_stdin():
        await write(descriptor, data)
    at_end()


async def _copy_out(descriptor: int, write_on: Callable[[bytes], Awaitable[None]]) -> None:
    async with aclosing(chunks(descriptor)) as output:
        async for data in output:
            await write_on(data)


async def _resize(streams: RemoteStreams, resize: Callable[[int, int], Awaitable[None]]) -> None:
    while (size := await streams.next_resize()) is not None:
        await resize(*size)


async def _drop(_: bytes) -> None: ...


def _nothing() -> None: ...
