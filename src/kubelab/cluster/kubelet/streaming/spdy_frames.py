"""SPDY/3.1's frames: to bytes and back, header blocks compressed with the protocol's dictionary.

Rules: https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/, sections 2.2 and 2.6. A frame has an eight
byte head: a control bit with version and type, or a stream's ID for data; then flags and a 24-bit length.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from enum import IntEnum

VERSION = 3
FIN = 0x01
MAX_FRAME = (1 << 24) - 1

# Section 2.6.10.1. The words come with their length before them, as in a header block; the tail does not.
_WORDS = (
    "options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,accept-language,accept-ranges,"
    "age,allow,authorization,cache-control,connection,content-base,content-encoding,content-language,"
    "content-length,content-location,content-md5,content-range,content-type,date,etag,expect,expires,from,host,"
    "if-match,if-modified-since,if-none-match,if-range,if-unmodified-since,last-modified,location,max-forwards,"
    "pragma,proxy-authenticate,proxy-authorization,range,referer,retry-after,server,te,trailer,"
    "transfer-encoding,upgrade,user-agent,vary,via,warning,www-authenticate,method,get,status,200 OK,version,"
    "HTTP/1.1,url,public,set-cookie,keep-alive,origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS.split(",")) + _TAIL.encode()


class FrameType(IntEnum):
    DATA = 0  # not a control type; the control bit tells it apart
    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class SpdyError(Exception):
    """The peer broke the protocol; the session cannot go on."""


@dataclass(frozen=True)
class Frame:
    """One frame. `number` is the stream's ID, a PING's ID, or GOAWAY's last good stream; `status` is RST_STREAM's and
    GOAWAY's code, and WINDOW_UPDATE's delta."""

    type: FrameType
    number: int = 0
    headers: dict[str, str] = field(default_factory=dict)  # lower-case name -> value
    data: bytes = b""
    status: int = 0
    fin: bool = False


class HeaderCodec:
    """The header blocks of one session. Compression goes on from block to block, so each direction has one state."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def encode(self, headers: dict[str, str]) -> bytes:
        block = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                block += struct.pack(">I", len(text)) + text
        return self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def decode(self, compressed: bytes) -> dict[str, str]:
        try:
            block = self._inflate.decompress(compressed)
            count, at = struct.unpack_from(">I", block)[0], 4
            texts = []
            for _ in range(2 * count):
                length = struct.unpack_from(">I", block, at)[0]
                texts.append(block[at + 4 : at + 4 + length].decode())
                at += 4 + length
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise SpdyError(f"bad header block: {error}") from error
        return dict(zip(texts[::2], texts[1::2], strict=True))


def encode(frame: Frame, codec: HeaderCodec) -> bytes:
    """A frame's bytes, head included."""
    flags = FIN if frame.fin else 0
    if frame.type is FrameType.DATA:
        return struct.pack(">II", frame.number, flags << 24 | len(frame.data)) + frame.data
    payload = struct.pack(">I", frame.number)
    if frame.type is FrameType.SYN_STREAM:
        payload += struct.pack(">IH", 0, 0)  # no associated stream; priority 0, slot 0
    if frame.type in (FrameType.SYN_STREAM, FrameType.SYN_REPLY, FrameType.HEADERS):
        payload += codec.encode(frame.headers)
    elif frame.type in (FrameType.RST_STREAM, FrameType.GOAWAY, FrameType.WINDOW_UPDATE):
        payload += struct.pack(">I", frame.status)
    return struct.pack(">HHI", 0x8000 | VERSION, frame.type, flags << 24 | len(payload)) + payload


def head(raw: bytes) -> tuple[int | None, int, int, int]:
    """Take the eight bytes of a frame's head apart: (control type or None for data, stream ID, flags, length)."""
    first, second = struct.unpack(">II", raw)
    flags, length = second >> 24, second & MAX_FRAME
    if not first & 0x80000000:
        return None, first, flags, length
    if (version := first >> 16 & 0x7FFF) != VERSION:
        raise SpdyError(f"SPDY version {version} is not served, version {VERSION} is")
    return first & 0xFFFF, 0, flags, length


def decode(kind: int | None, stream: int, flags: int, payload: bytes, codec: HeaderCodec) -> Frame | None:
    """The frame behind a head. None for a control type that this version does not know: it is to be ignored."""
    fin = bool(flags & FIN)
    if kind is None:
        return Frame(FrameType.DATA, stream, data=payload, fin=fin)
    if kind not in FrameType._value2member_map_ or kind == FrameType.DATA:
        return None
    kind = FrameType(kind)
    if kind is FrameType.SETTINGS:
        return Frame(kind)
    try:
        number = struct.unpack_from(">I", payload)[0] & (0xFFFFFFFF if kind is FrameType.PING else 0x7FFFFFFF)
        if kind is FrameType.SYN_STREAM:
            return Frame(kind, number, headers=codec.decode(payload[10:]), fin=fin)
        if kind in (FrameType.SYN_REPLY, FrameType.HEADERS):
            return Frame(kind, number, headers=codec.decode(payload[4:]), fin=fin)
        if kind is FrameType.PING:
            return Frame(kind, number)
        return Frame(kind, number, status=struct.unpack_from(">I", payload, 4)[0])
    except struct.error as error:
        raise SpdyError(f"short {kind.name} frame") from error
