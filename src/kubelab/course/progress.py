"""What a student has done: checks passed, predictions scored, quiz questions answered; kept in $KUBELAB_HOME/progress.

One JSON file, replaced as a whole (written beside it, then renamed), so that a kernel that dies loses nothing. Several
kernels may write: each change reads the file again under a lock. `export` and `load` carry it to another machine;
loading merges, so that nothing that was done is ever taken back.

The file: {"format": "kubelab-progress", "version": 1, "checks": {"4.3": {"passed": when, "tries": 2}}, "predictions":
{"04/deadlock/with-probe": {"first": bool, "right": bool, "tries", "when"}}, "quiz": {"04/restarts": {"first": bool,
"right": bool, "tries", "when"}}}; `when` is ISO 8601 in UTC, of the first try, and `first` whether that was right.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubelab.home import Home

from .errors import LabError

FORMAT, VERSION = "kubelab-progress", 1
PARTS = ("checks", "predictions", "quiz")
Document = dict[str, Any]


class Progress:
    """folder: by default $KUBELAB_HOME/progress."""

    def __init__(self, folder: Path | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.folder = folder or Home.from_environment().path / "progress"
        self.path, self._now = self.folder / "progress.json", now

    def read(self) -> Document:
        """What was done. LabError: the file is damaged; it is left as it is."""
        if not self.path.exists():
            return empty()
        return parse(self.path.read_text(), f"{self.path}", "move it away, or load an export of yours")

    def checked(self, exercise: str, passed: bool) -> None:
        with self._changing() as document:
            row = document["checks"].setdefault(exercise, {"passed": "", "tries": 0})
            row["tries"] += 0 if row["passed"] else 1
            row["passed"] = row["passed"] or (self._when() if passed else "")

    def predicted(self, name: str, right: bool) -> None:
        self._answered("predictions", name, right)

    def quizzed(self, name: str, right: bool) -> None:
        self._answered("quiz", name, right)

    def _answered(self, part: str, name: str, right: bool) -> None:
        with self._changing() as document:
            first = {"first": right, "right": False, "tries": 0, "when": self._when()}
            row = document[part].setdefault(name, first)
            row |= {"right": row["right"] or right, "tries": row["tries"] + 1}

    def passed(self, exercise: str) -> bool:
        return bool(self.read()["checks"].get(exercise, {}).get("passed"))

    def export(self, path: str | Path) -> Path:
        """Write all of it to one file."""
        Path(path).write_text(json.dumps(self.read(), indent=1, sort_keys=True) + "\n")
        return Path(path)

    def load(self, path: str | Path) -> None:
        """Add what an export holds. LabError: it is none, and nothing is changed."""
        try:
            text = Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise LabError(f"{path} cannot be read ({error}). Next: choose a file that `export` wrote.") from error
        self.take(text, str(path))

    def take(self, text: str, what: str = "the file") -> None:
        """As `load`, of the file's text."""
        theirs = parse(text, what, "choose a file that `export` wrote")
        with self._changing() as document:
            merged = merge(document, theirs)
            document.update(merged)

    def forget(self) -> None:
        """Begin anew. What was there is kept beside it, as progress.json.before."""
        if self.path.exists():
            self.path.replace(self.path.with_suffix(".json.before"))

    def _when(self) -> str:
        return self._now().isoformat(timespec="seconds")

    @contextmanager
    def _changing(self) -> Iterator[Document]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            document = self.read()
            yield document
            beside = self.path.with_suffix(f".{os.getpid()}.new")
            with beside.open("w") as file:
                json.dump(document, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)


def empty() -> Document:
    return {"format": FORMAT, "version": VERSION, **{part: {} for part in PARTS}}


def parse(text: str, what: str, remedy: str) -> Document:
    """LabError: the text is no progress, or of a newer version."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError(f'it lacks "format": "{FORMAT}"')
        if document.get("version") != VERSION:
            raise ValueError(f"it is of version {document.get('version')}, this course reads version {VERSION}")
        for part in PARTS:
            rows = document.setdefault(part, {})
            wrong = not isinstance(rows, dict) or [name for name, row in rows.items() if not _row(part, row)]
            if wrong:
                raise ValueError(f"{part} is not as it should be: {wrong if isinstance(wrong, list) else rows!r}")
    except ValueError as error:
        raise LabError(f"{what} holds no progress: {error}. Nothing was changed. Next: {remedy}.") from error
    return {key: document[key] for key in ("format", "version", *PARTS)}


def _row(part: str, row: Any) -> bool:
    shape = {"passed": str, "tries": int} if part == "checks" else {"first": bool, "right": bool, "tries": int}
    return isinstance(row, dict) and all(type(row.get(key)) is kind for key, kind in shape.items())


def merge(ours: Document, theirs: Document) -> Document:
    """Both, and of what both have the better: what was passed in either is passed, the earlier time stays. Merging the
    same twice, or in the other order, gives the same."""
    return {
        "format": FORMAT,
        "version": VERSION,
        **{part: _merge_rows(ours[part], theirs[part]) for part in PARTS},
    }


def _merge_rows(ours: Document, theirs: Document) -> Document:
    return {name: _better(ours.get(name), theirs.get(name)) for name in sorted({*ours, *theirs})}


def _better(one: Document | None, other: Document | None) -> Document:
    if one is None or other is None:
        return dict(one or other or {})
    found = {"tries": max(one["tries"], other["tries"])}
    if "passed" in one:
        return found | {"passed": min(filter(None, (one["passed"], other["passed"])), default="")}
    earlier = min(one, other, key=lambda row: (row.get("when", ""), row["first"]))
    return found | {
        "first": earlier["first"],
        "right": one["right"] or other["right"],
        "when": earlier.get("when", ""),
    }
