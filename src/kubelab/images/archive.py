"""`docker save` and `docker load`: images as one tar.

The layout is moby's image/tarexport (`save.go`, `load.go`): `manifest.json` lists each image's config, names and
layers, `repositories` says the same for engines before 1.10, and `index.json` says it in the words of the OCI image
layout. An archive that has the last alone is read, too.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any, BinaryIO

from kubelab.images import compressed
from kubelab.images.blobs import digest_of
from kubelab.images.errors import ImageNotFound
from kubelab.images.layers import chain_ids
from kubelab.images.reference import InvalidReference, parse
from kubelab.images.tarstream import TarWriter
from kubelab.images.unsafe import UnsafeArchive

if TYPE_CHECKING:
    from kubelab.images.store import Image, ImageStore


OCI = "application/vnd.oci.image."
INDEX, MANIFEST = f"{OCI}index.v1+json", f"{OCI}manifest.v1+json"
CONFIG, LAYER = f"{OCI}config.v1+json", f"{OCI}layer.v1.tar"


class InvalidArchive(ValueError):
    """The archive holds no image that can be loaded; the message says what is missing."""


def save(store: ImageStore, names: list[str], target: BinaryIO) -> None:
    """Write the named images (references or IDs); a name given as a reference is kept in the archive."""
    writer = _Saver(store, target)
    for name in names:
        for image, tags in wanted(store, name):
            writer.image(image, tags)
    writer.close()


def wanted(store: ImageStore, name: str) -> list[tuple[Image, list[str]]]:
    """The images that `name` stands for, with the names that go with each: a repository alone means all of its tags.

    Rules from moby's image/tarexport/save.go (parseNames). Raises ImageNotFound.
    """
    with contextlib.suppress(InvalidReference):
        reference = parse(name)
        known = {tag: id for tag, id in store.tags().items() if "@" not in tag}
        if not reference.tag and not reference.digest:
            tags = [tag for tag in known if parse(tag).repository == str(reference)]
            if tags:
                return [(store.get_image(known[tag]), [tag]) for tag in tags]
        elif reference.tag and str(reference) in known:
            return [(store.get_image(known[str(reference)]), [str(reference)])]
        elif reference.tag and not store.exists(name):
            raise ImageNotFound("reference does not exist")
    return [(store.resolve(name), [])]


class _Saver:
    """Both layouts in one archive, as engines from 25 on write them: each blob once, listed in the OCI image layout's
    `index.json` and in `manifest.json`, which is what older engines (and `repositories`, what very old ones) read.
    """

    def __init__(self, store: ImageStore, target: BinaryIO) -> None:
        self._store, self._tar = store, TarWriter(target)
        self._manifest: dict[str, dict[str, Any]] = {}
        self._index: list[dict[str, Any]] = []
        self._repositories: dict[str, dict[str, str]] = {}
        self._written: set[str] = set()
        for folder in ("blobs", "blobs/sha256"):
            self._tar.add(_entry(folder, tarfile.DIRTYPE))

    def image(self, image: Image, tags: list[str]) -> None:
        layers = [self._blob(diff_id) for diff_id in image.diff_ids]
        config = self._blob(image.id)
        item = self._manifest.setdefault(image.id, {"Config": config, "RepoTags": [], "Layers": layers})
        item["RepoTags"] += tags
        descriptor = self._oci_manifest(image)
        self._index += [_named(descriptor, tag) for tag in tags] or [descriptor]
        for tag in tags:
            reference = parse(tag)
            top = image.diff_ids[-1] if image.diff_ids else image.id
            self._repositories.setdefault(reference.repository, {})[reference.tag] = top.removeprefix("sha256:")

    def _blob(self, digest: str) -> str:
        """Write a blob of the store once, and return its name within the archive."""
        name = _blob(digest)
        if digest not in self._written:
            self._written.add(digest)
            path = self._store.blob_path(digest)
            info = _entry(name)
            info.size = path.stat().st_size
            with path.open("rb") as content:
                self._tar.add(info, content)
        return name

    def _oci_manifest(self, image: Image) -> dict[str, Any]:
        """Write the image's manifest; returns the descriptor that names it."""
        layers = [self._descriptor(LAYER, diff_id) for diff_id in image.diff_ids]
        config = self._descriptor(CONFIG, image.id)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        data = json.dumps(manifest, separators=(",", ":")).encode()
        digest = digest_of(data)
        if digest not in self._written:
            self._written.add(digest)
            self._file(_blob(digest), data)
        return {"mediaType": MANIFEST, "digest": digest, "size": len(data)}

    def _descriptor(self, media_type: str, digest: str) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": digest, "size": self._store.blob_path(digest).stat().st_size}

    def _file(self, name: str, data: bytes) -> None:
        info = _entry(name)
        info.size = len(data)
        self._tar.add(info, io.BytesIO(data))

    def close(self) -> None:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self._index}
        self._file("index.json", json.dumps(index, separators=(",", ":")).encode())
        manifest = [item | {"RepoTags": item["RepoTags"] or None} for item in self._manifest.values()]
        self._file("manifest.json", json.dumps(manifest).encode())
        self._file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        if self._repositories:
            self._file("repositories", json.dumps(self._repositories).encode())
        self._tar.close()


def _named(descriptor: dict[str, Any], tag: str) -> dict[str, Any]:
    reference = parse(tag)
    names = {"io.containerd.image.name": reference.full(), "org.opencontainers.image.ref.name": reference.tag}
    return {**descriptor, "annotations": names}


def _entry(name: str, type: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = type, 0o755 if type == tarfile.DIRTYPE else 0o644
    return info


def load(store: ImageStore, source: BinaryIO) -> list[tuple[Image, list[str]]]:
    """Load every image of the archive; each with the names that it has there. `source` is a seekable file, plain or
    compressed."""
    try:
        with tarfile.open(fileobj=compressed.decompressed(source), mode="r:") as tar:
            items = _docker_manifest(tar) if _has(tar, "manifest.json") else _oci_manifest(tar)
            return [_load_image(store, tar, item) for item in items]
    except (InvalidArchive, UnsafeArchive):
        raise
    except (tarfile.TarError, KeyError, TypeError, ValueError, AttributeError) as error:  # JSON may be of any shape
        raise InvalidArchive(f"invalid archive: {error}") from error


def _load_image(store: ImageStore, tar: tarfile.TarFile, item: dict[str, Any]) -> tuple[Image, list[str]]:
    data = _open(tar, item["Config"]).read()
    diff_ids = json.loads(data)["rootfs"].get("diff_ids") or []
    if len(diff_ids) != len(item["Layers"]):
        raise InvalidArchive(
            f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(item['Layers'])}"
        )
    made: list[str] = []
    try:
        for diff_id, name in zip(diff_ids, item["Layers"], strict=True):
            known = chain_id_over(made, diff_id)
            if store.has_layer(known):
                made.append(known)
                continue
            layer = store.register_layer(compressed.stream(_open(tar, name)), made[-1] if made else None)
            made.append(layer.chain_id)
            if layer.diff_id != diff_id:
                raise InvalidArchive(f"invalid diffID for layer {name}: expected {diff_id!r}, got {layer.diff_id!r}")
        image_id = store.put_image(data)
    except BaseException:
        store.discard(made)
        raise
    names = item["RepoTags"] or []
    for name in names:
        store.tag(image_id, name)
    return store.get_image(image_id), names


def chain_id_over(below: list[str], diff_id: str) -> str:
    """The chain ID of a layer over the one on top of `below`; as in moby's load, a layer that is here is not read."""
    return list(chain_ids([*below[-1:], diff_id]))[-1]


def _docker_manifest(tar: tarfile.TarFile) -> list[dict[str, Any]]:
    return json.load(_open(tar, "manifest.json"))


def _oci_manifest(tar: tarfile.TarFile) -> list[dict[str, Any]]:
    """The OCI layout's index, in the words of `manifest.json`."""
    if not _has(tar, "index.json"):
        raise InvalidArchive(
            "invalid archive: it holds neither manifest.json (docker save) nor index.json (OCI layout)"
        )
    items = []
    for descriptor in json.load(_open(tar, "index.json"))["manifests"]:
        manifest = json.load(_open(tar, _blob(descriptor["digest"])))
        if "config" not in manifest:
            raise InvalidArchive(
                f"{descriptor['digest']} is an index of several platforms: save the image of one platform"
            )
        name = descriptor.get("annotations", {}).get("io.containerd.image.name")
        layers = [_blob(layer["digest"]) for layer in manifest["layers"]]
        items.append({"Config": _blob(manifest["config"]["digest"]), "RepoTags": _names(name), "Layers": layers})
    return items


def _names(name: str | None) -> list[str]:
    try:
        return [str(parse(name).tagged())] if name else []
    except InvalidReference:
        return []


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _has(tar: tarfile.TarFile, name: str) -> bool:
    return any(member.name.removeprefix("./") == name for member in tar.getmembers())


def _open(tar: tarfile.TarFile, name: str) -> BinaryIO:
    member = next((member for member in tar.getmembers() if member.name.removeprefix("./") == name), None)
    content = tar.extractfile(member) if member else None
    if content is None:
        raise InvalidArchive(f"invalid archive: {name} is missing")
    return content  # type: ignore[return-value]
