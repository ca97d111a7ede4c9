"""The layer cache: which image an earlier build made by the same step, and why there is one or none.

It is the classic builder's (moby: image/cache/cache.go, builder/dockerfile/imageprobe.go): the newest child of the
parent image that was made by the same step; after the first miss nothing is looked up any more. With `--cache-from` a
child counts only where one of the named images stands on it, and what such an image's history has is taken from there,
although nothing was built here.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from kubelab.engine.builder.run_config import RunConfig, changed, differences, in_order
from kubelab.images.store import Image, ImageNotFound, ImageStore, short

_COPIED = re.compile(r"#\(nop\) (COPY|ADD) .*(?P<hash>(file|dir|multi):[0-9a-f]{64}) in (?P<target>.*)")


@dataclass(frozen=True)
class Answer:
    """What the cache said of a step. Beyond Docker's API, each build tells it in its stream, as `cache` of a line.

    `reason`: "hit"; "no-cache" (the client wanted none); "after-miss" (an earlier step of the stage was not found);
    "first" (nothing was built on this parent yet); "changed" (something was, by another step). `image` is the image
    found, or the one of that parent whose step is the most alike; `differences` then say in what the two differ.
    """

    reason: str
    message: str
    parent: str
    image: str = ""
    differences: list[dict[str, Any]] = field(default_factory=list)

    @property
    def hit(self) -> bool:
        return self.reason == "hit"

    def described(self, step: int, instruction: str) -> dict[str, Any]:
        """As the stream has it."""
        return {
            "step": step,
            "instruction": instruction,
            "hit": self.hit,
            "reason": self.reason,
            "message": self.message,
            "parent": self.parent,
            "image": self.image,
            "differences": self.differences,
        }


class LayerCache:
    """One stage's use of the cache. `sources`: the images of `--cache-from`; None: all that was built here."""

    def __init__(self, store: ImageStore, enabled: bool, sources: tuple[Image, ...] | None = None) -> None:
        self._store, self._enabled, self._missed, self._sources = store, enabled, False, sources

    def find(self, parent: str, container_config: RunConfig) -> Answer:
        """Look for the image that this step made of `parent` ("" for scratch) before."""
        if not self._enabled:
            return Answer("no-cache", "the cache is not used: the build was started with --no-cache", parent)
        if self._missed:
            message = "an earlier step of this stage was built anew, so there is nothing to find on its image"
            return Answer("after-miss", message, parent)
        children = self._children(parent)
        found = self._built_here(children, container_config) or self._from_sources(parent, container_config)
        if found:
            message = f"{short(found.id)} was made from the same parent image by the same step"
            return Answer("hit", message, parent, found.id)
        self._missed = True
        if not children:
            return Answer("first", "nothing has been built on this parent image yet", parent)
        return _explain(parent, children, container_config)

    def _children(self, parent: str) -> list[Image]:
        children = []
        for image_id in self._store.children(parent):
            try:
                children.append(self._store.get_image(image_id))
            except ImageNotFound:  # deleted meanwhile
                continue
        return children

    def _built_here(self, children: list[Image], container_config: RunConfig) -> Image | None:
        same = [each for each in children if _same(each, container_config)]
        newest = max(same, key=lambda image: image.config.get("created") or "", default=None)
        if newest is None or self._sources is None:
            return newest
        return newest if any(self._stands_on(source, newest.id) for source in self._sources) else None

    def _stands_on(self, image: Image, ancestor: str) -> bool:
        while image.id != ancestor:
            if not image.parent:
                return False
            image = self._store.get_image(image.parent)
        return True

    # -- --cache-from

    def _from_sources(self, parent: str, container_config: RunConfig) -> Image | None:
        base = self._store.get_image(parent) if parent else None
        steps = len(base.config.get("history") or []) if base else 0
        for source in self._sources or ():
            history = source.config.get("history") or []
            if not _begins_with(source, base) or len(history) <= steps:
                continue
            if history[steps].get("created_by", "") != " ".join(container_config["Cmd"] or []):
                continue
            self._sources = (source,)  # the rest comes from there, too
            if len(history) == steps + 1:
                self._store.adopt(source.id, parent)
                return self._store.get_image(source.id)
            return self._restored(source, base, steps, container_config)
        return None

    def _restored(self, source: Image, base: Image | None, steps: int, container_config: RunConfig) -> Image:
        """The image that was there after this step, of which the source has the layer and the line of history."""
        entry = source.config["history"][steps]
        layers = len(base.diff_ids) if base else 0
        layers += 0 if entry.get("empty_layer") else 1
        image = {
            "architecture": source.config.get("architecture"),
            "config": in_order(changed(container_config, Cmd=source.run_config.get("Cmd"))),
            "container_config": in_order(container_config),
            "created": entry.get("created"),
            "docker_version": "kubelab",
            "history": source.config["history"][: steps + 1],
            "os": source.config.get("os"),
            "rootfs": {"type": "layers", "diff_ids": source.diff_ids[:layers]},
        }
        return self._store.get_image(self._store.put_image(image, base.id if base else ""))


def _begins_with(image: Image, base: Image | None) -> bool:
    """Whether the image's history and layers go on from those of `base`."""
    if base is None:
        return bool(image.config.get("history"))
    past = base.config.get("history") or []
    same_past = past == (image.config.get("history") or [])[: len(past)]
    return same_past and base.diff_ids == image.diff_ids[: len(base.diff_ids)]


def _same(image: Image, container_config: RunConfig) -> bool:
    before = image.config.get("container_config")
    return bool(before) and not differences(before, container_config)


# -- why not


def _explain(parent: str, children: list[Image], wanted: RunConfig) -> Answer:
    """The child that is the most alike, and in what it differs."""
    best = min(children, key=lambda child: _distance(child.config.get("container_config") or {}, wanted))
    before = best.config.get("container_config") or {}
    found = [{"field": name, "was": before.get(name), "now": wanted.get(name)} for name in differences(before, wanted)]
    return Answer("changed", _message(before, wanted, [each["field"] for each in found]), parent, best.id, found)


def _distance(before: RunConfig, wanted: RunConfig) -> tuple[int, int]:
    one, other = (" ".join(each.get("Cmd") or []) for each in (before, wanted))
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return len(differences(before, wanted)), -len(list(alike))


def _message(before: RunConfig, wanted: RunConfig, fields: list[str]) -> str:
    was, now = (" ".join(each.get("Cmd") or []) for each in (before, wanted))
    old, new = _COPIED.search(was), _COPIED.search(now)
    if fields != ["Cmd"]:
        return f"the image's configuration differs from the last time in {', '.join(fields)}"
    if old and new and old["target"] == new["target"]:
        return "what is copied has changed: its content, a name, a mode or an owner (times do not count)"
    if was.partition(" /")[2] == now.partition(" /")[2] and "|" in (was[:1], now[:1]):
        return "a build argument has another value than the last time"
    return f"the instruction is not the one of the last time, which was: {was}"
