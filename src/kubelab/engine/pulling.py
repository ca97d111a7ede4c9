"""Pulling an image, for `docker pull` and for a build's FROM, with the lines that both print."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from kubelab.engine.engine import Engine
from kubelab.images.reference import DEFAULT_DOMAIN, Reference
from kubelab.images.registry import Registry, pull
from kubelab.images.registry.auth import Credentials
from kubelab.images.registry.manifests import Platform
from kubelab.images.registry.progress import Report, line
from kubelab.images.store import Image

HUB_KEY = "https://index.docker.io/v1/"  # what `docker login` calls Docker Hub


async def pull_image(
    engine: Engine, reference: Reference, platform: Platform, credentials: Credentials | None, report: Report
) -> Image:
    """Pull one image and say so. Raises RegistryError, InvalidManifest, UnsafeArchive."""
    reference = reference.tagged()
    async with Registry(reference, credentials) as registry:
        return await pull_from(engine, registry, reference, platform, report, str(reference))


async def pull_from(
    engine: Engine, registry: Registry, reference: Reference, platform: Platform, report: Report, shown: str
) -> Image:
    pulled = await pull(engine.store, registry, reference, platform, report)
    words = "Downloaded newer image for" if pulled.newer else "Image is up to date for"
    await report(line(f"Status: {words} {shown}"))
    engine.events.publish("image", "pull", str(reference), name=reference.repository)
    return await asyncio.to_thread(engine.store.get_image, pulled.image_id)


def credentials_by_host(header: str) -> Mapping[str, Credentials]:
    """X-Registry-Config, with which a build comes: host → AuthConfig."""
    try:
        found = json.loads(Credentials.decode(header))
        return {host: Credentials.of(config) for host, config in found.items()}
    except (ValueError, AttributeError):
        return {}


def credentials_for(reference: Reference, known: Mapping[str, Credentials]) -> Credentials | None:
    names = [HUB_KEY, DEFAULT_DOMAIN] if reference.domain == DEFAULT_DOMAIN else [reference.domain]
    return next((known[name] for name in names if name in known), None)
