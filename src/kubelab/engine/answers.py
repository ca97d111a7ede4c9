"""JSON answers. Their type is `application/json` and nothing more: the docker CLI compares it letter by letter."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web


def json_answer(data: Any, status: int = 200) -> web.Response:
    """`data` as JSON, with the newline that Go's encoder ends with."""
    return web.Response(body=encode(data) + b"\n", status=status, content_type="application/json")


def encode(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


class LineStream:
    """A JSON stream that begins with its first line; before that, an error may still be a status."""

    def __init__(self, request: web.Request) -> None:
        self._request, self._response = request, json_stream()
        self.started = False
        self._turn = asyncio.Lock()  # lines come from several tasks

    async def send(self, line: dict[str, Any]) -> None:
        async with self._turn:
            if not self.started:
                self.started = True
                await self._response.prepare(self._request)
            await self._response.write(encode(line) + b"\r\n")

    async def fail(self, error: Exception) -> None:
        await self.send({"errorDetail": {"message": str(error)}, "error": str(error)})

    async def end(self) -> web.StreamResponse:
        if not self.started:
            await self._response.prepare(self._request)
        await self._response.write_eof()
        return self._response


def json_stream() -> web.StreamResponse:
    """The head of an answer that is written object by object."""
    return web.StreamResponse(headers={"Content-Type": "application/json"})
