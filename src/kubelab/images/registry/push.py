"""Push: the layers that the registry does not have, the config, the manifest (moby: distribution/push_v2.go)."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import IO

from kubelab.images.layers import Layer
from kubelab.images.reference import Reference
from kubelab.images.registry import compression
from kubelab.images.registry.client import CHUNK, Registry
from kubelab.images.registry.manifests import CONFIG, LAYER, MANIFEST, Descriptor, render
from kubelab.images.registry.progress import Meter, Report, line, nobody
from kubelab.images.registry.pull import short
from kubelab.images.registry.retry import retried
from kubelab.images.registry.transfers import Transfers
from kubelab.images.store import Image, ImageStore

AT_ONCE = 5  # uploads (dockerd: max-concurrent-uploads)
MOUNTS = 4  # repositories that are asked for a layer at most


@dataclass(frozen=True)
class Pushed:
    tag: str
    digest: str  # of the manifest
    size: int


async def push(
    store: ImageStore, registry: Registry, reference: Reference, image: Image, report: Report = nobody
) -> Pushed:
    """Push the image under the reference's tag. Raises RegistryError."""
    work, tag = _Push(store, registry, report), reference.tagged().tag
    layers = [store.layer(chain) for chain in image.chain_ids]
    for layer in reversed(layers):
        await report(line("Preparing", short(layer.diff_id)))
    data = render(await work.config(image), await work.layers(layers))
    await registry.put_manifest(tag, data, MANIFEST)
    pushed = Pushed(tag, "sha256:" + hashlib.sha256(data).hexdigest(), len(data))
    store.tag(image.id, replace(reference, tag="", digest=pushed.digest))
    await report(line(f"{tag}: digest: {pushed.digest} size: {pushed.size}"))
    return pushed


class _Push:
    def __init__(self, store: ImageStore, registry: Registry, report: Report) -> None:
        self._store, self._registry, self._report = store, registry, report
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._transfers = Transfers(store.folder)
        self._repository = f"{registry.reference.domain}/{registry.reference.path}"

    async def layers(self, layers: list[Layer]) -> list[Descriptor]:
        """All at once, as far as there are slots; the first failure ends the others."""
        uploads = [asyncio.create_task(self.layer(layer)) for layer in layers]
        try:
            return await asyncio.gather(*uploads)
        finally:
            for upload in uploads:
                upload.cancel()
            await asyncio.gather(*uploads, return_exceptions=True)

    async def layer(self, layer: Layer) -> Descriptor:
        """What the layer is in the registry, where it is afterwards."""
        id = short(layer.diff_id)
        if self._slots.locked():
            await self._report(line("Waiting", id))
        async with self._slots:
            descriptor = await self._present(layer) or await self._mounted(layer)
            if descriptor is None:
                descriptor = await self._uploaded(layer)
            await asyncio.to_thread(self._transfers.add, layer.diff_id, descriptor, self._repository)
        return descriptor

    async def _present(self, layer: Layer) -> Descriptor | None:
        """The layer as this repository has it already, in the form in which it last travelled."""
        known = self._transfers.get(layer.diff_id)
        if known is None or not await retried(lambda: self._registry.has_blob(known.digest), nobody):
            return None
        await self._report(line("Layer already exists", short(layer.diff_id)))
        return replace(known, media_type=LAYER)

    async def _mounted(self, layer: Layer) -> Descriptor | None:
        """The layer, taken over from another repository of the same registry (moby: getRepositoryMountCandidates)."""
        known = self._transfers.get(layer.diff_id)
        domain = self._registry.reference.domain + "/"
        for source in self._transfers.repositories(layer.diff_id)[:MOUNTS]:
            if known is None or not source.startswith(domain) or source == self._repository:
                continue
            path = source.removeprefix(domain)
            if await self._registry.mount(known.digest, path):
                await self._report(line(f"Mounted from {path}", short(layer.diff_id)))
                return replace(known, media_type=LAYER)
        return None

    async def _uploaded(self, layer: Layer) -> Descriptor:
        id = short(layer.diff_id)
        with tempfile.TemporaryFile(dir=self._store.folder) as file:
            descriptor = await asyncio.to_thread(self._compress, layer, file)
            if await retried(lambda: self._registry.has_blob(descriptor.digest), nobody):
                await self._report(line("Layer already exists", id))
                return descriptor
            meter = Meter(self._report, "Pushing", id, descriptor.size)
            await retried(lambda: self._registry.upload(descriptor.digest, _read(file, meter)), self._report, id)
            await self._report(line("Pushed", id))
        return descriptor

    def _compress(self, layer: Layer, file: IO[bytes]) -> Descriptor:
        with self._store.blob_path(layer.diff_id).open("rb") as tar:
            compression.compress(tar, file)
        size = file.tell()
        file.seek(0)
        digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        return Descriptor(LAYER, digest, size)

    async def config(self, image: Image) -> Descriptor:
        path = self._store.blob_path(image.id)

        async def attempt() -> None:
            if not await self._registry.has_blob(image.id):
                with path.open("rb") as file:
                    await self._registry.upload(image.id, file)

        await retried(attempt, nobody)
        return Descriptor(CONFIG, image.id, path.stat().st_size)


async def _read(file: IO[bytes], meter: Meter) -> AsyncIterator[bytes]:
    file.seek(0)
    while data := file.read(CHUNK):
        await meter.at(file.tell())
        yield data
