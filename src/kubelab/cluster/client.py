"""The client that controllers, scheduler, kubelet and service proxy use to talk to the API server.

Objects are plain dicts in the API's JSON form. Verbs, parameters and errors are client-go's (rest/request.go,
apimachinery's api/errors). One `APIClient` is one connection pool; it is an async context manager.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from kubelab.cluster import kubeconfig
from kubelab.cluster.apierrors import (
    AlreadyExists,
    APIError,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
    Unavailable,
    error_from_status,
)

if TYPE_CHECKING:
    from kubelab.cluster.resources import Resource

__all__ = [
    "APIClient",
    "APIError",
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "Forbidden",
    "Gone",
    "Invalid",
    "MethodNotAllowed",
    "NotFound",
    "Unauthorized",
    "Unavailable",
    "error_from_status",
]

Object = dict[str, Any]

# Requests on their way at a time, besides watches: each takes a connection, and its TLS handshake costs more than it.
MOST_AT_ONCE = 32

PATCH_TYPES = {
    "strategic": "application/strategic-merge-patch+json",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class APIClient:
    """A typed-by-resource client of one API server.

    Every call raises an `APIError`: one of the classes above by the server's answer, `Unavailable` where there is none.
    """

    def __init__(self, config: kubeconfig.Kubeconfig, *, user_agent: str = "kubelab") -> None:
        self._config = config
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if config.token:
            self._headers["Authorization"] = f"Bearer {config.token}"
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._severed = False
        self._watched: set[aiohttp.StreamReader] = set()
        self.on_write: Callable[[Resource, Object], None] | None = None  # told each object that was created or changed

    @classmethod
    def from_kubeconfig(cls, path: str | Path, user_agent: str = "kubelab") -> APIClient:
        return cls(kubeconfig.read(path), user_agent=user_agent)

    @property
    def ca_pem(self) -> str | None:
        """The certificate authority that this client trusts, in PEM."""
        return self._config.ca_pem

    async def __aenter__(self) -> APIClient:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=0, ssl=_tls(self._config)),
            timeout=aiohttp.ClientTimeout(total=30, sock_connect=5),
            raise_for_status=False,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def sever(self) -> None:
        """As if the network were gone: what is open breaks, and every call raises Unavailable, until `restore()`."""
        self._severed = True
        for stream in self._watched:  # closing a session does not wake who waits for a stream's next bytes
            stream.set_exception(aiohttp.ClientPayloadError("the network is gone"))
        await self.close()

    async def restore(self) -> None:
        self._severed = False
        await self.__aenter__()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # -- verbs

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str = ""
    ) -> Object:
        return await self._request("GET", resource.path(namespace, name, subresource))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
    ) -> Object:
        """The whole List object, `items` and `metadata.resourceVersion` included."""
        params = _params(labelSelector=label_selector, fieldSelector=field_selector, resourceVersion=resource_version)
        return await self._request("GET", resource.path(namespace), params=params)

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None) -> Object:
        namespace = namespace or obj.get("metadata", {}).get("namespace")
        return self._wrote(resource, await self._request("POST", resource.path(namespace), body=obj))

    async def update(self, resource: Resource, obj: Object, subresource: str = "") -> Object:
        """PUT; with a resourceVersion in the object's metadata it is refused with Conflict where another came first."""
        metadata = obj["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        return self._wrote(resource, await self._request("PUT", path, body=obj))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Object | list[Object],
        namespace: str | None = None,
        *,
        type: str = "strategic",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """`type` is strategic, merge, json (a list of operations) or apply (which needs a `field_manager`)."""
        params = _params(fieldManager=field_manager, force="true" if force else "")
        path = resource.path(namespace, name, subresource)
        answer = await self._request("PATCH", path, body=patch, params=params, content_type=PATCH_TYPES[type])
        return self._wrote(resource, answer)

    def _wrote(self, resource: Resource, answer: Object) -> Object:
        """Some subresources answer with another kind, such as Scale."""
        if self.on_write is not None and answer.get("kind") == resource.kind:
            self.on_write(resource, answer)
        return answer

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        """Delete; with `uid` or `resource_version` only the object that has them, else Conflict."""
        options = _delete_options(grace_period_seconds, propagation_policy, uid, resource_version)
        return await self._request("DELETE", resource.path(namespace, name), body=options)

    async def delete_collection(
        self, resource: Resource, namespace: str | None = None, *, propagation_policy: str | None = None
    ) -> Object:
        options = _delete_options(None, propagation_policy, None, None)
        return await self._request("DELETE", resource.path(namespace), body=options)

    async def create_subresource(
        self, resource: Resource, name: str, subresource: str, obj: Object, namespace: str | None = None
    ) -> Object:
        """POST to a subresource: `binding`, `eviction`."""
        return await self._request("POST", resource.path(namespace, name, subresource), body=obj)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = False,
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield (`ADDED` | `MODIFIED` | `DELETED`, object) for everything after `resource_version`, until the server
        closes the stream. With `bookmarks`, also (`BOOKMARK`, an object with only a resourceVersion).

        Raises Gone where `resource_version` is compacted away: list again.
        """
        params = _params(
            watch="true",
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
            allowWatchBookmarks="true" if bookmarks else "",
        )
        url = self._config.server + resource.path(namespace)
        no_limit = aiohttp.ClientTimeout(total=None, sock_connect=5)
        try:
            async with self._open().get(url, params=params, timeout=no_limit) as response:
                if response.status >= 400:
                    raise _error(response.status, await response.read())
                self._watched.add(response.content)
                try:
                    async for line in _lines(response.content):
                        event = orjson.loads(line)
                        if event["type"] == "ERROR":
                            raise error_from_status(event["object"])
                        yield event["type"], event["object"]
                finally:
                    self._watched.discard(response.content)
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(self._config.server, error) from error

    # -- the wire

    def _open(self) -> aiohttp.ClientSession:
        if self._severed:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        if self._session is None:
            raise RuntimeError("APIClient is not open: use `async with`")
        return self._session

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Object | list[Object] | None = None,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        async with self._slots:
            return await self._send(method, path, body, params, content_type)

    async def _send(
        self,
        method: str,
        path: str,
        body: Object | list[Object] | None,
        params: dict[str, str] | None,
        content_type: str,
    ) -> Object:
        data = None if body is None else orjson.dumps(body)
        headers = None if body is None else {"Content-Type": content_type}
        url = self._config.server + path
        try:
            async with self._open().request(method, url, params=params, data=data, headers=headers) as response:
                answer = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(self._config.server, error) from error
        if response.status >= 400:
            raise _error(response.status, answer)
        return orjson.loads(answer)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length: aiohttp's own line reader gives up at its buffer's size."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _params(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _delete_options(
    grace_period_seconds: int | None, propagation_policy: str | None, uid: str | None, resource_version: str | None
) -> Object:
    options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if grace_period_seconds is not None:
        options["gracePeriodSeconds"] = grace_period_seconds
    if propagation_policy is not None:
        options["propagationPolicy"] = propagation_policy
    preconditions = _params(uid=uid or "", resourceVersion=resource_version or "")
    if preconditions:
        options["preconditions"] = preconditions
    return options


def _tls(config: kubeconfig.Kubeconfig) -> ssl.SSLContext | bool:
    if not config.server.startswith("https:"):
        return True
    if config.insecure_skip_tls_verify:
        return False
    return ssl.create_default_context(cadata=config.ca_pem)


def _error(code: int, answer: bytes) -> APIError:
    try:
        status = orjson.loads(answer)
    except orjson.JSONDecodeError:
        status = {"message": answer.decode(errors="replace").strip()}
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"message": str(status.get("message") if isinstance(status, dict) else status)}
    return error_from_status({"kind": "Status", "status": "Failure", **status, "code": status.get("code") or code})


def _unreachable(server: str, error: BaseException) -> Unavailable:
    message = f"no answer from the API server at {server}: {type(error).__name__}: {error}"
    return Unavailable(
        {"kind": "Status", "status": "Failure", "reason": "ServiceUnavailable", "message": message, "code": 503}
    )
