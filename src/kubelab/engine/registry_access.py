"""`docker login`, and what a registry says of an image before it is pulled.

moby: api/server/router/system (POST /auth), daemon/… registry/auth.go (loginV2), api/server/router/distribution.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from kubelab.engine.answers import json_answer
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.engine.pulling import HUB_KEY
from kubelab.images.reference import DEFAULT_DOMAIN, Reference, parse
from kubelab.images.registry import Registry, RegistryError
from kubelab.images.registry.auth import Credentials
from kubelab.images.registry.manifests import MAX_SIZE, InvalidManifest, Manifest
from kubelab.images.registry.manifests import parse as parse_manifest

NO_SEARCH = (
    "docker search asks Docker Hub's website, which this engine does not speak to: "
    "look at https://hub.docker.com/search, then docker pull"
)


def routes(engine: Engine) -> list[web.RouteDef]:
    async def auth(request: web.Request) -> web.Response:
        return json_answer(await login(await _json(request)))

    async def search(_: web.Request) -> web.Response:
        raise DockerError(501, NO_SEARCH)

    async def distribution(request: web.Request) -> web.Response:
        credentials = Credentials.from_header(request.headers.get("X-Registry-Auth", ""))
        return json_answer(await inspect(parse(request.match_info["name"]), credentials))

    return [
        web.route("POST", "/auth", auth),
        web.route("GET", "/images/search", search),
        web.route("GET", "/distribution/{name:.+}/json", distribution),
    ]


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        found = await request.json()
    except ValueError as error:
        raise DockerError(400, f"invalid JSON: {error}") from None
    if not isinstance(found, dict):
        raise DockerError(400, "invalid JSON: an AuthConfig is expected")
    return found


async def login(config: dict[str, Any]) -> dict[str, str]:
    """Try the credentials on the registry's front door. The client keeps them; the engine does not."""
    server = str(config.get("serveraddress") or HUB_KEY).removeprefix("https://").removeprefix("http://")
    domain = server.partition("/")[0]
    if domain in ("index.docker.io", DEFAULT_DOMAIN):
        domain = DEFAULT_DOMAIN
    try:
        # No repository is asked for: an empty scope is a login (distribution: token authentication).
        async with Registry(Reference(domain, ""), Credentials.of(config)) as registry:
            await registry.check_login()
    except RegistryError as error:
        raise DockerError(401 if error.code == "UNAUTHORIZED" else error.status, str(error)) from error
    return {"IdentityToken": "", "Status": "Login Succeeded"}


async def inspect(reference: Reference, credentials: Credentials) -> dict[str, Any]:
    """The descriptor that a name stands for, and the platforms that it is there for."""
    reference = reference.tagged()
    try:
        async with Registry(reference, credentials) as registry:
            fetched = await registry.manifest(reference.digest or reference.tag)
            parsed = parse_manifest(fetched.data, fetched.media_type, reference)
            platforms = [await _platform(registry, parsed)] if isinstance(parsed, Manifest) else [p for _, p in parsed]
    except RegistryError as error:
        raise DockerError(403 if error.code in ("UNAUTHORIZED", "DENIED") else error.status, str(error)) from error
    except InvalidManifest as error:
        raise DockerError(400, str(error)) from error
    descriptor = {"mediaType": fetched.media_type, "digest": fetched.digest, "size": len(fetched.data)}
    return {"Descriptor": descriptor, "Platforms": platforms}


async def _platform(registry: Registry, manifest: Manifest) -> dict[str, str]:
    data = await registry.read_blob(manifest.config.digest, MAX_SIZE)
    try:
        config = json.loads(data)
        found = {"architecture": config.get("architecture") or "", "os": config.get("os") or ""}
        return found | ({"variant": config["variant"]} if config.get("variant") else {})
    except (ValueError, AttributeError):
        raise InvalidManifest("the image's config is not JSON") from None
