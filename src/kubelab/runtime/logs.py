"""Container logs in CRI's format: `2026-01-01T12:00:00.123456789Z stdout F text`.

`F` ends a line, `P` is a part of one. Sources of the format: kubernetes/design-proposals
node/kubelet-cri-logging.md, and how containerd writes and the kubelet reads it (pkg/kubelet/kuberuntime/logs).
Unlike containerd we write a part as soon as the program pauses, so that a prompt without a newline reaches whoever is
attached, and an unterminated last line stays `P`: readers get exactly the bytes that the program wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

MAX_LINE = 16 * 1024  # bytes; a longer line is written in parts, as containerd does
FOLLOW_INTERVAL = 0.05  # seconds between looks at the file's growth
_BLOCK = 64 * 1024


class LogEntry(NamedTuple):
    timestamp: str  # RFC 3339 with nanoseconds, UTC: strings compare as times do
    stream: str  # "stdout" | "stderr"
    data: bytes  # as written by the program; a whole line ends with its newline
    partial: bool  # the line goes on in the stream's next entry


def timestamp(nanoseconds: int | None = None) -> str:
    """Now, or a time since the epoch, as RFC 3339 in UTC with nine decimals."""
    seconds, fraction = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


class LogWriter:
    """Appends the output of one container. `path` "" keeps nothing.

    With `max_bytes` a file that has so many is put aside, as `path.1`, and that one before as `path.2`; of `max_files`
    in all the oldest goes (moby: daemon/logger/loggerutils/logfile.go).
    """

    def __init__(self, path: str, max_bytes: int = 0, max_files: int = 1) -> None:
        self._path, self._max_bytes, self._max_files = path, max_bytes, max_files
        self._file: BinaryIO | None = None
        self._pending: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open()

    def _open(self) -> BinaryIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        return os.fdopen(descriptor, "ab", buffering=0)

    def reopen(self) -> None:
        """Go on in a new file of the same name: the old one was renamed."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # then the old file will do
                old, self._file = self._file, self._open()
                old.close()

    def write(self, stream: str, data: bytes) -> None:
        """Write the lines that `data` completes; keep the rest until more comes or `flush()`."""
        if self._file is None:
            return
        *lines, rest = (self._pending[stream] + data).split(b"\n")
        self._pending[stream] = b""
        entries = [entry for line in lines for entry in self._entries(stream, line, b"F")]
        while len(rest) >= MAX_LINE:
            entries.append(_format(stream, b"P", rest[:MAX_LINE]))
            rest = rest[MAX_LINE:]
        self._pending[stream] = rest
        self._append(entries)

    def flush(self) -> None:
        """Write what has no newline yet, as a part."""
        for stream, rest in self._pending.items():
            if rest:
                self._append([_format(stream, b"P", rest)])
                self._pending[stream] = b""

    def _append(self, entries: list[bytes]) -> None:
        """On a full disk the output is lost, and the program goes on, as with containerd."""
        with contextlib.suppress(OSError):
            for text in entries if self._max_bytes else [b"".join(entries)]:
                self._rotate_if_full()
                if self._file is not None:
                    self._file.write(text)

    def _rotate_if_full(self) -> None:
        if self._file is None or not self._max_bytes or os.fstat(self._file.fileno()).st_size < self._max_bytes:
            return
        kept = rotated_files(self._path)
        for old in reversed(kept[: max(0, len(kept) - max(0, self._max_files - 2))]):
            old.unlink()
        for old in rotated_files(self._path):
            old.rename(f"{self._path}.{int(old.suffix[1:]) + 1}")
        if self._max_files > 1:
            Path(self._path).rename(f"{self._path}.1")
        else:
            Path(self._path).unlink()
        self.reopen()

    @property
    def pending(self) -> bool:
        return any(self._pending.values())

    def _entries(self, stream: str, line: bytes, tag: bytes) -> Iterator[bytes]:
        while len(line) > MAX_LINE:
            yield _format(stream, b"P", line[:MAX_LINE])
            line = line[MAX_LINE:]
        yield _format(stream, tag, line)


def _format(stream: str, tag: bytes, text: bytes) -> bytes:
    return b"%s %s %s %s\n" % (timestamp().encode(), stream.encode(), tag, text)


def parse(line: bytes) -> LogEntry:
    """One line of the file, without its newline. Raises ValueError where it is not CRI's format."""
    time_, stream, tags, text = line.split(b" ", 3)
    partial = tags.split(b":")[0] == b"P"
    return LogEntry(time_.decode(), stream.decode(), text if partial else text + b"\n", partial)


def rotated_files(path: str | os.PathLike[str]) -> list[Path]:
    """`path.2`, `path.1`: what a `LogWriter` has put aside, the oldest first."""
    found = [each for each in Path(path).parent.glob(f"{Path(path).name}.*") if each.suffix[1:].isdecimal()]
    return sorted(found, key=lambda each: int(each.suffix[1:]), reverse=True)


class LogReader:
    """A log file from a place on; `poll()` gives what has been added, in the files that take its place as well.

    It begins in the oldest file that a `LogWriter` has put aside.
    """

    def __init__(self, path: str | os.PathLike[str], tail: int | None, since: datetime | str | None) -> None:
        self._path = Path(path)
        self._oldest = _rfc3339(since)
        self._rest = b""
        self._file = self._open_at(tail)

    def _open_at(self, tail: int | None) -> BinaryIO:
        """The file in which the last `tail` lines begin, at their beginning."""
        files = [*rotated_files(self._path), self._path]
        if tail is None:
            return files[0].open("rb")
        for file in reversed(files):
            opened = file.open("rb")
            lines = len(_line_starts(opened.read(), whole=True)) if file is not files[0] else tail
            if lines >= tail:
                break
            opened.close()
            tail -= lines
        opened.seek(tail_offset(opened, tail))
        return opened

    def close(self) -> None:
        self._file.close()

    def poll(self) -> Iterator[LogEntry]:
        while True:
            rotated = self._is_rotated()  # asked before reading: then nothing more is written to the old file
            yield from self._read()
            if not rotated:
                return
            with contextlib.suppress(FileNotFoundError):  # rotated again just now
                following = self._following().open("rb")
                self._file.close()
                self._file, self._rest = following, b""

    def _following(self) -> Path:
        """The file that was begun after this one; of those after it that are gone already, the oldest that is not."""
        files = [*rotated_files(self._path), self._path]
        ours = os.fstat(self._file.fileno()).st_ino
        place = next((number for number, file in enumerate(files[:-1]) if file.stat().st_ino == ours), -1)
        return files[place + 1]

    def _is_rotated(self) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False

    def _read(self) -> Iterator[LogEntry]:
        while block := self._file.read(_BLOCK):
            *lines, self._rest = (self._rest + block).split(b"\n")
            for entry in map(parse, lines):
                if entry.timestamp >= self._oldest:
                    yield entry


async def read(
    path: str | os.PathLike[str],
    *,
    tail: int | None = None,
    since: datetime | str | None = None,
    follow: bool = False,
    ended: Callable[[], bool] = lambda: False,
) -> AsyncIterator[LogEntry]:
    """The entries of a log: the last `tail` lines, not older than `since`.

    With `follow` go on with what is appended, and wait for a file that is not there yet, until `ended()` says that the
    writer is gone and everything is read. Raises FileNotFoundError where there is no file and nothing to wait for.
    """
    while follow and not os.path.exists(path) and not ended():  # noqa: ASYNC110, ASYNC240, PTH110 (a quick look)
        await asyncio.sleep(FOLLOW_INTERVAL)
    with contextlib.closing(LogReader(path, tail, since)) as reader:
        async for entry in entries(reader, ended if follow else lambda: True):
            yield entry


async def entries(reader: LogReader, ended: Callable[[], bool]) -> AsyncIterator[LogEntry]:
    """What a reader finds, until `ended()` and everything is read. The place to begin is where the reader was made."""
    while True:
        last = ended()  # asked before reading: what was written before the end is then read
        for entry in reader.poll():
            yield entry
        if last:
            return
        await asyncio.sleep(FOLLOW_INTERVAL)


def _rfc3339(moment: datetime | str | None) -> str:
    """As the timestamps of a log are written, so that strings compare."""
    if moment is None:
        return ""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines of the program's output begin: parts belong to the line that they are parts of."""
    end = file.seek(0, os.SEEK_END)
    position, data = end, b""
    while position > 0:
        step = min(_BLOCK, position)
        position -= step
        file.seek(position)
        data = file.read(step) + data
        starts = _line_starts(data, whole=position == 0)
        if len(starts) > lines:
            return position + (starts[-lines] if lines else len(data))
    return 0 if lines else end


def _line_starts(data: bytes, *, whole: bool) -> list[int]:
    """Offsets in `data` at which a line of the program's output begins. Without the file's beginning the first entry
    may be cut, and whether the second one continues a line cannot be told: both are left out."""
    starts, offset, unfinished = [], 0, {b"stdout": False, b"stderr": False}
    for number, entry in enumerate(data.split(b"\n")):
        fields = entry.split(b" ", 3)
        if len(fields) == 4 and (whole or number > 0):
            if not unfinished[fields[1]]:
                starts.append(offset)
            unfinished[fields[1]] = fields[2] == b"P"
        offset += len(entry) + 1
    return starts if whole else starts[1:]
