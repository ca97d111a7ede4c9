"""A recording: everything that a watch of a namespace said, in order, and how things stood at any moment of it.

    recording = lab.recorder.recording          # grows while the recorder runs
    recording.after(120)                        # the records from number 120 on: what is new since the last look
    recording.at(12.5)                          # {"Pod/web": state, …}: how things stood 12.5 s after it began
    recording.of("Pod/web")                     # the records of one object, in all its incarnations
    recording.save(path); Recording.load(path)  # JSON; LabError where the file is no recording

The file: {"format": "kubelab-recording", "version": 1, "namespace", "began" (ISO 8601, UTC), "dropped", "records"},
each record with the fields of `Record`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .errors import LabError

FORMAT, VERSION = "kubelab-recording", 1
KEPT = 50_000  # records; a course's evening has some thousands. Older ones are dropped, and counted
HERE = "Recording"  # the kind of records about the recording itself: MARK, LOST, RESUMED, ENDED


@dataclass(frozen=True)
class Record:
    """One watch event, or one thing that happened to the recording.

    at: seconds on the monotonic clock since the recording began, when the event arrived here · wall: the same moment
    as seconds since 1970 · what: PRESENT (was there when the recording began), ADDED, MODIFIED, DELETED; of kind
    "Recording": MARK (somebody's note), LOST (the API went away), RESUMED, ENDED · kind, name, uid, version (the
    resourceVersion): of the object · state: see `kubelab.course.states`, the last one known where it was deleted ·
    changed: key of the state -> [before, after]; {} of an event that changed nothing that is kept · message: in words,
    of kind "Recording" only.
    """

    at: float
    wall: float
    what: str
    kind: str
    name: str
    uid: str = ""
    version: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, list[Any]] = field(default_factory=dict)
    message: str = ""

    @property
    def target(self) -> str:
        """ "Pod/web"."""
        return f"{self.kind}/{self.name}"


class Recording:
    """Records in the order in which they arrived. Safe to read in one thread while another adds to it."""

    def __init__(self, namespace: str, began: float) -> None:
        self.namespace, self.began = namespace, began  # seconds since 1970
        self.dropped = 0
        self._records: list[Record] = []
        self._grown = threading.Condition()

    def __len__(self) -> int:
        """How many records there ever were: the number of the next one."""
        return self.dropped + len(self._records)

    def add(self, record: Record) -> None:
        with self._grown:
            self._records.append(record)
            if len(self._records) > KEPT:
                self.dropped += KEPT // 10
                del self._records[: KEPT // 10]
            self._grown.notify_all()

    def after(self, number: int = 0) -> list[Record]:
        """The records from this number on, the first being 0. Those that were dropped are left out."""
        with self._grown:
            return self._records[max(0, number - self.dropped) :]

    def of(self, target: str) -> list[Record]:
        return [record for record in self.after() if record.target == target]

    def at(self, seconds: float) -> dict[str, dict[str, Any]]:
        """How things stood `seconds` after the recording began: the state of each object that was there, by target."""
        standing: dict[str, dict[str, Any]] = {}
        for record in self.after():
            if record.at > seconds:
                break
            if record.what == "DELETED":
                standing.pop(record.target, None)
            elif record.kind != HERE:
                standing[record.target] = record.state
        return standing

    def wait(self, number: int, timeout: float) -> bool:
        """Block until there are more than `number` records. False after `timeout` seconds."""
        with self._grown:
            return self._grown.wait_for(lambda: len(self) > number, timeout)

    def wait_for(self, test: Callable[[list[Record]], bool], timeout: float, since: int = 0) -> bool:
        """Block until `test` holds of the records from number `since` on. False after `timeout` seconds."""
        with self._grown:
            return self._grown.wait_for(lambda: test(self._records[max(0, since - self.dropped) :]), timeout)

    def document(self) -> dict[str, Any]:
        """As the file holds it."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "namespace": self.namespace,
            "began": datetime.fromtimestamp(self.began, UTC).isoformat(),
            "dropped": self.dropped,
            "records": [asdict(record) for record in self.after()],
        }

    def save(self, path: str | Path) -> None:
        Path(path).write_text(json.dumps(self.document(), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        try:
            return cls.from_document(json.loads(Path(path).read_text()))
        except (OSError, ValueError, LabError) as error:
            raise LabError(f"{path} holds no recording: {error}. Next: choose a file that `save` wrote.") from error

    @classmethod
    def from_document(cls, document: Any) -> Recording:
        """A recording that does not grow. LabError: it is not one, or of a newer version."""
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise LabError(f'it lacks "format": "{FORMAT}"')
        if document.get("version") != VERSION:
            raise LabError(f"it is of version {document.get('version')}, this course reads version {VERSION}")
        try:
            found = cls(document["namespace"], datetime.fromisoformat(document["began"]).timestamp())
            found.dropped = int(document.get("dropped", 0))
            found._records = list(_records(document["records"]))
        except (KeyError, TypeError, ValueError) as error:
            raise LabError(f"a part of it is missing or wrong ({type(error).__name__}: {error})") from error
        return found


def _records(rows: Iterable[dict[str, Any]]) -> Iterable[Record]:
    known = {each.name for each in fields(Record)}
    for row in rows:
        record = Record(**{key: value for key, value in row.items() if key in known})
        if not isinstance(record.at, (int, float)) or not isinstance(record.state, dict):
            raise ValueError(f"record {row!r:.80}")
        yield record
