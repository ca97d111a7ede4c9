"""Pull: a manifest, its config, the layers that are not here; all of it verified before it has a name.

Order and words are moby's (distribution/pull_v2.go, distribution/xfer/download.go): three layers at a time, a broken
download goes on where it stopped, layers are unpacked from the lowest.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import tarfile
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import IO

from kubelab.images import compressed
from kubelab.images.layers import chain_ids
from kubelab.images.reference import Reference
from kubelab.images.registry.client import CHUNK, Registry
from kubelab.images.registry.errors import Interrupted
from kubelab.images.registry.manifests import (
    DIGEST,
    MAX_SIZE,
    Descriptor,
    InvalidManifest,
    Manifest,
    Platform,
    choose,
    parse,
)
from kubelab.images.registry.progress import Meter, Report, line, nobody
from kubelab.images.registry.retry import retried
from kubelab.images.registry.transfers import Transfers
from kubelab.images.store import ImageStore

AT_ONCE = 3  # downloads (dockerd: max-concurrent-downloads)


@dataclass(frozen=True)
class Pulled:
    image_id: str
    digest: str  # of the manifest, or of the list that it was chosen from
    newer: bool  # whether the name meant another image before


async def pull(
    store: ImageStore, registry: Registry, reference: Reference, platform: Platform, report: Report = nobody
) -> Pulled:
    """Pull what `reference` (with a tag or digest) names. Raises RegistryError, InvalidManifest, UnsafeArchive."""
    name = reference.digest or reference.tagged().tag
    fetched = await registry.manifest(name)
    await report({"status": f"Pulling from {reference.path}", "id": str(reference) if reference.digest else name})
    digest, manifest = fetched.digest, parse(fetched.data, fetched.media_type, reference)
    if isinstance(manifest, list):
        fetched = await registry.manifest(choose(manifest, platform).digest)
        manifest = parse(fetched.data, fetched.media_type, reference)
        if isinstance(manifest, list):
            raise InvalidManifest("invalid manifest: a list within a list")
    image_id = manifest.config.digest
    if not store.exists(image_id):
        await _Pull(store, registry, report).image(manifest)
    newer = await asyncio.to_thread(_name, store, reference, image_id, digest)
    await report(line(f"Digest: {digest}"))
    return Pulled(image_id, digest, newer)


def _name(store: ImageStore, reference: Reference, image_id: str, digest: str) -> bool:
    """Give the image its name and its digest; whether that name is new to it."""
    known = [*store.references(image_id), *store.digests(image_id)]
    by_digest = replace(reference, tag="", digest=digest)
    given = by_digest if reference.digest else reference.tagged()
    for each in {by_digest, given}:
        store.tag(image_id, each)
    return str(given) not in known


class _Pull:
    def __init__(self, store: ImageStore, registry: Registry, report: Report) -> None:
        self._store, self._registry, self._report = store, registry, report
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._transfers = Transfers(store.folder)
        self._repository = f"{registry.reference.domain}/{registry.reference.path}"

    async def image(self, manifest: Manifest) -> None:
        """Bring the image of a manifest into the store, without a name."""
        config = await self._config(manifest)
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        chains, parent = list(chain_ids(diff_ids)), None
        async with self._downloads(manifest.layers, chains) as downloads:
            for descriptor, diff_id, chain, download in zip(manifest.layers, diff_ids, chains, downloads, strict=True):
                if download is not None:
                    await self._unpack(descriptor, diff_id, parent, await download)
                parent = chain
            await asyncio.to_thread(self._store.put_image, config)

    async def _config(self, manifest: Manifest) -> bytes:
        """The config, verified. Raises InvalidManifest where the layers are not those that it lists."""
        descriptor = manifest.config
        if descriptor.size > MAX_SIZE:
            raise InvalidManifest(f"the image's config is larger than {MAX_SIZE} bytes")
        data = await retried(lambda: self._registry.read_blob(descriptor.digest), nobody)
        diff_ids = _diff_ids(data)
        if len(diff_ids) != len(manifest.layers):
            raise InvalidManifest("layers from manifest don't match image configuration")
        return data

    @contextlib.asynccontextmanager
    async def _downloads(
        self, layers: tuple[Descriptor, ...], chains: list[str]
    ) -> AsyncIterator[list[asyncio.Task[IO[bytes]] | None]]:
        """A download for each layer that is not here; what is left of them in the end is cancelled."""
        present = [self._store.has_layer(chain) for chain in chains]
        for descriptor, there in zip(layers, present, strict=True):
            await self._report(line("Already exists" if there else "Pulling fs layer", short(descriptor.digest)))
        once: dict[str, asyncio.Task[IO[bytes]]] = {}  # the same layer may be in an image twice
        tasks: list[asyncio.Task[IO[bytes]] | None] = []
        for descriptor, there in zip(layers, present, strict=True):
            if not there and descriptor.digest not in once:
                once[descriptor.digest] = asyncio.create_task(self._download(descriptor))
            tasks.append(None if there else once[descriptor.digest])
        try:
            yield tasks
        finally:
            for task in once.values():
                task.cancel()
            for file in await asyncio.gather(*once.values(), return_exceptions=True):
                if not isinstance(file, BaseException):
                    file.close()

    async def _download(self, descriptor: Descriptor) -> IO[bytes]:
        id = short(descriptor.digest)
        if self._slots.locked():
            await self._report(line("Waiting", id))
        async with self._slots:
            file = await self._fetch(descriptor, Meter(self._report, "Downloading", id, descriptor.size))
        await self._report(line("Download complete", id))
        return file

    async def _fetch(self, descriptor: Descriptor, meter: Meter) -> IO[bytes]:
        """The blob in a temporary file, verified."""
        file = tempfile.TemporaryFile(dir=self._store.folder)  # noqa: SIM115 (handed to the caller)
        try:
            await retried(lambda: self._read(descriptor, file, meter), self._report, short(descriptor.digest))
            await self._report(line("Verifying Checksum", short(descriptor.digest)))
            await asyncio.to_thread(_verify, file, descriptor)
        except BaseException:
            file.close()
            raise
        return file

    async def _read(self, descriptor: Descriptor, file: IO[bytes], meter: Meter) -> None:
        """Append what is missing."""
        start = file.seek(0, 2)
        if start and start == descriptor.size:
            return
        async with self._registry.blob(descriptor.digest, start) as answer:
            if answer.status == 200:
                file.seek(0)
                file.truncate()
            async for data in answer.content.iter_chunked(CHUNK):
                file.write(data)
                if file.tell() > descriptor.size:
                    raise InvalidManifest(
                        f"blob {descriptor.digest} is larger than the {descriptor.size} bytes announced"
                    )
                await meter.at(file.tell())
        if file.tell() < descriptor.size:
            raise Interrupted(f"blob {descriptor.digest}: unexpected EOF")

    async def _unpack(self, descriptor: Descriptor, diff_id: str, parent: str | None, file: IO[bytes]) -> None:
        meter = Meter(self._report, "Extracting", short(descriptor.digest), descriptor.size)
        work = asyncio.ensure_future(asyncio.to_thread(self._register, file, diff_id, parent))
        try:
            while not (await asyncio.wait([work], timeout=0.2))[0]:
                await meter.at(min(file.tell(), descriptor.size - 1))
        finally:
            await asyncio.gather(work, return_exceptions=True)  # the thread reads the file, whatever happens
        work.result()
        await meter.at(descriptor.size)
        await asyncio.to_thread(self._transfers.add, diff_id, descriptor, self._repository)
        await self._report(line("Pull complete", short(descriptor.digest)))

    def _register(self, file: IO[bytes], diff_id: str, parent: str | None) -> None:
        try:
            layer = self._store.register_layer(compressed.stream(file), parent)
        except tarfile.TarError as error:
            raise InvalidManifest(f"failed to register layer: {error}") from error
        if layer.diff_id != diff_id:
            raise InvalidManifest("layers from manifest don't match image configuration")


def _diff_ids(config: bytes) -> list[str]:
    try:
        found = json.loads(config)
        diff_ids = found["rootfs"]["diff_ids"] or []
        system = found.get("os") or "linux"
        if not isinstance(diff_ids, list) or not all(
            isinstance(each, str) and DIGEST.fullmatch(each) for each in diff_ids
        ):
            raise ValueError
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise InvalidManifest("the image's config lists no layers: it is no image of a container") from None
    if system != "linux":
        raise InvalidManifest(f'image operating system "{system}" cannot be used on this platform')
    return diff_ids


def _verify(file: IO[bytes], descriptor: Descriptor) -> None:
    file.seek(0)
    found = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    if found != descriptor.digest:
        raise InvalidManifest(f"filesystem layer verification failed for digest {descriptor.digest}")
    file.seek(0)


def short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
