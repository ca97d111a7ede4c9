"""The API server's HTTP side: TLS, who is asking, where a path leads, and errors as Status objects.

Upstream: staging/src/k8s.io/apiserver/pkg/server (the handler chain in config.go, DefaultBuildHandlerChain).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
from aiohttp import web

from kubelab.cluster.apiserver import (
    bootstrap,
    discovery,
    errors,
    health,
    impersonation,
    openapi,
    requestinfo,
    serviceaccounts,
    signingkey,
)
from kubelab.cluster.apiserver.authentication import Authenticator, TokenFile, current_user
from kubelab.cluster.apiserver.authorization import attributes
from kubelab.cluster.apiserver.config import Config
from kubelab.cluster.apiserver.connect import Connector
from kubelab.cluster.apiserver.handlers import Handlers, warnings_of_request
from kubelab.cluster.apiserver.health import Health
from kubelab.cluster.apiserver.metrics.api import MetricsAPI
from kubelab.cluster.apiserver.metrics.scraper import Scraper
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.streams import Kubelets
from kubelab.cluster.resources import METRICS

log = logging.getLogger(__name__)
MAX_BODY = 3 * 1024 * 1024  # kube-apiserver's limit for a request's body

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


class APIServer:
    """Serves a registry over TLS. `health` is what /readyz says."""

    def __init__(self, registry: Registry, metric_resolution: float = 15.0) -> None:
        self.registry = registry
        self.health = Health(registry.store, bootstrap.HOOKS)
        self.port = 0
        config = registry.config
        tokens = TokenFile(Path(config.token_auth_file))
        self._authenticator = Authenticator(
            tokens,
            lambda token, audience: serviceaccounts.authenticate(registry, token, audience),
            serviceaccounts.ISSUER,
        )
        self._handlers = Handlers(registry, self._authenticator)
        self._connector = Connector(
            lambda resource, namespace, name: registry.get(resource, name, namespace), lambda node: config.kubelet_token
        )
        kubelets = Kubelets(
            lambda resource, namespace, name: registry.get(resource, name, namespace), lambda node: config.kubelet_token
        )
        self.scraper = Scraper(registry, kubelets, metric_resolution)
        self._metrics = MetricsAPI(registry, lambda: self.scraper.points)
        self._runner: web.AppRunner | None = None

    @property
    def config(self) -> Config:
        return self.registry.config

    async def start(self) -> int:
        """Listen. Returns the port."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # With handler_cancellation a watch or a followed log ends when its client goes.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.config.tls_cert_file, self.config.tls_private_key_file)
        site = web.TCPSite(self._runner, self.config.bind_address, self.config.secure_port, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self.port

    async def stop(self) -> None:
        """Stop serving; watches are cut off."""
        self.health.shutting_down = True
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        warnings: list[str] = []
        warnings_of_request.set(warnings)
        response = await self._answer(request)
        if not response.prepared:
            for text in dict.fromkeys(warnings):
                response.headers.add("Warning", f'299 - "{_quoted(text)}"')
        return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._route(request)
        except errors.StatusError as error:
            return _status_response(error)
        except web.HTTPRequestEntityTooLarge:
            message = f"Request entity too large: limit is {MAX_BODY}"
            return _status_response(errors.StatusError(413, "RequestEntityTooLarge", message))
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            log.exception("%s %s", request.method, request.rel_url)
            return _status_response(errors.internal(f"{type(error).__name__}: {error}"))

    async def _route(self, request: web.Request) -> web.StreamResponse:
        user = self._authenticator.by_headers(request.headers)
        if user is None:
            raise errors.unauthorized()
        authorizer = self.registry.authorizer
        user = impersonation.acting_as(user, request.headers, authorizer)
        current_user.set(user)
        authorizer.check(attributes.of_request(user, request.method, request.rel_url.raw_path, request.query))
        path = request.path.rstrip("/")  # the Python client asks for /version/
        if health.serves(path):
            return self.health.respond(request, path)
        if path == "/version":
            return web.json_response(discovery.VERSION)
        info = requestinfo.parse(request.method, request.rel_url.raw_path)
        if info is not None:
            if info.resource in METRICS:
                return self._metrics.handle(request, info)
            if info.subresource and self._connector.serves(info):
                return await self._connector.handle(request, info)
            return await self._handlers.handle(request, info, user)
        if path.startswith("/openapi/"):
            return openapi.respond(request)
        if path in signingkey.PATHS:
            key = serviceaccounts.signing_key(self.registry)
            return signingkey.respond(
                path, key, serviceaccounts.ISSUER, f"127.0.0.1:{self.config.secure_port or self.port}"
            )
        others = (*self.health.paths(), *openapi.paths(), *signingkey.PATHS)
        return discovery.respond(request, self.config.secure_port or self.port, others)


def _quoted(text: str) -> str:
    """The inside of a quoted-string of RFC 9110: backslashes and quotes escaped, no line breaks."""
    return " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')


def _status_response(error: errors.StatusError) -> web.Response:
    headers = {"Cache-Control": "no-cache, private"}
    retry = (error.body.get("details") or {}).get("retryAfterSeconds")
    if retry:
        headers["Retry-After"] = str(retry)
    return web.Response(
        body=orjson.dumps(error.body), status=error.code, content_type="application/json", headers=headers
    )
