"""From one image of a build to the next: the layer cache, and the image that a step leaves behind.

The cache is the classic builder's (moby: image/cache/cache.go): the newest child of the parent image that was made by
the same step; after the first miss nothing is looked up any more. The image is what moby's image.NewChildImage makes.
"""

from __future__ import annotations

import secrets
from platform import machine
from typing import Any, BinaryIO

from kubelab.engine.builder.run_config import RunConfig, changed, in_order, same_step
from kubelab.images.base import ARCHITECTURES
from kubelab.images.layers import EMPTY_DIFF_ID, Layer
from kubelab.images.store import Image, ImageNotFound, ImageStore
from kubelab.runtime.logs import timestamp


class LayerCache:
    """One stage's use of the cache."""

    def __init__(self, store: ImageStore, enabled: bool) -> None:
        self._store, self._enabled = store, enabled

    def find(self, parent: str, container_config: RunConfig) -> Image | None:
        """The image that this step made of `parent` ("" for scratch) before; None once a step was not found."""
        if not self._enabled:
            return None
        found = [
            image
            for image in self._children(parent)
            if same_step(image.config.get("container_config"), container_config)
        ]
        self._enabled = bool(found)
        return max(found, key=lambda image: image.config.get("created") or "") if found else None

    def _children(self, parent: str) -> list[Image]:
        children = []
        for image_id in self._store.children(parent):
            try:
                children.append(self._store.get_image(image_id))
            except ImageNotFound:  # deleted meanwhile
                continue
        return children


def commit(
    store: ImageStore,
    parent: str,
    config: RunConfig,
    container_config: RunConfig,
    layer: BinaryIO | None,
    container: str = "",
    author: str = "",
    comment: str = "",
) -> str:
    """Make the image that a step leaves behind and return its ID.

    `config` is what the image starts with, `container_config` what the step was, `layer` what it changed (None:
    nothing), `container` the ID of the container in which it happened, `author` and `comment` what people said of it.
    """
    base = store.get_image(parent) if parent else None
    before: dict[str, Any] = base.config if base else {}
    diff_ids = list(base.diff_ids if base else [])
    top = base.chain_ids[-1] if base and base.chain_ids else None
    added = store.register_layer(layer, top) if layer else None
    entry: dict[str, Any] = {
        "created": timestamp(),
        **({"author": author} if author else {}),
        "created_by": " ".join(container_config["Cmd"] or []),
        **({"comment": comment} if comment else {}),
    }
    if added is None or added.diff_id == EMPTY_DIFF_ID:
        entry["empty_layer"] = True
    else:
        diff_ids.append(added.diff_id)
    image = {  # in the order in which dockerd writes it: the image's ID is the digest of these bytes
        "architecture": before.get("architecture") or ARCHITECTURES.get(machine(), machine()),
        **({"author": author} if author else {}),
        **({"comment": comment} if comment else {}),
        "config": in_order(changed(config, Image=parent)),
        **({"container": container} if container else {}),
        "container_config": in_order(changed(container_config, Image=parent)),
        "created": entry["created"],
        "docker_version": "kubelab",
        "history": [*(before.get("history") or []), entry],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    return store.put_image(image, parent)


def imported(layer: Layer, config: RunConfig | None, comment: str) -> dict[str, Any]:
    """The image config of a file system that came as one tar (moby: daemon/images/image_import.go)."""
    created = timestamp()
    return {
        "architecture": ARCHITECTURES.get(machine(), machine()),
        "comment": comment,
        "config": in_order(config or {}),
        "created": created,
        "docker_version": "kubelab",
        "history": [{"created": created, "comment": comment}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    }


def new_container_id() -> str:
    """The ID of the container that a step without a program is committed from.

    dockerd makes such a container and never starts it; its ID, which stream and image name, is all there is of it.
    """
    return secrets.token_hex(32)
