"""`pods/proxy`, `services/proxy` and `nodes/proxy`: HTTP to something inside the cluster, through the API server.

Upstream: pkg/registry/core/{pod,service,node}/…ResourceLocation and apimachinery's util/proxy (redirect to the trailing
slash, X-Forwarded headers, rewritten `Location`). A pod is reached through its node's `/dial`, since the API server
is not in the cluster's network. Links in HTML pages are passed on as they are.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from aiohttp import web
from multidict import CIMultiDict

from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.requestinfo import RequestInfo
from kubelab.cluster.apiserver.streams import Backend, BadGateway, Get, Kubelets, end_to_end, relay
from kubelab.cluster.resources import ENDPOINTS, NODES, PODS, SERVICES

Object = dict[str, Any]
PATH_CHARACTERS = "/:@!$&'()*+,;=~"
KUBELET = "kubelet"  # the location of a node's own server


@dataclass(frozen=True)
class Location:
    """Where a proxied request goes: host:port as seen from a node, or that node's kubelet itself."""

    node: str
    host: str
    port: int = 0

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


class Proxy:
    def __init__(self, get: Get, kubelets: Kubelets) -> None:
        self._get, self._kubelets = get, kubelets

    async def handle(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        if not info.rest and request.method in ("GET", "HEAD") and not request.rel_url.raw_path.endswith("/"):
            target = request.rel_url.raw_path + "/" + (f"?{request.query_string}" if request.query_string else "")
            return web.Response(status=301, headers={"Location": target})
        location = self._location(info)
        try:
            backend = await self._connect(location)
            return await self._exchange(request, info, location, backend)
        except (BadGateway, ConnectionError) as error:
            raise errors.service_unavailable(f"error trying to reach service: {error}") from error

    def _location(self, info: RequestInfo) -> Location:
        scheme, name, port = split_scheme_name_port(info.name, info.resource.singular)
        if scheme == "https":
            raise errors.bad_request(f"https is not served by this proxy: ask for {name!r} by http")
        if info.resource is NODES:
            self._get(NODES, "", name)
            return Location(name, KUBELET)
        if info.resource is SERVICES:
            return self._service_location(info.namespace, name, port)
        return self._pod_location(self._get(PODS, info.namespace, name), port)

    def _pod_location(self, pod: Object, port: str) -> Location:
        ports = [p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports") or ()]
        ip = pod.get("status", {}).get("podIP", "")
        if not ip:
            raise errors.bad_request("address not allowed")  # upstream's words for a pod without an address
        number = int(port) if port.isdigit() else 0
        return Location(pod["spec"]["nodeName"], ip, number or (ports[0] if ports and not port else 80))

    def _service_location(self, namespace: str, name: str, port: str) -> Location:
        if port.isdigit():
            declared = self._get(SERVICES, namespace, name)["spec"].get("ports") or ()
            named = [p.get("name", "") for p in declared if p["port"] == int(port)]
            if not named:
                raise errors.service_unavailable(f'no service port {port} found for service "{name}"')
            port = named[0]
        none = errors.service_unavailable(f'no endpoints available for service "{name}"')
        choices = [
            Location(address["nodeName"], address["ip"], p["port"])
            for subset in self._get(ENDPOINTS, namespace, name).get("subsets") or ()
            for address in subset.get("addresses") or ()
            for p in subset.get("ports") or ()
            if p.get("name", "") == port and address.get("nodeName")
        ]
        if not choices:
            raise none
        return random.choice(choices)

    async def _connect(self, location: Location) -> Backend:
        """A connection to the location. ConnectionError where the node or the port cannot be reached."""
        backend, token = await self._kubelets.connect(location.node)
        if location.host == KUBELET:
            backend.token = token
            return backend
        headers = [
            ("Host", KUBELET),
            ("Authorization", f"Bearer {token}"),
            ("Connection", "Upgrade"),
            ("Upgrade", "tcp"),
        ]
        try:
            head = await backend.request("GET", f"/dial/{location.host}/{location.port}", headers)
            if not head.upgraded:
                raise ConnectionError(await backend.text(head))
        except BaseException:
            backend.close()
            raise
        return backend

    async def _exchange(
        self, request: web.Request, info: RequestInfo, location: Location, backend: Backend
    ) -> web.StreamResponse:
        prefix = request.rel_url.raw_path[: len(request.rel_url.raw_path) - len(info.rest)].rstrip("/")
        headers = request_headers(request, prefix, info.rest)
        if backend.token:
            headers["Authorization"] = f"Bearer {backend.token}"
        # Decoded and encoded again, as upstream's URL is: the Python client sends `a%2Fb` for the path a/b.
        target = f"/{quote(unquote(info.rest), safe=PATH_CHARACTERS)}"
        if request.query_string:
            target += f"?{request.rel_url.raw_query_string}"
        try:
            body = _body(request, chunked="Transfer-Encoding" in headers)
            head = await backend.request(request.method, target, headers.items(), body)
            if "Location" in head.headers:
                head.headers["Location"] = rewrite_location(
                    head.headers["Location"], prefix, location.authority, request.headers.get("Host", "")
                )
            return await relay(request, head, backend)
        finally:
            backend.close()


def split_scheme_name_port(text: str, kind: str) -> tuple[str, str, str]:
    """`name`, `name:port` or `scheme:name:port` (upstream: util/net SplitSchemeNamePort). StatusError 400."""
    parts = text.split(":")
    scheme, name, port = {1: ("", *parts, ""), 2: ("", *parts), 3: tuple(parts)}.get(len(parts), ("", "", ""))
    if not name or scheme not in ("", "http", "https"):
        raise errors.bad_request(f'invalid {kind} request "{text}"')
    return scheme, name, port


def request_headers(request: web.Request, prefix: str, rest: str) -> CIMultiDict[str]:
    """The client's headers for the backend: not its credentials, but where the request came from."""
    upgrade = request.headers.get("Upgrade")
    headers = end_to_end(request.headers)
    headers.popall("Authorization", None)
    headers["X-Forwarded-Uri"] = f"{prefix}/{rest}"
    headers["X-Forwarded-Host"] = request.headers.get("Host", "")
    headers["X-Forwarded-Proto"] = request.scheme
    headers["X-Forwarded-For"] = ", ".join(filter(None, (headers.get("X-Forwarded-For"), request.remote)))
    if headers.popall("Content-Encoding", None):  # aiohttp has unpacked the body: its length is no longer the header's
        headers.popall("Content-Length", None)
        headers["Transfer-Encoding"] = "chunked"
    headers["Connection"] = "Upgrade" if upgrade else "close"
    if upgrade:
        headers["Upgrade"] = upgrade
    return headers


def rewrite_location(location: str, prefix: str, backend: str, asked: str) -> str:
    """A redirect within the backend, led back through the proxy. Other hosts and relative paths stay as they are."""
    url = urlsplit(location)
    if (url.netloc and url.netloc not in (backend, asked)) or not url.path.startswith("/"):
        return location
    path = url.path if url.path.startswith(prefix) else prefix + url.path
    return urlunsplit(("", "", path, url.query, url.fragment))


async def _body(request: web.Request, *, chunked: bool) -> AsyncIterator[bytes]:
    """The request's body as it is to be sent: in chunks again where it came in chunks."""
    async for data in request.content.iter_any():
        yield b"%x\r\n%s\r\n" % (len(data), data) if chunked else data
    if chunked:
        yield b"0\r\n\r\n"
