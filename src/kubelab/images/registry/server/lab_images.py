"""The engine's own images as a registry shows them: a manifest made on the spot, blobs straight from the image store.

Layers travel as plain tars: they need no compressing and take no room twice, and a blob's digest is its diff ID
(https://github.com/opencontainers/image-spec/blob/main/layer.md#distributable-format).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from kubelab.images.reference import DEFAULT_DOMAIN, parse
from kubelab.images.registry.manifests import OCI_CONFIG, OCI_MANIFEST
from kubelab.images.registry.server.storage import StoredManifest
from kubelab.images.store import Image, ImageNotFound, ImageStore

PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"


class LabImages:
    """Read only: `docker build`, `tag` and `rmi` change it. `localhost:PORT/kubelab/python` is `kubelab/python`."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def _named(self) -> Iterator[tuple[str, str, str]]:
        """(repository, tag, image ID) of each image with a name of no other registry's."""
        for name, image_id in self._store.tags().items():
            reference = parse(name)
            if reference.domain == DEFAULT_DOMAIN and reference.tag and not reference.digest:
                yield reference.repository, reference.tag, image_id

    def repositories(self) -> list[str]:
        return sorted({repository for repository, _, _ in self._named()})

    def tags(self, name: str) -> list[str]:
        return sorted(tag for repository, tag, _ in self._named() if repository == name)

    def _images(self, name: str) -> Iterator[Image]:
        for image_id in {image_id for repository, _, image_id in self._named() if repository == name}:
            try:
                yield self._store.get_image(image_id)
            except ImageNotFound:  # deleted meanwhile
                continue

    def manifest(self, name: str, reference: str) -> StoredManifest | None:
        """By tag or digest."""
        for repository, tag, image_id in self._named():
            if repository == name and tag == reference:
                return self._manifest(self._store.get_image(image_id))
        made = map(self._manifest, self._images(name)) if reference.startswith("sha256:") else ()
        return next((each for each in made if each.digest == reference), None)

    def _manifest(self, image: Image) -> StoredManifest:
        layers = [
            {"mediaType": PLAIN_LAYER, "digest": diff, "size": self._store.blob_path(diff).stat().st_size}
            for diff in image.diff_ids
        ]
        config = {"mediaType": OCI_CONFIG, "digest": image.id, "size": self._store.blob_path(image.id).stat().st_size}
        found = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
        data = json.dumps(found, separators=(",", ":")).encode()
        return StoredManifest(data, OCI_MANIFEST, "sha256:" + hashlib.sha256(data).hexdigest())

    def blob(self, name: str, digest: str) -> Path | None:
        """A layer or config of one of the repository's images."""
        for image in self._images(name):
            if digest == image.id or digest in image.diff_ids:
                return self._store.blob_path(digest)
        return None
