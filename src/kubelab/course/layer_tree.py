"""What each layer of an image did to its files, and what that costs: the data of the layer lab, from either engine.

Everything comes through the `docker` SDK: `docker save`, read as a stream and never held in memory, and read once for
each image (its ID says all that is in it).
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any

from docker.models.images import Image

from .layers import instruction, size

ADDED, CHANGED, REMOVED = "A", "C", "D"  # as `docker diff` marks them
MARKS = (ADDED, CHANGED, REMOVED)
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"  # OCI image spec, layer.md
KEPT = 64  # images, and layers, that are remembered
SMALL = 4 << 20  # bytes: a config is never larger
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Change:
    """One path in one layer. `size`: bytes of a file's content here; `wasted`: of them, what a later layer hides."""

    mark: str  # ADDED, CHANGED, REMOVED
    path: str  # absolute
    size: int
    kind: str  # "file", "folder", "symlink", "hardlink", "device"; "" of what is removed
    wasted: int = 0
    hidden_by: int | None = None  # the number of the layer that changes or removes it


@dataclass(frozen=True)
class LayerTree:
    """One layer, the lowest is number 0."""

    number: int
    diff_id: str
    instruction: str  # the Dockerfile's line that made it, as the history has it
    size: int  # bytes of the files in it
    wasted: int  # of them, bytes that no container ever sees
    changes: tuple[Change, ...]
    shared_with: tuple[str, ...] = ()  # names of other images that have this layer in this place


@dataclass(frozen=True)
class ImageTree:
    image: str
    id: str
    layers: tuple[LayerTree, ...]
    size: int = 0
    wasted: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def text(self, *, first: int = 0, limit: int = 12) -> str:
        """The tree in words, from layer `first` on, at most `limit` paths of a layer."""
        lines = [f"{self.image}  {size(self.size)}, of which {size(self.wasted)} wasted"]
        for layer in self.layers[first:]:
            notes = f", {size(layer.wasted)} wasted" if layer.wasted else ""
            notes += f", shared with {', '.join(layer.shared_with)}" if layer.shared_with else ""
            lines.append(f"└ {layer.number}  {layer.instruction}  ({size(layer.size)}{notes})")
            for change in layer.changes[:limit]:
                hidden = f"  hidden by layer {change.hidden_by}" if change.hidden_by is not None else ""
                lines.append(f"    {change.mark} {change.path}  {size(change.size)}{hidden}")
            if left := len(layer.changes) - limit:
                lines += [f"    … and {left} more"] if left > 0 else []
        return "\n".join(lines)

    def blocks(self) -> list[dict[str, Any]]:
        """For a picture: a block a layer, with its size in bytes and the part of it that is wasted or shared."""
        return [
            {
                "number": layer.number,
                "label": layer.instruction,
                "size": layer.size,
                "wasted": layer.wasted,
                "shared": bool(layer.shared_with),
                "shared_with": list(layer.shared_with),
                "counts": {
                    mark: sum(each.mark == mark for each in layer.changes) for mark in (ADDED, CHANGED, REMOVED)
                },
            }
            for layer in self.layers
        ]


def tree(image: Image, others: Iterable[Image] = ()) -> ImageTree:
    """What every layer of `image` adds, changes, removes, and wastes; which of them `others` have, too."""
    found = _without_names(image)
    shared = _sharing(image, others)
    layers = tuple(
        LayerTree(**{**vars(layer), "shared_with": tuple(names)}) for layer, names in zip(found, shared, strict=True)
    )
    name = image.tags[0] if image.tags else image.short_id
    total, wasted = sum(each.size for each in layers), sum(each.wasted for each in layers)
    return ImageTree(name, image.id, layers, total, wasted)


def _sharing(image: Image, others: Iterable[Image]) -> list[list[str]]:
    """For each layer the other images that have it, with all below it the same: so it is stored once."""
    ours = image.attrs["RootFS"].get("Layers") or []
    found: list[list[str]] = [[] for _ in ours]
    for other in others:
        if other.id == image.id:
            continue
        for number, (left, right) in enumerate(zip(ours, other.attrs["RootFS"].get("Layers") or [], strict=False)):
            if left != right:
                break
            found[number].append(other.tags[0] if other.tags else other.short_id)
    return found


_trees: OrderedDict[str, tuple[LayerTree, ...]] = OrderedDict()  # by image ID: the same on every engine


def _without_names(image: Image) -> tuple[LayerTree, ...]:
    if image.id not in _trees:
        layers, config = _read(image)
        diff_ids = config.get("rootfs", {}).get("diff_ids") or []
        _keep(_trees, image.id, _compare(diff_ids, layers, _instructions(config)))
    return _trees[image.id]


def _keep(cache: OrderedDict[str, Any], key: str, value: Any) -> None:
    cache[key] = value
    while len(cache) > KEPT:
        cache.popitem(last=False)


def _instructions(config: dict[str, Any]) -> list[str]:
    """The history's lines that made a layer, lowest first."""
    return [
        instruction(each.get("created_by", "")) for each in config.get("history") or [] if not each.get("empty_layer")
    ]


# -- reading `docker save`


@dataclass(frozen=True)
class Member:
    """What a layer's tar says of one path."""

    path: str
    size: int
    kind: str


_members: OrderedDict[str, list[Member]] = OrderedDict()  # by diff ID


def _read(image: Image) -> tuple[list[list[Member]], dict[str, Any]]:
    """The members of each layer, lowest first, and the image's config. The archive is read once, from end to end."""
    diff_ids = image.attrs["RootFS"].get("Layers") or []
    known = dict(_places(diff_ids))
    layers: dict[str, list[Member]] = {}
    texts: dict[str, Any] = {}
    with tarfile.open(fileobj=_Stream(image.save()), mode="r|*") as archive:
        for entry in archive:
            if entry.issym() or entry.islnk():  # dockerd links a layer that it has written already
                layers[entry.name] = layers[_target(entry)]
            elif members := _members.get(known.get(_place(entry.name), "")):
                layers[entry.name] = members
            elif content := archive.extractfile(entry) if entry.isfile() else None:
                found = _parse(content, entry.size)
                (layers if isinstance(found, list) and entry.name != MANIFEST else texts)[entry.name] = found
    manifest = texts[MANIFEST][0]
    ordered = [layers[name] for name in manifest["Layers"]]
    for diff_id, members in zip(diff_ids, ordered, strict=True):
        _keep(_members, diff_id, members)
    return ordered, texts[manifest["Config"]]


def _places(diff_ids: list[str]) -> Iterator[tuple[str, str]]:
    """Where an engine may put a layer in the archive, and its diff ID: by chain ID, or as OCI's layout does."""
    chain = ""
    for diff_id in diff_ids:
        chain = "sha256:" + hashlib.sha256(f"{chain} {diff_id}".encode()).hexdigest() if chain else diff_id
        yield chain.removeprefix("sha256:"), diff_id
        yield diff_id.removeprefix("sha256:"), diff_id


def _place(name: str) -> str:
    """The digest in `<chain>/layer.tar` or `blobs/sha256/<diff>`."""
    parts = name.split("/")
    return parts[0] if parts[-1] == "layer.tar" else parts[-1]


def _target(entry: tarfile.TarInfo) -> str:
    if entry.islnk():
        return entry.linkname
    parts: list[str] = []
    for part in (PurePosixPath(entry.name).parent / entry.linkname).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def _parse(content: IO[bytes], length: int) -> list[Member] | Any:
    """A layer's members, or what a JSON file says; None of what is neither."""
    if length <= SMALL:
        data = content.read()
        try:
            return json.loads(data)
        except ValueError:
            content = io.BytesIO(data)
    try:
        with tarfile.open(fileobj=content, mode="r|*") as layer:
            return [_member(each) for each in layer]
    except tarfile.ReadError:
        return None


def _member(entry: tarfile.TarInfo) -> Member:
    kind = "folder" if entry.isdir() else "symlink" if entry.issym() else "hardlink" if entry.islnk() else "device"
    path = "/" + entry.name.removeprefix("./").strip("/")
    return Member(path, entry.size if entry.isfile() else 0, "file" if entry.isfile() else kind)


class _Stream:
    """Chunks as a file that can only be read on."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(chunks), b""

    def read(self, count: int) -> bytes:
        parts, got = [self._rest], len(self._rest)
        while got < count and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            got += len(chunk)
        data = b"".join(parts)
        self._rest = data[count:]
        return data[:count]


# -- comparing


@dataclass
class _Seen:
    """A path as the layers up to here leave it: where it was written, and as what."""

    layer: int
    index: int  # in that layer's changes
    kind: str


@dataclass
class _State:
    paths: dict[str, _Seen] = field(default_factory=dict)
    below: dict[str, set[str]] = field(default_factory=dict)  # folder -> names in it

    def add(self, path: str, seen: _Seen) -> None:
        self.paths[path] = seen
        parent, _, name = path.rpartition("/")
        self.below.setdefault(parent or "/", set()).add(name)

    def remove(self, path: str) -> Iterator[_Seen]:
        """Forget a path with all below it, and give what was there."""
        yield from self.empty(path)
        parent, _, name = path.rpartition("/")
        self.below.get(parent or "/", set()).discard(name)
        if seen := self.paths.pop(path, None):
            yield seen

    def empty(self, path: str) -> Iterator[_Seen]:
        for name in list(self.below.pop(path, ())):
            yield from self.remove(f"{path.rstrip('/')}/{name}")


def _compare(diff_ids: list[str], layers: Iterable[list[Member]], lines: list[str]) -> tuple[LayerTree, ...]:
    state, changes = _State(), []
    hidden: dict[tuple[int, int], int] = {}  # (layer, index) of a change -> the layer that hides it
    for number, members in enumerate(layers):
        changes.append(list(_changes(members, number, state, hidden)))
    return tuple(
        _tree(number, diff_id, line, found, hidden)
        for number, (diff_id, line, found) in enumerate(zip(diff_ids, lines, changes, strict=True))
    )


def _changes(members: list[Member], number: int, state: _State, hidden: dict[tuple[int, int], int]) -> Iterator[Change]:
    """Brings `state` up to date. Whiteouts first: they hide what is below, and nothing of their own layer."""
    index = 0
    for member in sorted(members, key=lambda each: PurePosixPath(each.path).name.startswith(WHITEOUT), reverse=True):
        parent, _, name = member.path.rpartition("/")
        if name == OPAQUE:
            gone = list(state.empty(parent or "/"))
        elif name.startswith(WHITEOUT):
            path = f"{parent}/{name.removeprefix(WHITEOUT)}"
            gone = list(state.remove(path))
            yield Change(REMOVED, path, 0, "")
            index += 1
        else:
            before = state.paths.get(member.path)
            if before and before.kind == member.kind == "folder":
                continue  # its times or mode, at most: nothing that weighs
            gone = state.remove(member.path) if before else iter(())
            _hide(gone, number, hidden)
            yield Change(CHANGED if before else ADDED, member.path, member.size, member.kind)
            state.add(member.path, _Seen(number, index, member.kind))
            index += 1
            continue
        _hide(gone, number, hidden)


def _hide(gone: Iterable[_Seen], number: int, hidden: dict[tuple[int, int], int]) -> None:
    for seen in gone:
        hidden[seen.layer, seen.index] = number


def _tree(number: int, diff_id: str, line: str, changes: list[Change], hidden: dict[tuple[int, int], int]) -> LayerTree:
    found = []
    for index, change in enumerate(changes):
        by = hidden.get((number, index))
        wasted = change.size if by is not None else 0
        found.append(Change(change.mark, change.path, change.size, change.kind, wasted, by))
    found.sort(key=lambda each: each.path)
    return LayerTree(
        number, diff_id, line, sum(each.size for each in found), sum(each.wasted for each in found), tuple(found)
    )
