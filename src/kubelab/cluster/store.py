"""The store: one append-only log of revisions in SQLite, the newest value of each key in memory, and watches.

The shape is that of k3s-io/kine (pkg/logstructured): every change of every key is a row, its number is the *revision*
of the whole store, and a watch is "all rows after revision N, then what comes". One process writes, in one thread, so
the row is committed and handed to the watches before anything else can run: a watch has no gap.
"""

from __future__ import annotations

import bisect
import sqlite3
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from kubelab.cluster.fanout import Fanout, Watcher

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"

_TABLES = """
CREATE TABLE IF NOT EXISTS log (
    revision INTEGER PRIMARY KEY,
    type     TEXT NOT NULL,     -- ADDED, MODIFIED or DELETED
    key      TEXT NOT NULL,
    value    BLOB NOT NULL,     -- JSON with metadata.resourceVersion = revision; of a DELETED row the last state
    previous BLOB               -- the value before, which a watch with a selector needs
);
CREATE INDEX IF NOT EXISTS log_key ON log (key, revision);
CREATE TABLE IF NOT EXISTS compaction (revision INTEGER NOT NULL);
"""

# The newest row stays, whatever it is: the next revision follows from it.
_COMPACT = """
DELETE FROM log WHERE revision IN (
    SELECT revision FROM log WHERE revision <= ?1 AND revision < (SELECT max(revision) FROM log)
    AND (type = 'DELETED' OR EXISTS (
        SELECT 1 FROM log newer WHERE newer.key = log.key AND newer.revision > log.revision AND newer.revision <= ?1))
    LIMIT ?2)
"""


class StoreError(Exception):
    """A write or read that the store refuses."""


class KeyExistsError(StoreError):
    """create() of a key that is there."""


class KeyNotFoundError(StoreError):
    """update() or delete() of a key that is not there."""


class RevisionConflictError(StoreError):
    """update() or delete() of a key that was changed since the caller read it."""


class CompactedError(StoreError):
    """A revision so old that its history was compacted away. `oldest` is the newest revision that is gone."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {revision} ({oldest})")
        self.revision, self.oldest = revision, oldest


@dataclass(frozen=True, slots=True)
class Record:
    """A key's value at the revision that wrote it; `value` is the object's JSON, ready to be sent."""

    key: str
    revision: int
    value: bytes

    def load(self) -> dict[str, Any]:
        """A copy of the object that the caller may change."""
        return orjson.loads(self.value)


@dataclass(frozen=True)
class Change:
    """One row of the log. `object` and `old` are decoded once and shared by all watches: read, never write them."""

    type: str
    key: str
    revision: int
    value: bytes
    previous: bytes | None = None

    @cached_property
    def object(self) -> dict[str, Any]:
        return orjson.loads(self.value)

    @cached_property
    def old(self) -> dict[str, Any] | None:
        return orjson.loads(self.previous) if self.previous is not None else None


class Store:
    """Keys with prefixes, such as `/registry/pods/default/web`, and JSON objects under them."""

    def __init__(self, path: Path | str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        if str(path) != ":memory:":
            Path(path).chmod(0o600)
        # WAL with synchronous=NORMAL loses nothing when the process is killed; a power cut may take the last commits.
        self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of effect before the first table is made
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLES)
        self.revision: int = self._db.execute("SELECT coalesce(max(revision), 0) FROM log").fetchone()[0]
        self.compacted: int = self._db.execute("SELECT coalesce(max(revision), 0) FROM compaction").fetchone()[0]
        self._records: dict[str, Record] = {r.key: r for r in self._rows_at(self.revision, "")}
        self._keys: list[str] = sorted(self._records)
        self._fanout: Fanout[Change] = Fanout()

    def close(self) -> None:
        self._fanout.close()
        self._db.close()

    def check(self) -> None:
        """Raise where the log cannot be read, or somebody else has written to it: StoreError, sqlite3.Error."""
        (logged,) = self._db.execute("SELECT coalesce(max(revision), 0) FROM log").fetchone()
        if logged != self.revision:
            raise StoreError(f"the log is at revision {logged}, not {self.revision}")

    # -- reads

    def get(self, key: str) -> Record | None:
        return self._records.get(key)

    def list(self, prefix: str, *, at: int | None = None) -> list[Record]:
        """All records below `prefix` in the order of their keys, as they were at revision `at` (default: now).

        Raises CompactedError where `at` is older than the history that is kept.
        """
        if at is not None and at < self.revision:
            if at < self.compacted:
                raise CompactedError(at, self.compacted)
            return self._rows_at(at, prefix)
        start = bisect.bisect_left(self._keys, prefix)
        end = bisect.bisect_left(self._keys, prefix + "\U0010ffff", start)
        return [self._records[key] for key in self._keys[start:end]]

    def _rows_at(self, revision: int, prefix: str) -> list[Record]:
        rows = self._db.execute(
            "SELECT key, revision, value FROM log WHERE type != 'DELETED' AND revision IN"
            " (SELECT max(revision) FROM log WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key) ORDER BY key",
            (prefix, prefix + "\U0010ffff", revision),
        )
        return [Record(*row) for row in rows]

    # -- writes

    def create(self, key: str, obj: dict[str, Any]) -> Record:
        if key in self._records:
            raise KeyExistsError(key)
        record = self._append(ADDED, key, obj, None)
        bisect.insort(self._keys, key)
        return record

    def update(self, key: str, obj: dict[str, Any], revision: int) -> Record:
        """Replace the value that was written at `revision`."""
        return self._append(MODIFIED, key, obj, self._expect(key, revision).value)

    def delete(self, key: str, obj: dict[str, Any], revision: int) -> Record:
        """Remove the key; `obj` is its last state, which watches get with the revision of the deletion."""
        record = self._append(DELETED, key, obj, self._expect(key, revision).value)
        del self._keys[bisect.bisect_left(self._keys, key)]
        return record

    def _expect(self, key: str, revision: int) -> Record:
        record = self._records.get(key)
        if record is None:
            raise KeyNotFoundError(key)
        if record.revision != revision:
            raise RevisionConflictError(f"{key} is at revision {record.revision}, not {revision}")
        return record

    def _append(self, kind: str, key: str, obj: dict[str, Any], previous: bytes | None) -> Record:
        """Log one change, put it in force and hand it to the watches. Sets the object's resourceVersion."""
        revision = self.revision + 1
        obj.setdefault("metadata", {})["resourceVersion"] = str(revision)
        value = orjson.dumps(obj)
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?)", (revision, kind, key, value, previous))
        self.revision = revision
        record = Record(key, revision, value)
        if kind == DELETED:
            del self._records[key]
        else:
            self._records[key] = record
        self._fanout.publish(Change(kind, key, revision, value, previous))
        return record

    # -- watches and history

    def watch(self, prefix: str, after: int, *, queue_limit: int = 1000) -> Watcher[Change]:
        """Every change below `prefix` later than revision `after`: what the log holds, then what happens.

        Raises CompactedError where changes after `after` may be gone already.
        """
        if after < self.compacted:
            raise CompactedError(after, self.compacted)
        history: list[Change] = []
        if after < self.revision:
            rows = self._db.execute(
                "SELECT type, key, revision, value, previous FROM log"
                " WHERE revision > ? AND key >= ? AND key < ? ORDER BY revision",
                (after, prefix, prefix + "\U0010ffff"),
            )
            history = [Change(*row) for row in rows]
        return self._fanout.subscribe(prefix, history, queue_limit)

    def compact(self, revision: int, limit: int | None = None) -> int:
        """Forget all history up to `revision`, keeping what is current. Returns the number of rows removed.

        With `limit` at most so many rows go, so that nobody waits long: call again until there are fewer. History up to
        `revision` is out of bounds from the first call on, so nobody sees it half removed.
        """
        revision = min(revision, self.revision)
        if revision > self.compacted:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM compaction")
            self._db.execute("INSERT INTO compaction VALUES (?)", (revision,))
            self._db.execute("COMMIT")
            self.compacted = revision
        removed = self._db.execute(_COMPACT, (min(revision, self.compacted), -1 if limit is None else limit)).rowcount
        self._db.executescript("PRAGMA incremental_vacuum(2000)")  # the file's free pages, given back to the disk
        return removed
