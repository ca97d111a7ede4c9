"""The image store: what the engine writes and everybody reads.

An image is a config (JSON, https://github.com/opencontainers/image-spec/blob/main/config.md) whose digest is its ID,
and the layers that the config lists; layers and blobs are shared, and go with the last image that lists them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from kubelab.images import archive
from kubelab.images.blobs import Blobs
from kubelab.images.errors import ImageConflict, ImageNotFound
from kubelab.images.layers import Layer, Layers, chain_ids
from kubelab.images.lock import abandoned, locked, write_atomically
from kubelab.images.reference import InvalidReference, Reference, parse
from kubelab.images.tags import Tags

_ID = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Image:
    """`config` is the whole config file: `config["config"]` holds Env, Cmd, Entrypoint, WorkingDir, User, Labels, …"""

    id: str
    config: dict[str, Any]
    size: int  # bytes of all its layers
    parent: str = ""  # ID of the image that the builder made it from, "" where that is not known

    @property
    def diff_ids(self) -> list[str]:
        return self.config.get("rootfs", {}).get("diff_ids") or []

    @cached_property
    def chain_ids(self) -> list[str]:
        return list(chain_ids(self.diff_ids))

    @property
    def run_config(self) -> dict[str, Any]:
        """Docker's ContainerConfig: what a container made from the image starts with."""
        return self.config.get("config") or {}


class ImageStore:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._blobs = Blobs(folder / "blobs")
        self._layers = Layers(folder / "layers", self._blobs)
        self._tags = Tags(folder / "repositories.json")
        self._images = folder / "images"  # <id hex>: {"parent": …}; the config itself is a blob
        self._images.mkdir(exist_ok=True)
        self._lock = folder / "lock"

    # -- blobs and layers

    def put_blob(self, source: BinaryIO) -> str:
        return self._blobs.put(source)

    def blob_path(self, digest: str) -> Path:
        return self._blobs.path(digest)

    def register_layer(self, tar: BinaryIO, parent: str | None = None) -> Layer:
        """Keep a layer's plain tar and unpack it above the layer with chain ID `parent` (None: the lowest).

        Raises UnsafeArchive, tarfile.TarError.
        """
        return self._layers.register(tar, parent)

    def has_layer(self, chain_id: str) -> bool:
        return self._layers.whole(chain_id)

    def layer(self, chain_id: str) -> Layer:
        return self._layers.get(chain_id)

    def lower_dirs(self, image_id: str) -> list[Path]:
        """The image's unpacked layers, topmost first, as overlayfs takes them in `lowerdir=`."""
        return [self._layers.diff(chain) for chain in reversed(self.get_image(image_id).chain_ids)]

    # -- images

    def put_image(self, config: dict[str, Any] | bytes, parent: str = "") -> str:
        """Keep a config whose layers are registered and return the image's ID. The same config is the same image."""
        data = config if isinstance(config, bytes) else as_go_writes(config)
        for chain in chain_ids(json.loads(data).get("rootfs", {}).get("diff_ids") or []):
            if not self._layers.whole(chain):
                raise ImageConflict(f"layer {chain} is not in the store: register it before the image that lists it")
        with locked(self._lock):
            image_id = self._blobs.put(BytesIO(data))
            record = self._record(image_id)
            if not record.exists():
                write_atomically(record, json.dumps({"parent": parent}).encode())
        return image_id

    def adopt(self, image_id: str, parent: str) -> None:
        """Say that the builder would have made the image from `parent`."""
        with locked(self._lock):
            write_atomically(self._record(image_id), json.dumps({"parent": parent}).encode())

    def get_image(self, image_id: str) -> Image:
        try:
            record = json.loads(self._record(image_id).read_bytes())
            config = json.loads(self._blobs.read(image_id))
        except (FileNotFoundError, ValueError):
            raise ImageNotFound(f"No such image: {image_id}") from None
        size = sum(self._layers.get(chain).size for chain in chain_ids(config.get("rootfs", {}).get("diff_ids") or []))
        return Image(image_id, config, size, record["parent"])

    def exists(self, image_id: str) -> bool:
        return self._record(image_id).exists()

    def _record(self, image_id: str) -> Path:
        return self._images / image_id.removeprefix("sha256:")

    def all(self) -> list[Image]:
        """Every image, tagged or not, intermediate ones of builds included."""
        return [self.get_image(id) for id in self._ids()]

    def _ids(self) -> list[str]:
        return sorted("sha256:" + path.name for path in self._images.iterdir() if not path.name.startswith("."))

    def has_children(self, image_id: str) -> bool:
        """Whether the builder made other images from this one."""
        return bool(self.children(image_id))

    def children(self, image_id: str) -> list[str]:
        """The IDs of the images that the builder made from this one; from "", of those made from scratch."""
        return [id for id in self._ids() if self._parent(id) == image_id]

    def _parent(self, image_id: str) -> str | None:
        try:
            return json.loads(self._record(image_id).read_bytes())["parent"]
        except FileNotFoundError:  # deleted meanwhile
            return None

    # -- names

    def resolve(self, name: str) -> Image:
        """The image that a person means by `name`: an ID, a reference, or the first digits of an ID, in this order.

        Raises ImageNotFound, or InvalidReference for what can be none of them (moby: ImageService.GetImage).
        """
        digits = name.removeprefix("sha256:")
        if _ID.fullmatch(digits):
            if self.exists(f"sha256:{digits}"):
                return self.get_image(f"sha256:{digits}")
            raise ImageNotFound(f"No such image: sha256:{digits}")
        reference = parse(name)  # the first digits of an ID are a name, too
        if reference.digest:
            reference = replace(reference, tag="")  # the digest says it all
        if image_id := self._tags.get(reference):
            return self.get_image(image_id)
        matches = [id for id in self._ids() if digits and id.startswith("sha256:" + digits)]
        if len(matches) == 1:
            return self.get_image(matches[0])
        raise ImageNotFound(f"No such image: {reference.tagged()}")

    def find(self, name: str) -> Image | None:
        """What `resolve` gives; None where the name leads to no image, or can be none."""
        try:
            return self.resolve(name)
        except (ImageNotFound, InvalidReference):
            return None

    def tag(self, image_id: str, reference: str | Reference) -> None:
        """Give the image a name, taking it from the image that had it."""
        with locked(self._lock):
            self._tags.set(parse(reference) if isinstance(reference, str) else reference, image_id)

    def untag(self, reference: str | Reference) -> None:
        """Take the name away; the image stays until `delete`."""
        with locked(self._lock):
            self._tags.remove(parse(reference) if isinstance(reference, str) else reference)

    def references(self, image_id: str) -> list[str]:
        """The image's names in their familiar form, sorted; without digests."""
        return [name for name in self._tags.of(image_id) if "@" not in name]

    def digests(self, image_id: str) -> list[str]:
        """`repository@sha256:…` for each registry that the image was pulled from or pushed to, sorted."""
        return [name for name in self._tags.of(image_id) if "@" in name]

    def tags(self) -> dict[str, str]:
        """Every name, digests too: familiar reference → image ID."""
        return self._tags.all()

    # -- deleting

    def delete(self, image_id: str) -> list[str]:
        """Delete the image, its names, and the layers that no other image has.

        Returns the digests that went, in Docker's order: the image, then its layers from the top. Raises ImageConflict
        where other images were built from it.
        """
        with locked(self._lock):
            if self.has_children(image_id):
                raise ImageConflict(
                    f"conflict: unable to delete {short(image_id)} (cannot be forced) - "
                    "image has dependent child images"
                )
            image = self.get_image(image_id)
            for name in self._tags.of(image_id):
                self._tags.remove(parse(name))
            return self._delete_one(image)

    def _delete_one(self, image: Image) -> list[str]:
        self._record(image.id).unlink()
        self._blobs.delete(image.id)
        others = self.all()
        chains = {chain for other in others for chain in other.chain_ids}
        diffs = {diff for other in others for diff in other.diff_ids}
        gone = [chain for chain in reversed(image.chain_ids) if chain not in chains]
        for chain in gone:
            self._layers.delete(chain)
        for diff_id in set(image.diff_ids) - diffs:
            self._blobs.delete(diff_id)
        return [image.id, *gone]

    def sweep(self, older_than: float = 3600.0) -> None:
        """Remove what writers that were killed have left: half-made files, and layers that no image came to list.

        What is younger than `older_than` seconds may still be at work and stays.
        """
        with locked(self._lock):
            images = self.all()
            for path in (*self.folder.glob(".*"), *self._images.glob(".*")):
                if abandoned(path, older_than):
                    path.unlink(missing_ok=True)
            self._delete_unlisted(self._layers.stale(older_than), images)
            listed = {each for image in images for each in (image.id, *image.diff_ids)}
            self._blobs.sweep(listed | self._layers.diff_ids(), older_than)  # a layer's blob comes after its folder

    def discard(self, chain_ids: Iterable[str]) -> None:
        """Delete those of the layers that no image lists: what a build, load or pull that failed has made."""
        with locked(self._lock):
            self._delete_unlisted(chain_ids, self.all())

    def _delete_unlisted(self, chain_ids: Iterable[str], images: list[Image]) -> None:
        chains = {chain for image in images for chain in image.chain_ids}
        diffs = {diff for image in images for diff in image.diff_ids}
        for chain in chain_ids:
            if chain in chains or not self._layers.has(chain):
                continue
            diff_id = self._layers.get(chain).diff_id
            self._layers.delete(chain)
            if diff_id not in diffs:
                self._blobs.delete(diff_id)

    # -- archives

    def save(self, names: Iterable[str], target: BinaryIO) -> None:
        """Write what `docker save` writes: a tar of the named images (references or IDs)."""
        archive.save(self, list(names), target)

    def load(self, source: BinaryIO) -> list[tuple[Image, list[str]]]:
        """Read what `docker save` wrote (or an OCI layout), naming the images as it says; each with these names."""
        return archive.load(self, source)


def as_go_writes(value: Any) -> bytes:
    """JSON as Go's encoding/json has it, so that equal images get equal IDs: no blanks, and `<`, `>`, `&` escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode(errors="surrogatepass")


def short(image_id: str) -> str:
    """The 12 digits by which people call an image."""
    return image_id.removeprefix("sha256:")[:12]
