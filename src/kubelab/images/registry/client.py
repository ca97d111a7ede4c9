"""One repository of a registry, over HTTP: manifests, blobs, uploads.

Errors have the words of moby and of the registry itself (`errors.py`). Plain HTTP is spoken to registries on the
loopback only, as dockerd does without `insecure-registries`.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from kubelab.images.reference import DEFAULT_DOMAIN, Reference
from kubelab.images.registry.auth import Challenge, Credentials, token_query
from kubelab.images.registry.errors import Interrupted, RegistryError, message, of_answer
from kubelab.images.registry.manifests import ACCEPTED, MAX_SIZE, InvalidManifest

HUB = "registry-1.docker.io"
CHUNK = 1 << 16
_LINK = re.compile(r'\s*<([^>]*)>\s*;\s*rel="?next"?')
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)  # seconds


@dataclass(frozen=True)
class Fetched:
    """A manifest as it came."""

    data: bytes
    media_type: str
    digest: str


class Registry:
    """`async with Registry(reference, credentials) as registry`. `reference` names the repository."""

    def __init__(self, reference: Reference, credentials: Credentials | None = None, *, actions: str = "pull") -> None:
        self.reference, self._credentials = reference, credentials or Credentials()
        self._scope, self._pushes = f"repository:{reference.path}:{actions}", "push" in actions
        self._authorization = ""
        self.base = ""  # "https://host", known from the first request on
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Registry:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False)
        try:
            await self._connect()
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    # -- the connection

    async def _connect(self) -> None:
        """Find out whether the registry speaks TLS, and who it wants us to be."""
        host = HUB if self.reference.domain == DEFAULT_DOMAIN else self.reference.domain
        for base in [f"https://{host}", *([f"http://{host}"] if is_loopback(host) else [])]:
            self.base = base
            try:
                async with self._send("GET", f"{base}/v2/") as answer:
                    if answer.status == 401:
                        await self._authorize(answer.headers.get("WWW-Authenticate", ""))
                return
            except (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError, ValueError) as error:
                failure = RegistryError(f'Get "{base}/v2/": {reason(error)}')
        raise failure

    async def check_login(self) -> None:
        """Whether the registry takes these credentials. Raises RegistryError 401 (moby: registry/auth.go, loginV2)."""
        async with self._request("GET", f"{self.base}/v2/") as answer:
            if answer.status != 200:
                where = f"login attempt to {self.base}/v2/ failed with status"
                raise RegistryError(f"{where}: {answer.status} {answer.reason}", 401, "UNAUTHORIZED")

    async def _authorize(self, header: str) -> None:
        challenge = Challenge.parse(header)
        if challenge.scheme == "basic":
            self._authorization = self._credentials.basic if self._credentials.username else ""
        elif challenge.scheme == "bearer":
            self._authorization = f"Bearer {await self._token(challenge)}"

    async def _token(self, challenge: Challenge) -> str:
        if self._credentials.registry_token:
            return self._credentials.registry_token
        realm = challenge.parameters.get("realm", "")
        if urlsplit(realm).scheme != "https" and not is_loopback(urlsplit(realm).netloc):
            raise RegistryError(f"the registry sends us to {realm!r} for a token, which is not https")
        query = token_query(challenge, self._scope)
        if self._credentials.identity_token:
            form = [*query, ("grant_type", "refresh_token"), ("client_id", "docker")]
            form.append(("refresh_token", self._credentials.identity_token))
            request = self._session.post(realm, data=form, proxy=_proxy(realm))
        else:
            headers = {"Authorization": self._credentials.basic} if self._credentials.username else {}
            request = self._session.get(
                realm, params=[*query, ("client_id", "docker")], headers=headers, proxy=_proxy(realm)
            )
        try:
            async with request as answer:
                found = await _read(answer)
                if answer.status != 200:
                    status = 401 if answer.status == 401 else 500
                    said = message(found)[1]
                    words = said if said.startswith("unauthorized") else f"unauthorized: {said}"
                    raise RegistryError(f'Get "{realm}": {words}', status, "UNAUTHORIZED")
                body = json.loads(found)
                return str(body.get("token") or body.get("access_token") or "")
        except (aiohttp.ClientError, TimeoutError, ValueError, AttributeError, RecursionError) as error:
            raise RegistryError(f'Get "{realm}": {reason(error)}') from error

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, data: Any = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request with our credentials; with new ones where the registry no longer takes the old (tokens end)."""
        async with self._send(method, url, headers=headers, data=data) as answer:
            challenge = answer.headers.get("WWW-Authenticate", "")
            again = (
                answer.status == 401 and challenge and (data is None or isinstance(data, bytes)) and self._is_ours(url)
            )
            if not again:
                yield answer
                return
            await answer.read()
        await self._authorize(challenge)
        if not self._authorization:
            raise self._without_credentials(method, url)
        async with self._send(method, url, headers=headers, data=data) as answer:
            yield answer

    @contextlib.asynccontextmanager
    async def _send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, data: Any = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Credentials go to the registry itself alone, not to where it redirects us."""
        assert self._session is not None
        own = {"Authorization": self._authorization} if self._authorization and self._is_ours(url) else {}
        async with self._session.request(
            method, url, headers={**(headers or {}), **own}, data=data, proxy=_proxy(url)
        ) as answer:
            yield answer

    def _without_credentials(self, method: str, url: str) -> RegistryError:
        """As dockerd puts it, which asks for a manifest by HEAD first; of a push it keeps the reason alone."""
        asked = "Head" if "/manifests/" in url else method.capitalize()
        return RegistryError(
            "no basic auth credentials" if self._pushes else f'{asked} "{url}": no basic auth credentials',
            500,
            "UNAUTHORIZED",
        )

    def _is_ours(self, url: str) -> bool:
        return urlsplit(url).netloc == urlsplit(self.base).netloc

    def _url(self, path: str) -> str:
        return f"{self.base}/v2/{self.reference.path}/{path}"

    # -- reading

    async def manifest(self, name: str) -> Fetched:
        """The manifest of a tag or digest. Raises RegistryError; InvalidManifest where it is not what it was to be."""
        async with self._ask("GET", f"manifests/{name}", headers={"Accept": ", ".join(ACCEPTED)}) as answer:
            data = await _read(answer)
            media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        if name.startswith("sha256:") and name != digest:
            raise InvalidManifest(f"manifest verification failed for digest {name}")
        return Fetched(data, media_type, digest)

    async def tags(self) -> list[str]:
        """Every tag of the repository, whatever number of pages they come in."""
        found: list[str] = []
        path, seen = "tags/list", set()
        while path and path not in seen:
            seen.add(path)
            async with self._ask("GET", path) as answer:
                found += _tags(await _read(answer))
                path = self._next(answer)
        return found

    def _next(self, answer: aiohttp.ClientResponse) -> str:
        """The page after this one (RFC 5988, `Link: <…>; rel="next"`); "" at the last."""
        match = _LINK.match(answer.headers.get("Link", ""))
        following = urljoin(str(answer.url), match[1]) if match else ""
        return following if self._is_ours(following) else ""

    @contextlib.asynccontextmanager
    async def blob(self, digest: str, start: int = 0) -> AsyncIterator[aiohttp.ClientResponse]:
        """The blob's bytes from `start` on; with status 200 the registry sends them from the beginning all the same."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        async with self._ask("GET", f"blobs/{digest}", headers=headers) as answer:
            yield answer

    async def read_blob(self, digest: str, limit: int = MAX_SIZE) -> bytes:
        """A small blob, verified. Raises InvalidManifest where it is larger or another."""
        async with self.blob(digest) as answer:
            data = await _read(answer, limit)
        if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            raise InvalidManifest(f"image config verification failed for digest {digest}")
        return data

    # -- writing

    async def has_blob(self, digest: str) -> bool:
        try:
            async with self._request("HEAD", self._url(f"blobs/{digest}")) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Interrupted(f'Head "{self._url(f"blobs/{digest}")}": {reason(error)}') from error

    async def mount(self, digest: str, source: str) -> bool:
        """Take a blob over from another repository of the registry; False where the registry will not."""
        try:
            async with self._ask("POST", f"blobs/uploads/?mount={digest}&from={quote(source)}") as answer:
                if answer.status == 201:
                    return True
                location = self._location(answer)
            async with self._request("DELETE", location):  # it began an upload instead, which is none of ours
                return False
        except (RegistryError, aiohttp.ClientError, TimeoutError, ValueError):
            return False

    async def upload(self, digest: str, content: IO[bytes] | AsyncIterator[bytes]) -> None:
        """POST, PATCH, PUT: the blob in one chunk."""
        async with self._ask("POST", "blobs/uploads/") as answer:
            location = self._location(answer)
        headers = {"Content-Type": "application/octet-stream"}
        async with self._ask("PATCH", location, headers=headers, data=content) as answer:
            location = self._location(answer)
        separator = "&" if urlsplit(location).query else "?"
        async with self._ask("PUT", f"{location}{separator}digest={digest}"):
            pass

    async def put_manifest(self, name: str, data: bytes, media_type: str) -> None:
        async with self._ask("PUT", f"manifests/{name}", headers={"Content-Type": media_type}, data=data):
            pass

    def _location(self, answer: aiohttp.ClientResponse) -> str:
        return urljoin(str(answer.url), answer.headers.get("Location", ""))

    @contextlib.asynccontextmanager
    async def _ask(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request that must succeed. `path`: below the repository, or a whole URL."""
        url = path if "://" in path else self._url(path)
        try:
            async with self._request(method, url, **options) as answer:
                if answer.status >= 400:
                    body = await _read(answer)
                    if answer.status == 404 and "/blobs/" in url and method == "GET":
                        raise RegistryError("unknown blob", 404, "BLOB_UNKNOWN")
                    raise of_answer(self.reference, answer.status, body, pushing="push" in self._scope)
                yield answer
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            if isinstance(error, InvalidManifest):
                raise
            raise Interrupted(f'{method.capitalize()} "{url}": {reason(error)}') from error


async def _read(answer: aiohttp.ClientResponse, limit: int = MAX_SIZE) -> bytes:
    """The whole body, which may not be larger than a manifest."""
    data = bytearray()
    while more := await answer.content.read(limit + 1 - len(data)):
        data += more
        if len(data) > limit:
            raise InvalidManifest(f"{answer.url} is larger than {limit} bytes")
    return bytes(data)


def _tags(body: bytes) -> list[str]:
    try:
        found = json.loads(body).get("tags") or []
    except (ValueError, AttributeError, RecursionError):
        raise RegistryError("the registry's list of tags is not JSON") from None
    return [each for each in found if isinstance(each, str)]


def reason(error: BaseException) -> str:
    """What a connection died of, in a few words."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(error, aiohttp.ClientConnectorError):
        words = os.strerror(error.os_error.errno).lower() if error.os_error.errno else str(error.os_error)
        return f"dial tcp {error.host}:{error.port}: connect: {words}"
    return str(error) or type(error).__name__


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for `url`. (aiohttp's own way would read passwords from ~/.netrc too.)"""
    parts = urlsplit(url)
    if is_loopback(parts.netloc) or proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def is_loopback(host: str) -> bool:
    """Whether `host[:port]` is this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
