"""An image's layers, as the Docker Engine tells them: history, cache, sharing, and the files in each.

Everything comes through the `docker` SDK, so it works on any engine.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from docker.models.images import Image
from docker.utils.build import exclude_paths, tar

from .tables import Table

NO_OPERATION = "/bin/sh -c #(nop) "


def size(count: int) -> str:
    """Bytes as the docker CLI prints them: powers of 1,000, three digits ("7.02kB")."""
    number, units = float(count), ["B", "kB", "MB", "GB"]
    while number >= 1000 and len(units) > 1:
        number /= 1000
        units.pop(0)
    return f"{number:.3g}{units[0]}"


def context(folder: Path) -> Table:
    """The files of a folder, and which of them the client would send to the engine."""
    sent = exclude_paths(str(folder), ignore_patterns(folder))
    rows = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        rows.append((name, size(path.stat().st_size), "sent" if name in sent else "left out"))
    return Table(["FILE", "SIZE", ""], rows)


def context_size(folder: Path, ignored: Sequence[str] | None = None) -> str:
    """What the build context weighs as the client packs it, without what `ignored` names: .dockerignore's lines."""
    patterns = ignore_patterns(folder) if ignored is None else list(ignored)
    with tar(str(folder), exclude=patterns) as packed:
        return size(packed.seek(0, io.SEEK_END))


def ignore_patterns(folder: Path) -> list[str]:
    """The lines of a folder's .dockerignore; none where there is no such file."""
    file = folder / ".dockerignore"
    lines = file.read_text().splitlines() if file.is_file() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def history(image: Image) -> Table:
    """What `docker history` shows, without IDs and ages: newest first, how each layer was made and what it weighs."""
    rows = [(instruction(entry["CreatedBy"]), size(entry["Size"])) for entry in image.history()]
    return Table(["CREATED BY", "SIZE"], rows, f"docker history {_name(image)}")


def instruction(created_by: str) -> str:
    """The Dockerfile's line in a history entry, whichever builder wrote it; long ones cut, hashes left out."""
    text = created_by.removeprefix(NO_OPERATION).removesuffix("# buildkit").strip()
    words = ["file" if word.startswith(("file:", "dir:", "multi:")) else word for word in text.split()]
    line = " ".join(words)
    if line.startswith("/bin/sh -c "):
        line = "RUN " + line.removeprefix("/bin/sh -c ")
    return line if len(line) <= 72 else line[:71] + "…"


def build_steps(log: Iterable[dict[str, Any]]) -> Table:
    """The steps of a classic build, and whether each was done or came from the cache."""
    rows: list[list[str]] = []
    for entry in log:
        text = entry.get("stream", "").strip()
        if text.startswith("Step "):
            number, _, line = text.partition(" : ")
            rows.append([number.removeprefix("Step "), line, "done"])
        elif text == "---> Using cache" and rows:
            rows[-1][2] = "from the cache"
    return Table(["STEP", "INSTRUCTION", ""], rows)


def sharing(first: Image, second: Image) -> Table:
    """The layers of two images, bottom first: which both have, and which only one has."""
    ours, theirs = first.attrs["RootFS"]["Layers"], second.attrs["RootFS"]["Layers"]
    rows = []
    for number in range(max(len(ours), len(theirs))):
        left, right = ours[number : number + 1], theirs[number : number + 1]
        rows.append((number, "shared" if left == right else "different" if left and right else "only in one"))
    return Table(["LAYER", f"{_name(first)} and {_name(second)}"], rows)


def contents(image: Image, below: Image | None = None, limit: int = 12) -> Table:
    """What each layer adds, changes or removes, bottom first; without the layers of `below`. From `docker save`."""
    skip = len(below.attrs["RootFS"]["Layers"]) if below else 0
    seen: set[str] = set()
    rows = []
    for number, layer in enumerate(saved_layers(image)):
        for mark, path, bytes_ in changes(layer, seen):
            if number >= skip and mark:
                rows.append((number, mark, path, size(bytes_)))
    return Table(["LAYER", "", "PATH", "SIZE"], rows[:limit], f"docker save {_name(image)} | tar …")


def saved_layers(image: Image) -> Iterator[tarfile.TarFile]:
    """The layers' tars, bottom first."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(image.save()))) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))
        for name in manifest[0]["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                yield layer


def changes(layer: tarfile.TarFile, seen: set[str]) -> list[tuple[str, str, int]]:
    """(mark, path, bytes) for a layer on top of the paths in `seen`, which it brings up to date.

    Marks are those of `docker diff`: A added, C changed, D removed (a file `.wh.NAME`), "" for a folder that stays.
    """
    found = []
    for member in layer.getmembers():
        path = PurePosixPath("/") / member.name.removeprefix("./")
        if path.name.startswith(".wh."):
            gone = str(path.with_name(path.name.removeprefix(".wh.")))
            seen.discard(gone)
            found.append(("D", gone, 0))
            continue
        known = str(path) in seen
        mark = ("" if member.isdir() else "C") if known else "A"
        seen.add(str(path))
        found.append((mark, str(path), member.size))
    return found


def _name(image: Image) -> str:
    return image.tags[0] if image.tags else image.short_id
