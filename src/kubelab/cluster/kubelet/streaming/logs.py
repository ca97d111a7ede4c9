"""What `kubectl logs` reads: a container's log file as a stream of bytes.

Upstream: pkg/kubelet/kuberuntime/logs/logs.go and PodLogOptions. The API server has validated the options already; the
kubelet checks them again, because others may call it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from kubelab.clock import Clock
from kubelab.runtime import logs
from kubelab.runtime.api import ContainerState, RuntimeServiceError

if TYPE_CHECKING:
    from kubelab.runtime.client import RuntimeClient

STATE_INTERVAL = 0.2  # seconds between looks at whether a followed container still runs


class BadLogOptions(ValueError):
    """The query asks for what cannot be had (HTTP 400)."""


@dataclass(frozen=True)
class LogOptions:
    """PodLogOptions, as the kubelet gets them in a query."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None  # lines
    since: datetime | None = None
    limit: int | None = None  # bytes
    stream: str = ""  # "stdout", "stderr", or "" for both

    @classmethod
    def from_query(cls, query: Mapping[str, str], clock: Clock) -> LogOptions:
        """Raises BadLogOptions, naming the parameter."""
        since = None
        if (seconds := _number(query, "sinceSeconds", at_least=1)) is not None:
            since = clock.now() - timedelta(seconds=seconds)
        if query.get("sinceTime"):
            if since is not None:
                raise BadLogOptions("at most one of `sinceTime` or `sinceSeconds` may be specified")
            try:
                since = datetime.fromisoformat(query["sinceTime"])
            except ValueError as error:
                raise BadLogOptions(f"sinceTime: Invalid value: {query['sinceTime']!r}: must be RFC 3339") from error
        stream = query.get("stream", "All")
        if stream not in ("All", "Stdout", "Stderr"):
            raise BadLogOptions(f'stream: Unsupported value: "{stream}": supported values: "All", "Stderr", "Stdout"')
        return cls(
            **{name: query.get(name) in ("true", "1") for name in ("follow", "previous", "timestamps")},
            tail=_number(query, "tailLines", at_least=0),
            since=since,
            limit=_number(query, "limitBytes", at_least=1),
            stream="" if stream == "All" else stream.lower(),
        )


def _number(query: Mapping[str, str], name: str, *, at_least: int) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if not text.lstrip("-").isdigit():
        raise BadLogOptions(f'{name}: Invalid value: "{text}": must be an integer')
    if (number := int(text)) < at_least:
        bound = "greater than or equal to 0" if at_least == 0 else "greater than 0"
        raise BadLogOptions(f"{name}: Invalid value: {number}: must be {bound}")
    return number


async def read_log(path: Path, options: LogOptions, ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log's bytes, as the options ask for them. `ended` says whether a followed container has written its last."""
    left = options.limit
    line_start = {"stdout": True, "stderr": True}
    async for entry in logs.read(path, tail=options.tail, since=options.since, follow=options.follow, ended=ended):
        if options.stream and entry.stream != options.stream:
            continue
        data = entry.data
        if options.timestamps and line_start[entry.stream]:
            data = entry.timestamp.encode() + b" " + data
        line_start[entry.stream] = not entry.partial
        if left is not None:
            data, left = data[:left], left - len(data)
        yield data
        if left is not None and left <= 0:
            return


@asynccontextmanager
async def end_of(runtime: RuntimeClient, container_id: str) -> AsyncIterator[Callable[[], bool]]:
    """Watch a container; the function given tells whether it has ended or is gone."""
    over = asyncio.Event()

    async def watch() -> None:
        with suppress(RuntimeServiceError):
            while True:
                if (await runtime.container_status(container_id)).state is ContainerState.EXITED:
                    break
                await asyncio.sleep(STATE_INTERVAL)
        over.set()

    task = asyncio.create_task(watch())
    try:
        yield over.is_set
    finally:
        task.cancel()
