"""CRI's log format: what is written is read back, from any place, by followers too."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.runtime import logs
from kubelab.runtime.logs import MAX_LINE, LogReader, LogWriter, parse, read

LINES = [
    b"2026-01-01T00:00:01.000000000Z stdout F one",
    b"2026-01-01T00:00:02.000000000Z stderr P part ",
    b"2026-01-01T00:00:03.000000000Z stdout F two",
    b"2026-01-01T00:00:04.000000000Z stderr F whole",
    b"2026-01-01T00:00:05.000000000Z stdout F three",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    path.write_bytes(b"".join(line + b"\n" for line in LINES))
    return path


async def entries(path: Path, **options: object) -> list[bytes]:
    return [entry.data async for entry in read(path, **options)]


def test_a_line_is_upstreams() -> None:
    entry = parse(b"2016-10-06T00:17:09.669794202Z stdout F The content  of the log entry 1")
    assert entry == ("2016-10-06T00:17:09.669794202Z", "stdout", b"The content  of the log entry 1\n", False)
    assert parse(b"2016-10-06T00:17:09.669794202Z stderr P:X part") == (
        "2016-10-06T00:17:09.669794202Z",
        "stderr",
        b"part",
        True,
    )


@pytest.mark.parametrize("line", [b"", b"no log", b"2016-10-06T00:17:09.669794202Z stdout"])
def test_another_format_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not enough values"):
        parse(line)


@given(st.lists(st.binary(max_size=3 * MAX_LINE), max_size=5))
def test_the_bytes_come_back_whatever_the_pieces(pieces: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        writer = LogWriter(str(path))
        for piece in pieces:
            writer.write("stdout", piece)
        writer.flush()
        data = asyncio.run(entries(path))
        assert b"".join(data) == b"".join(pieces)
        assert all(len(entry) <= MAX_LINE + 1 for entry in data)


async def test_tail_counts_lines_not_parts(file: Path) -> None:
    assert await entries(file, tail=1) == [b"three\n"]
    assert await entries(file, tail=2) == [b"two\n", b"whole\n", b"three\n"]  # "whole" ends an older line
    assert await entries(file, tail=0) == []
    assert await entries(file, tail=99) == [b"one\n", b"part ", b"two\n", b"whole\n", b"three\n"]


async def test_tail_reads_long_files_from_their_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = LogWriter(str(path))
    writer.write("stdout", b"".join(b"line %d %s\n" % (number, b"x" * 100) for number in range(5000)))
    assert [each.split()[1] for each in await entries(path, tail=3)] == [b"4997", b"4998", b"4999"]


async def test_since_leaves_out_what_is_older(file: Path) -> None:
    assert await entries(file, since="2026-01-01T00:00:04Z") == [b"whole\n", b"three\n"]


async def test_a_follower_gets_what_is_appended_until_the_end(tmp_path: Path) -> None:
    path, ended, seen = tmp_path / "log", asyncio.Event(), []
    first = asyncio.Event()

    async def follow() -> None:
        async for entry in read(path, follow=True, ended=ended.is_set):
            seen.append(entry.data)
            first.set()

    task = asyncio.create_task(follow())
    writer = LogWriter(str(path))
    writer.write("stdout", b"first\n")
    await asyncio.wait_for(first.wait(), 10)
    writer.write("stdout", b"last\n")
    ended.set()
    await asyncio.wait_for(task, 10)
    assert seen == [b"first\n", b"last\n"]


async def test_without_a_file_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await entries(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        await entries(tmp_path / "none", follow=True, ended=lambda: True)


def test_timestamps_have_nine_decimals_and_compare_as_strings() -> None:
    assert logs.timestamp(1_475_713_029_669_794_202) == "2016-10-06T00:17:09.669794202Z"
    assert logs.timestamp(1) < logs.timestamp(10) < logs.timestamp(10**18)


def write_rotated(path, lines: int, files: int) -> None:
    writer = LogWriter(str(path), max_bytes=100, max_files=files)
    for number in range(lines):
        writer.write("stdout", f"{number}\n".encode())


@pytest.mark.parametrize("files", [1, 2, 3])
def test_a_full_log_is_put_aside_and_the_oldest_goes(tmp_path, files: int):
    path = tmp_path / "log"
    write_rotated(path, 20, files)
    assert len(list(tmp_path.iterdir())) == files
    assert all(100 <= each.stat().st_size < 200 for each in tmp_path.glob("log.*"))


async def test_rotated_logs_are_read_as_one(tmp_path):
    path = tmp_path / "log"
    write_rotated(path, 20, 100)
    assert [entry.data async for entry in read(path)] == [f"{number}\n".encode() for number in range(20)]
    for tail in (0, 1, 5, 13, 20, 30):
        expected = [f"{number}\n".encode() for number in range(20)][20 - min(tail, 20) :]
        assert [entry.data async for entry in read(path, tail=tail)] == expected


def test_a_reader_follows_through_several_rotations(tmp_path):
    path = tmp_path / "log"
    writer = LogWriter(str(path), max_bytes=100, max_files=100)
    writer.write("stdout", b"first\n")
    reader = LogReader(path, 0, None)
    for number in range(20):
        writer.write("stdout", f"{number}\n".encode())
    assert [entry.data for entry in reader.poll()] == [f"{number}\n".encode() for number in range(20)]
    reader.close()
