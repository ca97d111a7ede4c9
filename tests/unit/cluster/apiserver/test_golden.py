"""What real clients sent once, sent again: the answers must be the recorded ones (tools/record_golden.py)."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from pathlib import Path

import aiohttp
import pytest

import exchanges
from kubelab.home import Home


@pytest.mark.parametrize("path", sorted(exchanges.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_golden(path: Path):
    asyncio.run(_replay(exchanges.load(path)))


async def _replay(recorded: list[exchanges.Exchange]) -> None:
    assert recorded
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        home = Home(Path(folder)).ensure()
        async with exchanges.serving(home) as (server, token), aiohttp.ClientSession() as session:
            for exchange in recorded:
                await _again(session, f"https://127.0.0.1:{server.port}", token, exchange)


async def _again(session: aiohttp.ClientSession, url: str, token: str, exchange: exchanges.Exchange) -> None:
    headers = {"Authorization": f"Bearer {token}", "Accept": exchange.accept or "*/*"}
    if exchange.content_type:
        headers["Content-Type"] = exchange.content_type
    body = base64.b64decode(exchange.binary) if exchange.binary else exchange.body.encode()
    async with session.request(
        exchange.method,
        url + exchange.path,
        data=body or None,
        headers=headers,
        ssl=False,
        skip_auto_headers=("Content-Type",),
    ) as answer:
        found = exchanges.normalised(await answer.json(content_type=None))
        what = f"{exchange.command}: {exchange.method} {exchange.path}"
        assert (answer.status, found) == (exchange.status, exchange.answer), what
