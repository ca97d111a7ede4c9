"""The records of https://github.com/kubernetes/dns/blob/master/docs/specification.md."""

from __future__ import annotations

from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from kubelab.cluster.dns.resolver import Resolver, nameservers
from kubelab.cluster.dns.zone import Zone

Object = dict[str, Any]


class Objects:
    def __init__(self, *objects: Object) -> None:
        self._objects = objects

    def get(self, namespace: str | None, name: str) -> Object | None:
        wanted = (namespace or "", name)
        return next(
            (o for o in self._objects if (o["metadata"].get("namespace", ""), o["metadata"]["name"]) == wanted), None
        )

    def list(self, namespace: str | None = None) -> list[Object]:
        return [o for o in self._objects if namespace in (None, o["metadata"].get("namespace"))]


def service(name: str, ip: str = "10.96.0.20", ports: tuple[Object, ...] = (), **spec: Any) -> Object:
    ports = ports or ({"name": "http", "port": 80, "protocol": "TCP"},)
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"clusterIP": ip, "ports": list(ports), **spec}}


def endpoints(name: str, *addresses: Object) -> Object:
    return {
        "metadata": {"name": f"{name}-abc", "namespace": "ns", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": list(addresses),
    }


def address(ip: str, ready: bool = True, **more: Any) -> Object:
    return {"addresses": [ip], "conditions": {"ready": ready}, **more}


SERVICES = Objects(
    service("web", ports=({"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"})),
    service("db", "None"),
    service("empty", "None"),
    service("out", "", type="ExternalName", externalName="foo.example.com"),
    service("alias", "", type="ExternalName", externalName="web.ns.svc.cluster.local"),
)
SLICES = Objects(
    endpoints("db", address("10.244.1.5", hostname="db-0"), address("10.244.2.6"), address("10.244.2.7", ready=False)),
    endpoints("web", address("10.244.1.9")),
)
NAMESPACES = Objects({"metadata": {"name": "ns"}}, {"metadata": {"name": "bare"}})
ZONE = Zone("cluster.local", "10.96.0.10", SERVICES, SLICES, NAMESPACES)


def look(name: str, kind: str = "A") -> set[str] | str:
    answer = ZONE.lookup(name, kind)
    if answer is None:
        return "not ours"
    if not answer.exists:
        return "NXDOMAIN"
    return {f"{r.kind} {r.value}" for r in answer.records} or "NODATA"


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("web.ns.svc.cluster.local", "A", {"A 10.96.0.20"}),
        ("web.ns.svc.cluster.local", "AAAA", "NODATA"),
        ("nobody.ns.svc.cluster.local", "A", "NXDOMAIN"),
        ("web.nowhere.svc.cluster.local", "A", "NXDOMAIN"),
        ("ns.svc.cluster.local", "A", "NODATA"),
        ("nowhere.svc.cluster.local", "A", "NXDOMAIN"),
        ("svc.cluster.local", "A", "NODATA"),
        ("cluster.local", "A", "NODATA"),
        ("other.cluster.local", "A", "NXDOMAIN"),
        ("dns-version.cluster.local", "TXT", {'TXT "1.1.0"'}),
        ("ns.dns.cluster.local", "A", {"A 10.96.0.10"}),
        ("_http._tcp.web.ns.svc.cluster.local", "SRV", {"SRV 0 100 80 web.ns.svc.cluster.local."}),
        ("_dns._udp.web.ns.svc.cluster.local", "SRV", {"SRV 0 100 53 web.ns.svc.cluster.local."}),
        ("_http._udp.web.ns.svc.cluster.local", "SRV", "NXDOMAIN"),
        ("_http._tcp.web.ns.svc.cluster.local", "A", {"A 10.96.0.20"}),
        ("db.ns.svc.cluster.local", "A", {"A 10.244.1.5", "A 10.244.2.6"}),
        ("db-0.db.ns.svc.cluster.local", "A", {"A 10.244.1.5"}),
        ("10-244-2-6.db.ns.svc.cluster.local", "A", {"A 10.244.2.6"}),
        ("10-244-2-7.db.ns.svc.cluster.local", "A", "NXDOMAIN"),
        (
            "_http._tcp.db.ns.svc.cluster.local",
            "SRV",
            {"SRV 0 50 8080 db-0.db.ns.svc.cluster.local.", "SRV 0 50 8080 10-244-2-6.db.ns.svc.cluster.local."},
        ),
        ("empty.ns.svc.cluster.local", "A", "NXDOMAIN"),
        ("out.ns.svc.cluster.local", "A", {"CNAME foo.example.com."}),
        ("out.ns.svc.cluster.local", "CNAME", {"CNAME foo.example.com."}),
        ("10-244-1-5.ns.pod.cluster.local", "A", {"A 10.244.1.5"}),
        ("10-244-1-5.nowhere.pod.cluster.local", "A", "NXDOMAIN"),
        ("10-244-1.ns.pod.cluster.local", "A", "NXDOMAIN"),
        ("ns.pod.cluster.local", "A", "NODATA"),
        ("20.0.96.10.in-addr.arpa", "PTR", {"PTR web.ns.svc.cluster.local."}),
        ("5.1.244.10.in-addr.arpa", "PTR", {"PTR db-0.db.ns.svc.cluster.local."}),
        ("6.2.244.10.in-addr.arpa", "PTR", {"PTR 10-244-2-6.db.ns.svc.cluster.local."}),
        ("8.8.8.8.in-addr.arpa", "PTR", "not ours"),
        ("example.com", "A", "not ours"),
        ("notcluster.local", "A", "not ours"),
    ],
)
def test_records(name: str, kind: str, found: set[str] | str) -> None:
    assert look(name, kind) == found


def test_a_port_brings_the_addresses_of_its_targets() -> None:
    answer = ZONE.lookup("_http._tcp.db.ns.svc.cluster.local", "SRV")
    assert answer is not None
    assert {(r.name.partition(".")[0], r.value) for r in answer.additional} == {
        ("db-0", "10.244.1.5"),
        ("10-244-2-6", "10.244.2.6"),
    }


async def ask(name: str, kind: str = "A", *, udp: bool = True) -> dns.message.Message:
    answer = await Resolver(ZONE, []).answer(dns.message.make_query(name, kind).to_wire(), udp=udp)
    assert answer is not None
    return dns.message.from_wire(answer)


async def test_a_negative_answer_carries_the_soa() -> None:
    answer = await ask("nobody.ns.svc.cluster.local")
    assert (answer.rcode(), str(answer.authority[0].name)) == (dns.rcode.NXDOMAIN, "cluster.local.")
    assert answer.flags & dns.flags.AA


async def test_the_name_is_given_back_as_it_was_asked() -> None:
    answer = await ask("Web.NS.svc.cluster.local")
    assert answer.answer[0].to_text() == "Web.NS.svc.cluster.local. 30 IN A 10.96.0.20"


async def test_an_external_name_that_is_in_the_cluster_is_followed() -> None:
    answer = await ask("alias.ns.svc.cluster.local")
    assert [rrset.to_text().split(" ", 1)[1] for rrset in answer.answer] == [
        "30 IN CNAME web.ns.svc.cluster.local.",
        "30 IN A 10.96.0.20",
    ]


async def test_outside_without_a_resolver() -> None:
    assert (await ask("example.com")).rcode() == dns.rcode.SERVFAIL


async def test_an_answer_too_long_for_a_datagram_is_cut_and_says_so() -> None:
    many = Zone(
        "cluster.local",
        "10.96.0.10",
        SERVICES,
        Objects(endpoints("db", *(address(f"10.244.1.{n}") for n in range(100)))),
        NAMESPACES,
    )
    query = dns.message.make_query("db.ns.svc.cluster.local", "A").to_wire()
    short = await Resolver(many, []).answer(query, udp=True)
    whole = await Resolver(many, []).answer(query, udp=False)
    assert short is not None and whole is not None
    assert dns.message.from_wire(short).flags & dns.flags.TC and len(short) <= 512
    assert len(dns.message.from_wire(whole).answer[0]) == 100


async def test_what_is_no_query() -> None:
    resolver = Resolver(ZONE, [])
    assert await resolver.answer(b"", udp=True) is None
    broken = await resolver.answer(b"ab\1\0\0\1\0\0\0\0\0\0\xff", udp=True)
    assert broken is not None and broken[:2] == b"ab" and broken[3] & 0xF == dns.rcode.FORMERR
    answer = dns.message.make_response(dns.message.make_query("x.", "A")).to_wire()
    assert await resolver.answer(answer, udp=True) is None


def test_nameservers(tmp_path: Any) -> None:
    (tmp_path / "resolv.conf").write_text("# mine\nnameserver 1.2.3.4\nsearch a b\nnameserver\nnameserver ::1\n")
    assert nameservers(tmp_path / "resolv.conf") == ["1.2.3.4", "::1"]
    assert nameservers(tmp_path / "absent") == []
