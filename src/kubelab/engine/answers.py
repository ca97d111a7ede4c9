"""JSON answers. Their type is `application/json` and nothing more: the docker CLI compares it letter by letter."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web


def json_answer(data: Any, status: int = 200) -> web.Response:
    """`data` as JSON, with the newline that Go's encoder ends with."""
    return web.Response(body=encode(data) + b"\n", status=status, content_type="application/json")


def encode(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def json_stream() -> web.StreamResponse:
    """The head of an answer that is written object by object."""
    return web.StreamResponse(headers={"Content-Type": "application/json"})
