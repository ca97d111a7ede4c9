"""One repository of a registry, over HTTP: manifests, blobs, uploads.

Errors have the words of moby (distribution/errors.go, registry/) and of the registry itself. Plain HTTP is spoken to
registries on the loopback only, as dockerd does without `insecure-registries`.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from kubelab.images.reference import DEFAULT_DOMAIN, Reference
from kubelab.images.registry.auth import Challenge, Credentials, token_query
from kubelab.images.registry.manifests import ACCEPTED, MAX_SIZE, InvalidManifest

HUB = "registry-1.docker.io"
CHUNK = 1 << 16
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)  # seconds


class RegistryError(Exception):
    """What went wrong, in dockerd's words. `status`: HTTP's, for the client of our own API; `code`: the registry's."""

    def __init__(self, message: str, status: int = 500, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Interrupted(RegistryError):
    """The connection was lost: another attempt may do."""


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
        self._scope = f"repository:{reference.path}:{actions}"
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
                async with self._request("GET", f"{base}/v2/") as answer:
                    if answer.status == 401:
                        await self._authorize(answer.headers.get("WWW-Authenticate", ""))
                return
            except (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError) as error:
                failure = RegistryError(f'Get "{base}/v2/": {_reason(error)}')
        raise failure

    async def _authorize(self, header: str) -> None:
        challenge = Challenge.parse(header)
        if challenge.scheme == "basic":
            if not self._credentials.username:
                raise RegistryError(f'Get "{self.base}/v2/": no basic auth credentials')
            self._authorization = self._credentials.basic
        elif challenge.scheme == "bearer":
            self._authorization = f"Bearer {await self._token(challenge)}"

    async def _token(self, challenge: Challenge) -> str:
        realm = challenge.parameters.get("realm", "")
        if urlsplit(realm).scheme != "https" and not is_loopback(urlsplit(realm).netloc):
            raise RegistryError(f"the registry sends us to {realm!r} for a token, which is not https")
        query = token_query(challenge, self._scope)
        if self._credentials.identity_token:
            form = {**query, "grant_type": "refresh_token", "client_id": "docker"}
            form["refresh_token"] = self._credentials.identity_token
            request = self._session.post(realm, data=form, proxy=_proxy(realm))
        else:
            headers = {"Authorization": self._credentials.basic} if self._credentials.username else {}
            query["client_id"] = "docker"
            request = self._session.get(realm, params=query, headers=headers, proxy=_proxy(realm))
        try:
            async with request as answer:
                found = await _read(answer)
                if answer.status != 200:
                    raise RegistryError(f'Get "{realm}": unauthorized: {_message(found)[1]}', 500, "UNAUTHORIZED")
                body = json.loads(found)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise RegistryError(f'Get "{realm}": {_reason(error)}') from error
        return body.get("token") or body.get("access_token") or ""

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Credentials go to the registry itself alone, not to where it redirects us."""
        assert self._session is not None
        ours = urlsplit(url).netloc == urlsplit(self.base).netloc
        own = {"Authorization": self._authorization} if self._authorization and ours else {}
        options |= {"headers": {**(headers or {}), **own}, "proxy": _proxy(url)}
        async with self._session.request(method, url, **options) as answer:
            yield answer

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
        async with self._ask("GET", "tags/list") as answer:
            return list(json.loads(await _read(answer)).get("tags") or [])

    @contextlib.asynccontextmanager
    async def blob(self, digest: str, start: int = 0) -> AsyncIterator[aiohttp.ClientResponse]:
        """The blob's bytes from `start` on; with status 200 the registry sends them from the beginning all the same."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        async with self._ask("GET", f"blobs/{digest}", headers=headers) as answer:
            yield answer

    # -- writing

    async def has_blob(self, digest: str) -> bool:
        async with self._request("HEAD", self._url(f"blobs/{digest}")) as answer:
            return answer.status == 200

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
                    raise self._error(answer.status, await _read(answer))
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Interrupted(f'{method.capitalize()} "{url}": {_reason(error)}') from error

    def _error(self, status: int, body: bytes) -> RegistryError:
        """What the registry says, as dockerd passes it on (moby: distribution/errors.go)."""
        code, said = _message(body)
        name = replace(self.reference, tag="", digest="")
        if "push" in self._scope:
            return RegistryError(said or f"received unexpected HTTP status: {status}", 500, code)
        if code in ("UNAUTHORIZED", "DENIED"):
            return RegistryError(
                f"pull access denied for {name}, repository does not exist or may require 'docker login': {said}",
                404,
                code,
            )
        if code == "NAME_UNKNOWN":
            return RegistryError(f"repository {name} not found: {said}", 404, code)
        if code == "MANIFEST_UNKNOWN" or status == 404:
            return RegistryError(f"manifest for {self.reference} not found: {said}", 404, code)
        return RegistryError(said or f"received unexpected HTTP status: {status}", 500, code)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body, which may not be larger than a manifest."""
    data = await answer.content.read(MAX_SIZE + 1)
    while len(data) <= MAX_SIZE and (more := await answer.content.read(MAX_SIZE + 1 - len(data))):
        data += more
    if len(data) > MAX_SIZE:
        raise InvalidManifest(f"{answer.url} is larger than {MAX_SIZE} bytes")
    return data


def _message(body: bytes) -> tuple[str, str]:
    """Code and words of a registry's error: `manifest unknown: manifest unknown`."""
    try:
        error = json.loads(body)["errors"][0]
        code, message = str(error.get("code") or ""), str(error.get("message") or "")
    except (ValueError, LookupError, AttributeError, TypeError):
        return "", body.decode(errors="replace")[:200].strip()
    words = {"NAME_UNKNOWN": "name unknown", "UNAUTHORIZED": "unauthorized", "DENIED": "denied"}
    return code, f"{words.get(code, code.lower().replace('_', ' '))}: {message}"


def _reason(error: BaseException) -> str:
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
