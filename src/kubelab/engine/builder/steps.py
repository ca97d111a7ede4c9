"""From one image of a build to the next: the image that a step leaves behind (moby: image.NewChildImage)."""

from __future__ import annotations

import secrets
from platform import machine
from typing import Any, BinaryIO

from kubelab.engine.builder.run_config import RunConfig, changed, in_order
from kubelab.images.base import ARCHITECTURES
from kubelab.images.layers import EMPTY_DIFF_ID, Layer
from kubelab.images.store import ImageStore
from kubelab.runtime.logs import timestamp


def commit(
    store: ImageStore,
    parent: str,
    config: RunConfig,
    container_config: RunConfig,
    layer: BinaryIO | None,
    container: str = "",
    author: str = "",
    comment: str = "",
    name: str | None = None,
) -> str:
    """Make the image that a step leaves behind and return its ID.

    `config` is what the image starts with, `container_config` what the step was, `layer` what it changed (None:
    nothing), `container` the ID of the container in which it happened, `author` and `comment` what people said of it,
    `name` what `parent` is called in the two configurations (None: its ID, as the builder has it).
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
    name = parent if name is None else name
    image = {  # in the order in which dockerd writes it: the image's ID is the digest of these bytes
        "architecture": before.get("architecture") or ARCHITECTURES.get(machine(), machine()),
        **({"author": author} if author else {}),
        **({"comment": comment} if comment else {}),
        "config": in_order(changed(config, Image=name)),
        **({"container": container} if container else {}),
        "container_config": in_order(changed(container_config, Image=name)),
        "created": entry["created"],
        "docker_version": "kubelab",
        "history": [*(before.get("history") or []), entry],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    try:
        return store.put_image(image, parent)
    except OSError:
        store.discard([added.chain_id] if added else [])
        raise


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
