"""What clients put into the query string, read as dockerd reads it (moby: api/server/httputils/form.go)."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from datetime import datetime
from typing import IO

from aiohttp import web

from kubelab.engine.builder.healthcheck import nanoseconds
from kubelab.engine.errors import DockerError

CHUNK = 1 << 20


def flag(request: web.Request, name: str, default: bool = False) -> bool:
    """True unless the value is empty, `0`, `no`, `false` or `none`."""
    value = request.query.get(name)
    return default if value is None else value.strip().lower() not in ("", "0", "no", "false", "none")


def filters(request: web.Request, known: Collection[str]) -> dict[str, list[str]]:
    """`filters={"name":["value"]}`, of old `{"name":{"value":true}}`. Raises DockerError 400 for one not in `known`."""
    try:
        found = json.loads(request.query.get("filters") or "{}")
        result = {name: list(values) for name, values in found.items()}
    except (ValueError, AttributeError, TypeError):
        raise DockerError(400, "invalid filters: a JSON object of lists is expected") from None
    for name in result:
        if name not in known:
            raise DockerError(400, f"invalid filter '{name}'")
    return result


def boolean(found: dict[str, list[str]], name: str, default: bool) -> bool:
    """A filter that is true or false (moby: api/types/filters, GetBoolOrDefault). Raises DockerError 400."""
    if name not in found:
        return default
    values = found[name]
    true, false = not {"1", "true"}.isdisjoint(values), not {"0", "false"}.isdisjoint(values)
    if true == false:
        raise DockerError(400, f"invalid filter '{name}=[{' '.join(values)}]'")
    return true


def refuse(request: web.Request, *names: str) -> None:
    """Raise DockerError 501 where a parameter that is not honoured has a value other than its default."""
    for name in names:
        value = request.query.get(name, "")
        if value.lower() not in ("", "0", "false", "null", "[]", "{}"):
            raise DockerError(501, f"{name}={value} is not supported by this engine: leave it out")


async def receive(request: web.Request, file: IO[bytes]) -> None:
    """Write the request's body to `file` and rewind it."""
    async for chunk in request.content.iter_chunked(CHUNK):
        file.write(chunk)
    file.seek(0)


def moment(text: str) -> float:
    """Seconds since 1970 of an `until`: a number of them, an RFC 3339 time, or how long ago (`24h`)."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        pass
    try:
        return time.time() - nanoseconds(text) / 1e9
    except ValueError:
        raise DockerError(400, f'failed to parse value as time or duration: "{text}"') from None
