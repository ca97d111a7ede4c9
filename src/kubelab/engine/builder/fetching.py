"""ADD of a URL, and a build context that is one (moby: builder/dockerfile/copy.go, downloadSource).

The file gets mode 0600 and the time that the server says it was changed, else 1970; it is not unpacked. `--checksum` is
BuildKit's.
"""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp

from kubelab.images.limits import Limits, TooMuch
from kubelab.images.registry.client import reason

Report = Callable[[int, int], Awaitable[None]]  # bytes so far, bytes in all (0: not known)
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
_CHUNK = 1 << 18


class FetchError(ValueError):
    """The message is dockerd's."""


@dataclass(frozen=True)
class Fetched:
    name: str  # of the file, "" where neither the URL nor the server says one
    mtime: int
    content_type: str


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


async def fetch(url: str, target: Path, checksum: str = "", report: Report | None = None) -> Fetched:
    """Download `url` into the file `target`. Raises FetchError."""
    if not urlsplit(url).hostname:
        raise FetchError(f'Get "{url}": http: no Host in request URL')
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT, trust_env=True) as session, session.get(url) as answer:
            if answer.status >= 400:
                body = (await answer.content.read(_CHUNK)).decode(errors="replace").strip()
                raise FetchError(f"failed to GET {url} with status {answer.status} {answer.reason}: {body}")
            digest = await _receive(answer, target, report)
            name, mtime = _name(url, answer.headers.get("Content-Disposition", "")), _mtime(answer.headers)
            kind = answer.content_type
    except (aiohttp.ClientError, TimeoutError) as error:
        raise FetchError(f'Get "{url}": {reason(error)}') from None
    if checksum and digest != checksum:
        raise FetchError(f"digest mismatch {digest} : {checksum}")
    return Fetched(name, mtime, kind)


async def _receive(answer: aiohttp.ClientResponse, target: Path, report: Report | None) -> str:
    digest, size, most = hashlib.sha256(), 0, Limits.current().size
    with target.open("wb") as file:
        async for chunk in answer.content.iter_chunked(_CHUNK):
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
            size += len(chunk)
            if size > most:
                raise TooMuch(f"{answer.url}: more than {most} bytes")
            if report:
                await report(size, answer.content_length or 0)
    return f"sha256:{digest.hexdigest()}"


def _name(url: str, disposition: str) -> str:
    path = unquote(urlsplit(url).path)
    if path and not path.endswith("/"):
        return posixpath.basename(path)
    message = Message()
    message["Content-Disposition"] = disposition
    return posixpath.basename(message.get_filename() or "")


def _mtime(headers) -> int:
    try:
        return int(parsedate_to_datetime(headers["Last-Modified"]).timestamp())
    except (KeyError, ValueError, TypeError):
        return 0


def check_checksum(text: str, sources: list[str]) -> None:
    """Raises FetchError with BuildKit's words."""
    if not text:
        return
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise FetchError("invalid checksum digest format" if ":" in text else "unsupported checksum digest")
    if len(sources) != 1:
        raise FetchError("checksum can't be specified for multiple sources")
    if not is_url(sources[0]):
        raise FetchError("checksum can't be specified for non-HTTP(S) sources")
