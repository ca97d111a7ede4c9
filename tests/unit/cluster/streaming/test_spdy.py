"""The SPDY/3.1 session: frames, header compression, streams, and what happens when a side goes."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster.kubelet.streaming import spdy_frames
from kubelab.cluster.kubelet.streaming.spdy import MAX_WAITING, SpdySession, SpdyStream
from kubelab.cluster.kubelet.streaming.spdy_frames import Frame, FrameType, HeaderCodec, SpdyError

DEADLINE = 5.0

names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50)


def pipe() -> tuple[asyncio.StreamReader, asyncio.StreamReader]:
    return asyncio.StreamReader(), asyncio.StreamReader()


@asynccontextmanager
async def sessions() -> AsyncIterator[tuple[SpdySession, SpdySession]]:
    """A client and a server, joined in memory."""
    to_server, to_client = pipe()

    def sender(reader: asyncio.StreamReader):
        async def send(data: bytes) -> None:
            reader.feed_data(data)

        return send

    async with (
        asyncio.timeout(DEADLINE),
        SpdySession(to_client.readexactly, sender(to_server), server=False) as client,
        SpdySession(to_server.readexactly, sender(to_client), server=True) as server,
    ):
        yield client, server


async def opened(client: SpdySession, server: SpdySession, headers: dict[str, str]) -> tuple[SpdyStream, SpdyStream]:
    opening = asyncio.create_task(client.open(headers))
    theirs = await server.accept()
    assert theirs is not None
    await server.reply(theirs)
    return await opening, theirs


def test_the_dictionary_is_the_protocols() -> None:
    # zlib's header names the dictionary by this checksum; spdystream's compressed blocks begin with 78 bb e3 c6 a7 c2.
    assert len(spdy_frames.DICTIONARY) == 1423
    assert zlib.adler32(spdy_frames.DICTIONARY) == 0xE3C6A7C2
    assert HeaderCodec().encode({}).startswith(bytes.fromhex("78bbe3c6a7c2"))


@given(st.lists(st.dictionaries(names, values, max_size=5), min_size=1, max_size=4))
def test_header_blocks_come_back_in_order(blocks: list[dict[str, str]]) -> None:
    sender, receiver = HeaderCodec(), HeaderCodec()
    assert [receiver.decode(sender.encode(block)) for block in blocks] == blocks


@pytest.mark.parametrize(
    "frame",
    [
        Frame(FrameType.SYN_STREAM, 1, headers={"streamtype": "stdin"}, fin=True),
        Frame(FrameType.SYN_REPLY, 1, headers={}),
        Frame(FrameType.DATA, 3, data=b"hello", fin=True),
        Frame(FrameType.RST_STREAM, 3, status=5),
        Frame(FrameType.PING, 0xFFFFFFFF),
        Frame(FrameType.GOAWAY, 7),
        Frame(FrameType.WINDOW_UPDATE, 1, status=65536),
    ],
    ids=lambda frame: frame.type.name,
)
def test_frames_come_back(frame: Frame) -> None:
    raw = spdy_frames.encode(frame, HeaderCodec())
    kind, stream, flags, length = spdy_frames.head(raw[:8])
    assert length == len(raw) - 8
    assert spdy_frames.decode(kind, stream, flags, raw[8:], HeaderCodec()) == frame


def test_a_frame_of_another_version_is_refused() -> None:
    with pytest.raises(SpdyError, match="version 2"):
        spdy_frames.head(bytes.fromhex("8002000600000004"))


def test_an_unknown_control_frame_is_ignored() -> None:
    assert spdy_frames.decode(77, 0, 0, b"whatever", HeaderCodec()) is None


async def test_a_stream_carries_bytes_both_ways_and_half_closes() -> None:
    async with sessions() as (client, server):
        ours, theirs = await opened(client, server, {"streamType": "data", "port": "80"})
        assert theirs.headers == {"streamtype": "data", "port": "80"}
        await ours.write(b"question")
        await ours.close()
        assert await theirs.read() == b"question"
        assert await theirs.read() == b""
        await theirs.write(b"answer")
        await theirs.close()
        assert await ours.read() == b"answer"
        assert await ours.read() == b""
        with pytest.raises(ConnectionResetError):
            await ours.write(b"too late")


async def test_a_refused_stream_raises_at_the_opener() -> None:
    async with sessions() as (client, server):
        opening = asyncio.create_task(client.open({}))
        theirs = await server.accept()
        assert theirs is not None
        await theirs.reset()
        with pytest.raises(ConnectionResetError):
            await opening


async def test_the_end_of_a_session_ends_its_streams() -> None:
    async with sessions() as (client, server):
        _, theirs = await opened(client, server, {})
        await client.send(Frame(FrameType.GOAWAY))
        assert await theirs.read() == b""
        assert await server.accept() is None
        assert server.closed.is_set()


async def test_pings_are_answered_and_answers_are_not() -> None:
    to_server, sent = asyncio.StreamReader(), asyncio.Queue[bytes]()
    async with asyncio.timeout(DEADLINE), SpdySession(to_server.readexactly, sent.put, server=True):
        for number in (2, 7):  # an answer to a ping of the server's own, and a ping of the client's
            to_server.feed_data(spdy_frames.encode(Frame(FrameType.PING, number), HeaderCodec()))
        assert await sent.get() == spdy_frames.encode(Frame(FrameType.PING, 7), HeaderCodec())
        assert sent.empty()


async def test_a_stream_that_nobody_reads_slows_the_peer_and_can_be_given_up() -> None:
    async with sessions() as (client, server):
        slow, slow_there = await opened(client, server, {"streamtype": "data"})
        quick, quick_there = await opened(client, server, {"streamtype": "data"})
        await slow.write(b"x" * (MAX_WAITING + 100_000))
        await quick.write(b"quick")
        reading = asyncio.create_task(quick_there.read())
        done, _ = await asyncio.wait({reading}, timeout=0.05)
        assert not done  # held up behind the slow stream
        slow_there.ignore()
        assert await reading == b"quick"


async def test_data_for_an_unknown_stream_is_answered_by_a_reset() -> None:
    to_server, sent = asyncio.StreamReader(), asyncio.Queue[bytes]()
    async with asyncio.timeout(DEADLINE), SpdySession(to_server.readexactly, sent.put, server=True):
        to_server.feed_data(spdy_frames.encode(Frame(FrameType.DATA, 9, data=b"?"), HeaderCodec()))
        assert await sent.get() == spdy_frames.encode(Frame(FrameType.RST_STREAM, 9, status=2), HeaderCodec())
