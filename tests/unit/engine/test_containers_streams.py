"""Frames, detach keys, durations: the small parts of attach, logs and ps."""

import asyncio

import pytest

from kubelab.engine.attach import Detached, detach_keys, typed
from kubelab.engine.containers_logs import frame, moment
from kubelab.engine.containers_run import exit_code_of
from kubelab.engine.containers_view import human_duration
from kubelab.engine.errors import DockerError


def test_a_frame_is_docker_stdcopys():
    assert frame("stdout", b"hi") == b"\x01\0\0\0\0\0\0\x02hi"
    assert frame("stderr", b"") == b"\x02\0\0\0\0\0\0\0"


def test_detach_keys_are_read():
    assert detach_keys("ctrl-p,ctrl-q") == b"\x10\x11"
    assert detach_keys("ctrl-a,a,b") == b"\x01ab"
    for bad in ("ctrl-", "ctrl-1", "ab", ""):
        with pytest.raises(DockerError, match="Invalid escape keys"):
            detach_keys(bad)


async def collect(*pieces: bytes) -> tuple[bytes, bool]:
    """What passes of what a client types piece by piece, and whether it has detached."""
    reader, passed = asyncio.StreamReader(), b""

    async def feed() -> None:
        for piece in pieces:
            reader.feed_data(piece)
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding = asyncio.create_task(feed())
    try:
        async for data in typed(reader, b"\x10\x11"):
            passed += data
    except Detached:
        return passed, True
    finally:
        await feeding
    return passed, False


@pytest.mark.parametrize(
    ("pieces", "passed", "detached"),
    [
        ((b"ls\n",), b"ls\n", False),
        ((b"ls\x10\x11more",), b"ls", True),
        ((b"a\x10", b"\x11"), b"a", True),
        ((b"a\x10", b"b"), b"a\x10b", False),
        ((b"\x10", b"\x10", b"\x11"), b"\x10", True),
    ],
    ids=["plain", "at once", "in two pieces", "not the keys", "begun twice"],
)
async def test_detach_keys_are_seen_between_what_is_typed(pieces: tuple[bytes, ...], passed: bytes, detached: bool):
    assert await collect(*pieces) == (passed, detached)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (3600 * 5, "5 hours"),
        (86400 * 3, "3 days"),
        (86400 * 20, "2 weeks"),
        (86400 * 90, "3 months"),
        (86400 * 800, "2 years"),
    ],
)
def test_durations_are_dockers(seconds: float, words: str):
    assert human_duration(seconds) == words


def test_times_of_a_query():
    assert moment("1700000000.5").isoformat() == "2023-11-14T22:13:20.500000+00:00"
    assert moment("2023-11-14T22:13:20Z").timestamp() == 1700000000
    assert moment("0") is None
    with pytest.raises(DockerError, match="failed to parse value as time"):
        moment("yesterday")


def test_exit_codes_of_failed_starts():
    assert exit_code_of('exec: "x": executable file not found in $PATH') == 127
    assert exit_code_of('exec: "/etc": permission denied') == 126
    assert exit_code_of("something else") == 128
