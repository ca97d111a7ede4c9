"""Looking at images: `docker images`, `inspect`, `history` (moby: api/server/router/image, daemon/images)."""

from __future__ import annotations

import asyncio
import fnmatch
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from kubelab.engine import query
from kubelab.engine.answers import json_answer
from kubelab.engine.engine import Engine
from kubelab.images.store import Image, ImageStore

FILTERS = ("dangling", "label", "before", "since", "reference")


def routes(engine: Engine) -> list[web.RouteDef]:
    async def list_images(request: web.Request) -> web.Response:
        wanted, everything = query.filters(request, FILTERS), query.flag(request, "all")
        query.refuse(request, "manifests")
        shared = query.flag(request, "shared-size")
        await engine.base_image()
        return json_answer(await asyncio.to_thread(summaries, engine.store, everything, wanted, shared=shared))

    async def inspect_image(request: web.Request) -> web.Response:
        await engine.base_image()
        image = engine.store.resolve(request.match_info["name"])
        return json_answer(inspect(engine.store, image))

    async def image_history(request: web.Request) -> web.Response:
        await engine.base_image()
        return json_answer(history(engine.store, engine.store.resolve(request.match_info["name"])))

    return [
        web.route("GET", "/images/json", list_images),
        web.route("GET", "/images/{name:.+}/json", inspect_image),
        web.route("GET", "/images/{name:.+}/history", image_history),
    ]


def seconds(created: str | None) -> int:
    """An image's RFC 3339 time, with up to nine decimals, as seconds since 1970."""
    if not created:
        return 0
    whole = created.removesuffix("Z").partition(".")[0]
    return int(datetime.fromisoformat(whole if "+" in whole else whole + "+00:00").timestamp())


# -- docker images


def summaries(
    store: ImageStore, everything: bool, filters: dict[str, list[str]], *, shared: bool = False
) -> list[dict[str, Any]]:
    """Newest first; without `everything`, steps of a build that nobody named are left out."""
    dangling = query.boolean(filters, "dangling", False) if "dangling" in filters else None
    images = store.all()
    parents = {image.parent for image in images}
    names = _names_by_image(store)
    shown = [image for image in images if everything or names.get(image.id) or image.id not in parents]
    for image in _bounds(store, filters, "before"):
        shown = [each for each in shown if _created(each) < _created(image)]
    for image in _bounds(store, filters, "since"):
        shown = [each for each in shown if _created(each) > _created(image)]
    found = [(image, _passing_names(names.get(image.id, []), filters)) for image in shown]
    found = [(image, named) for image, named in found if _passes(image, named, image.id in parents, filters, dangling)]
    found.sort(key=lambda item: _created(item[0]), reverse=True)
    lines = [summary(image, named) for image, named in found]
    if shared:
        uses = Counter(chain for image, _ in found for chain in image.chain_ids)
        for line, (image, _) in zip(lines, found, strict=True):
            line["SharedSize"] = sum(store.layer(chain).size for chain in image.chain_ids if uses[chain] > 1)
    return lines


def _created(image: Image) -> str:
    return image.config.get("created") or ""


def _names_by_image(store: ImageStore) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, image_id in sorted(store.tags().items()):
        names.setdefault(image_id, []).append(name)
    return names


def _bounds(store: ImageStore, filters: dict[str, list[str]], name: str) -> list[Image]:
    return [store.resolve(value) for value in filters.get(name, [])]


def _passing_names(names: list[str], filters: dict[str, list[str]]) -> list[str]:
    patterns = filters.get("reference")
    if patterns is None:
        return names
    return [name for name in names if any(_matches(name, pattern) for pattern in patterns)]


def _matches(name: str, pattern: str) -> bool:
    """Docker's pattern for names: `*` stays within a part between slashes; without a tag, any tag."""
    if "@" in name:
        return name.partition("@")[0].count("/") == pattern.count("/") and fnmatch.fnmatchcase(
            name.partition("@")[0], pattern
        )
    whole = pattern if ":" in pattern.rpartition("/")[2] else f"{pattern}:*"
    return name.count("/") == whole.count("/") and all(
        fnmatch.fnmatchcase(part, wanted) for part, wanted in zip(name.split("/"), whole.split("/"), strict=True)
    )


def _passes(
    image: Image, tags: list[str], has_children: bool, filters: dict[str, list[str]], dangling: bool | None
) -> bool:
    if "reference" in filters and not tags:
        return False
    if dangling is not None and dangling != (not tags and not has_children):
        return False
    labels = image.run_config.get("Labels") or {}
    return all(has_label(labels, label) for label in filters.get("label", []))


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """`wanted`: `name` or `name=value`."""
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


def summary(image: Image, names: list[str]) -> dict[str, Any]:
    """A line of `docker images`; of `names` those with a digest are what registries know it by."""
    return {
        "Containers": -1,
        "Created": seconds(image.config.get("created")),
        "Id": image.id,
        "Labels": image.run_config.get("Labels"),
        "ParentId": image.parent,
        "RepoDigests": [name for name in names if "@" in name],
        "RepoTags": [name for name in names if "@" not in name],
        "SharedSize": -1,
        "Size": image.size,
    }


# -- docker inspect


def inspect(store: ImageStore, image: Image) -> dict[str, Any]:
    """Docker's ImageInspect. ContainerConfig is left out of images that no classic builder made."""
    config = image.config
    answer = {
        "Id": image.id,
        "RepoTags": store.references(image.id),
        "RepoDigests": store.digests(image.id),
        "Parent": image.parent,
        "Comment": config.get("comment") or "",
        "Created": config.get("created") or "",
        "Container": config.get("container") or "",
        "ContainerConfig": config.get("container_config"),
        "DockerVersion": config.get("docker_version") or "",
        "Author": config.get("author") or "",
        "Config": config.get("config"),
        "Architecture": config.get("architecture") or "",
        "Os": config.get("os") or "",
        "Size": image.size,
        "GraphDriver": graph_driver(store, image),
        "RootFS": {"Type": "layers", "Layers": image.diff_ids},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }
    return {name: value for name, value in answer.items() if name != "ContainerConfig" or value}


def graph_driver(store: ImageStore, image: Image) -> dict[str, Any]:
    """Where the layers lie on disk, in the words of the overlay2 driver."""
    folders = [str(folder) for folder in store.lower_dirs(image.id)]
    if not folders:
        return {"Name": "overlay2", "Data": None}
    data = {"UpperDir": folders[0]} | ({"LowerDir": ":".join(folders[1:])} if len(folders) > 1 else {})
    return {"Name": "overlay2", "Data": data}


# -- docker history


def history(store: ImageStore, image: Image) -> list[dict[str, Any]]:
    """A line for each step, newest first: its size, and its image where the builder made it here (else `<missing>`)."""
    layers = iter(image.chain_ids)
    lines = []
    for entry in image.config.get("history") or []:
        chain = None if entry.get("empty_layer") else next(layers, None)
        lines.append(_history_line(entry, store.layer(chain).size if chain else 0))
    lines.reverse()
    step: Image | None = image
    for line in lines:
        if step is None:
            break
        line["Id"], line["Tags"] = step.id, store.references(step.id) or None
        step = store.get_image(step.parent) if step.parent else None
    return lines


def _history_line(entry: dict[str, Any], size: int) -> dict[str, Any]:
    return {
        "Comment": entry.get("comment") or "",
        "Created": seconds(entry.get("created")),
        "CreatedBy": entry.get("created_by") or "",
        "Id": "<missing>",
        "Size": size,
        "Tags": None,
    }
