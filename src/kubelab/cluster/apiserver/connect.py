"""The subresources that lead to a node: `pods/log`, `exec`, `attach`, `portforward`, and `proxy`.

Upstream: pkg/registry/core/pod/strategy.go (LogLocation, streamLocation, validateContainer) and rest/subresources.go.
The API server checks the request against the stored pod, finds the pod's kubelet, and passes the connection on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from multidict import CIMultiDict

from kubelab.cluster.apiserver import errors, fielderrors
from kubelab.cluster.apiserver.proxy import Proxy
from kubelab.cluster.apiserver.requestinfo import RequestInfo
from kubelab.cluster.apiserver.streams import Backend, BadGateway, Get, Kubelets, relay
from kubelab.cluster.resources import PODS, Resource

Object = dict[str, Any]

STREAMING = ("exec", "attach", "portforward")
# What a client may ask of exec and attach, and what the kubelet calls it (upstream's api.Exec*Param).
STREAM_PARAMETERS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
STREAM_DEFAULTS = {"stdout": True, "stderr": True}  # PodExecOptions' and PodAttachOptions' defaults


class Connector:
    """Serves a pod's, service's or node's connecting subresources.

    get: reads a stored object. token: the bearer token of a node's kubelet.
    """

    def __init__(self, get: Get, token: Callable[[str], str]) -> None:
        self._get = get
        self._kubelets = Kubelets(get, token)
        self._proxy = Proxy(get, self._kubelets)

    def serves(self, info: RequestInfo) -> bool:
        if info.subresource == "proxy":
            return True
        return info.resource is PODS and info.subresource in (*STREAMING, "log")

    async def handle(self, request: web.Request, info: RequestInfo) -> web.StreamResponse:
        """Answer the request; raises StatusError until the backend's answer begins."""
        if info.subresource == "proxy":
            return await self._proxy.handle(request, info)
        pod = self._get(PODS, info.namespace, info.name)
        if info.subresource == "log":
            return await self._log(request, pod)
        return await self._stream(request, info.subresource, pod)

    async def _log(self, request: web.Request, pod: Object) -> web.StreamResponse:
        query = log_query(request, pod)
        container = container_of(pod, request.query.get("container", ""))
        if not pod["spec"].get("nodeName"):
            return web.Response(content_type="text/plain")  # upstream: no node, no log
        backend, token = await self._kubelets.connect(pod["spec"]["nodeName"])
        path = f"/containerLogs/{pod['metadata']['namespace']}/{pod['metadata']['name']}/{container}"
        headers = [("Host", "kubelet"), ("Authorization", f"Bearer {token}"), ("Connection", "close")]
        return await self._pass_on(request, backend, "GET", path, query, headers, PODS, pod["metadata"]["name"])

    async def _stream(self, request: web.Request, kind: str, pod: Object) -> web.StreamResponse:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        path, query = f"/portForward/{namespace}/{name}", port_query(request)
        if kind != "portforward":
            path = f"/{kind}/{namespace}/{name}/{container_of(pod, request.query.get('container', ''))}"
            query = stream_query(request)
        if not pod["spec"].get("nodeName"):
            raise errors.bad_request(f"pod {name} does not have a host assigned")
        if "upgrade" not in request.headers.get("Connection", "").lower():
            raise errors.bad_request("Upgrade request required")
        backend, token = await self._kubelets.connect(pod["spec"]["nodeName"])
        headers = CIMultiDict(request.headers)
        headers["Authorization"] = f"Bearer {token}"
        return await self._pass_on(request, backend, request.method, path, query, list(headers.items()), PODS, name)

    async def _pass_on(
        self,
        request: web.Request,
        backend: Backend,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        headers: list[tuple[str, str]],
        resource: Resource,
        name: str,
    ) -> web.StreamResponse:
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            head = await backend.request(method, target, headers)
            if head.status >= 400:
                raise status_error(head.status, await backend.text(head), resource, name)
            return await relay(request, head, backend)
        except (BadGateway, ConnectionError) as error:
            raise errors.internal(f"error dialing backend: {error}") from error
        finally:
            backend.close()


def status_error(code: int, text: str, resource: Resource, name: str) -> errors.StatusError:
    """A kubelet's plain-text error as a Status (upstream: GenericHttpResponseChecker)."""
    if code == 400:
        return errors.bad_request(text)
    if code == 404:
        details = {"name": name, "kind": resource.plural}
        return errors.StatusError(404, "NotFound", f"the server could not find the requested resource: {text}", details)
    return errors.StatusError(code, "InternalError" if code == 500 else "", text)


def container_of(pod: Object, asked: str) -> str:
    """The container that a request is for. StatusError 400 where it must be named, or there is none of that name."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    known = [
        container["name"]
        for field in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(field) or ()
    ]
    if asked:
        if asked not in known:
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(spec["containers"]) != 1:
        raise errors.bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{' '.join(known)}]"
        )
    return spec["containers"][0]["name"]


def log_query(request: web.Request, pod: Object) -> list[tuple[str, str]]:
    """PodLogOptions for the kubelet. StatusError 422 in the words of upstream's ValidatePodLogOptions."""
    query = request.query
    problems = []
    for name, least, words in (
        ("tailLines", 0, "must be greater than or equal to 0"),
        ("limitBytes", 1, "must be greater than 0"),
        ("sinceSeconds", 1, "must be greater than 0"),
    ):
        if name in query and _integer(name, query[name]) < least:
            problems.append(fielderrors.invalid(name, int(query[name]), words))
    if "sinceSeconds" in query and query.get("sinceTime"):
        problems.append(fielderrors.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    if problems:
        raise errors.invalid("PodLogOptions", "", pod["metadata"]["name"], problems)
    passed = [(name, "true") for name in ("follow", "previous", "timestamps") if _boolean(query.get(name, ""))]
    valued = ("sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream")
    return passed + [(name, query[name]) for name in valued if query.get(name)]


def stream_query(request: web.Request) -> list[tuple[str, str]]:
    """PodExecOptions and PodAttachOptions for the kubelet."""
    query = [
        (theirs, "1")
        for ours, theirs in STREAM_PARAMETERS.items()
        if (_boolean(request.query[ours]) if ours in request.query else STREAM_DEFAULTS.get(ours, False))
    ]
    return query + [("command", word) for word in request.query.getall("command", [])]


def port_query(request: web.Request) -> list[tuple[str, str]]:
    ports = ",".join(request.query.getall("ports", []))
    return [("port", ports)] if ports else []


def _boolean(text: str) -> bool:
    """Upstream's conversion of a query's text: anything but these is true."""
    return text.lower() not in ("", "0", "false")


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax ({name})') from None
