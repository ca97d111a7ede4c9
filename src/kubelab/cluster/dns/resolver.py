"""Answers to DNS questions, as messages: from the cluster's zone, or from the resolvers of the host.

Upstream: CoreDNS with kubeadm's Corefile: `kubernetes cluster.local in-addr.arpa` with fallthrough, then
`forward . /etc/resolv.conf`. dnspython reads and writes the wire format.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from kubelab.cluster.dns.zone import Answer, Record, Zone

log = logging.getLogger(__name__)

TTL = 30  # seconds, kubeadm's
PORT = 53
UDP_SIZE = 512  # bytes that an answer by UDP has at most where the question does not say more (RFC 1035, RFC 6891)
FORWARD_TIMEOUT = 5.0  # seconds for each resolver, as CoreDNS' forward
MAX_ALIASES = 7


def nameservers(path: Path) -> list[str]:
    """The resolvers that a resolv.conf(5) names; none where it cannot be read."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [words[1] for words in fields if len(words) > 1 and words[0] == "nameserver"]


class Resolver:
    """`upstream` are the addresses of the resolvers to ask for everything outside the cluster."""

    def __init__(self, zone: Zone, upstream: Sequence[str]) -> None:
        self._zone, self._upstream = zone, list(upstream)

    async def answer(self, wire: bytes, *, udp: bool) -> bytes | None:
        """The answer to a query; None for what is no query at all."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException as error:
            log.debug("not a DNS query: %s", error)
            return _format_error(wire)
        if query.flags & dns.flags.QR:
            return None
        try:
            response = await self._respond(query)
        except dns.exception.DNSException as error:
            log.warning("query %s: %s", query.question, error)
            response = _empty(query, dns.rcode.SERVFAIL)
        return _fit(query, response, udp=udp)

    async def _respond(self, query: dns.message.Message) -> dns.message.Message:
        if query.opcode() != dns.opcode.QUERY:
            return _empty(query, dns.rcode.NOTIMP)
        if len(query.question) != 1:
            return _empty(query, dns.rcode.FORMERR)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        answer = self._zone.lookup(question.name.to_text(omit_final_dot=True).lower(), kind)
        if answer is None or question.rdclass != dns.rdataclass.IN:
            return await self._forward(query)
        return await self._authoritative(query, answer, kind)

    async def _authoritative(self, query: dns.message.Message, answer: Answer, kind: str) -> dns.message.Message:
        response = _empty(query, dns.rcode.NOERROR if answer.exists else dns.rcode.NXDOMAIN)
        response.flags |= dns.flags.AA
        response.answer = _rrsets(answer.records, query.question[0].name)
        response.additional = _rrsets(answer.additional)
        if not answer.records:
            response.authority = _rrsets([self._zone.soa])
        elif answer.records[0].kind == "CNAME" and kind != "CNAME":
            response.answer += await self._follow(answer.records[0].value, kind)
        return response

    async def _follow(self, alias: str, kind: str, depth: int = 0) -> list[dns.rrset.RRset]:
        """The records that the target of an ExternalName service has, in the cluster or outside."""
        answer = self._zone.lookup(alias.rstrip(".").lower(), kind)
        if answer is None:
            return (await self._forward(dns.message.make_query(alias, kind))).answer
        found = _rrsets(answer.records)
        if answer.records and answer.records[0].kind == "CNAME" and depth < MAX_ALIASES:
            found += await self._follow(answer.records[0].value, kind, depth + 1)
        return found

    # -- outside

    async def _forward(self, query: dns.message.Message) -> dns.message.Message:
        """What the first of the host's resolvers says that answers, by UDP and where that is too short by TCP."""
        for address in self._upstream:
            try:
                return await _ask(address, query)
            except (OSError, TimeoutError, EOFError, dns.exception.DNSException) as error:
                log.debug("resolver %s: %s", address, error)
        return _empty(query, dns.rcode.SERVFAIL)


async def _ask(address: str, query: dns.message.Message) -> dns.message.Message:
    wire = query.to_wire()
    async with asyncio.timeout(FORWARD_TIMEOUT):
        response = dns.message.from_wire(await _ask_udp(address, wire), ignore_trailing=True)
        if response.flags & dns.flags.TC:
            response = dns.message.from_wire(await _ask_tcp(address, wire))
    response.id = query.id
    return response


class _Question(asyncio.DatagramProtocol):
    """One datagram out, one back with the same ID."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.sendto(self._wire)  # type: ignore[attr-defined]

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data[:2] == self._wire[:2] and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _ask_udp(address: str, wire: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Question(wire), remote_addr=(address, PORT))
    try:
        return await protocol.answer
    finally:
        transport.close()


async def _ask_tcp(address: str, wire: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address, PORT)
    try:
        writer.write(len(wire).to_bytes(2) + wire)
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
    finally:
        writer.close()


# -- messages


def _empty(query: dns.message.Message, code: dns.rcode.Rcode) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True)
    response.set_rcode(code)
    return response


def _format_error(wire: bytes) -> bytes | None:
    """To a query that cannot be read: its ID, and FORMERR."""
    if len(wire) < 12 or wire[2] & 0x80:
        return None
    return wire[:2] + bytes([0x80 | (wire[2] & 0x79), dns.rcode.FORMERR]) + bytes(8)


def _rrsets(records: Iterable[Record], asked: dns.name.Name | None = None) -> list[dns.rrset.RRset]:
    """Records by name and type, in random order (CoreDNS' loadbalance). `asked` is how the question wrote the name."""
    sets: dict[tuple[str, str], list[str]] = {}
    for record in records:
        sets.setdefault((record.name, record.kind), []).append(record.value)
    made = []
    for (name, kind), values in sets.items():
        random.shuffle(values)
        owner = dns.name.from_text(f"{name}.")
        owner = asked if asked == owner else owner  # names compare without regard to case
        made.append(dns.rrset.from_text_list(owner, TTL, "IN", kind, values))
    return made


def _fit(query: dns.message.Message, response: dns.message.Message, *, udp: bool) -> bytes:
    """On the wire; an answer too long for a datagram is cut and says so, so that the client comes again by TCP."""
    if not udp:
        return response.to_wire(max_size=65535)
    limit = max(UDP_SIZE, query.payload if query.edns >= 0 else 0)
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer, response.authority, response.additional = [], [], []
        response.flags |= dns.flags.TC
        return response.to_wire(max_size=limit)
