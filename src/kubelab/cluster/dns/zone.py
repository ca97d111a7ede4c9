"""Which records the cluster's domain has: services, their endpoints, pods by address.

Upstream: https://github.com/kubernetes/dns/blob/master/docs/specification.md (version 1.1.0), and where it leaves room
what CoreDNS does as kubeadm configures it (plugin/kubernetes/kubernetes.go: `pods insecure`, `ttl 30`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Object = dict[str, Any]
SCHEMA_VERSION = "1.1.0"
SERVICE_NAME = "kubernetes.io/service-name"
WEIGHT = 100  # of all SRV records of one answer together


@dataclass(frozen=True)
class Record:
    name: str  # absolute, without the last dot
    kind: str  # "A", "SRV", "PTR", "CNAME", "TXT", "NS", "SOA"
    value: str  # as a zone file has it


@dataclass(frozen=True)
class Answer:
    """`exists` without records is NODATA: the name is there, with records of other types or of names below it."""

    exists: bool
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


NOTHING, NODATA = Answer(False), Answer(True)


@dataclass(frozen=True)
class Target:
    """Where a service's name, or a port of it, leads."""

    name: str
    ip: str
    port: int


class Objects(Protocol):
    """The part of an informer that is read here."""

    def get(self, namespace: str | None, name: str) -> Object | None: ...
    def list(self, namespace: str | None = None) -> list[Object]: ...


class Zone:
    def __init__(self, domain: str, address: str, services: Objects, slices: Objects, namespaces: Objects) -> None:
        """`domain` is the cluster's ("cluster.local"), `address` this server's own."""
        self.domain, self._address = domain, address
        self._services, self._slices, self._namespaces = services, slices, namespaces

    @property
    def soa(self) -> Record:
        """What a negative answer carries (RFC 2308); TTL and minimum are 30 s, CoreDNS' other numbers with them."""
        text = f"ns.dns.{self.domain}. hostmaster.{self.domain}. 1 7200 1800 86400 30"
        return Record(self.domain, "SOA", text)

    def lookup(self, name: str, kind: str) -> Answer | None:
        """`name` is absolute, in lower case and without its last dot. None where it is not the cluster's to answer."""
        if name.endswith(".in-addr.arpa"):
            return self._reverse(name, kind)
        if name != self.domain and not name.endswith(f".{self.domain}"):
            return None
        labels = name.removesuffix(self.domain).rstrip(".").split(".")
        match [label for label in labels if label]:
            case []:
                return self._apex(kind)
            case ["dns-version"]:
                return _of_kind([Record(name, "TXT", f'"{SCHEMA_VERSION}"')], kind)
            case ["dns"]:
                return NODATA
            case ["ns", "dns"]:
                return _of_kind([Record(name, "A", self._address)], kind)
            case [*rest, "svc"]:
                return self._service_name(name, rest, kind)
            case [*rest, "pod"]:
                return self._pod_name(name, rest, kind)
        return NOTHING

    def _apex(self, kind: str) -> Answer:
        return _of_kind([self.soa, Record(self.domain, "NS", f"ns.dns.{self.domain}.")], kind)

    # -- services

    def _service_name(self, name: str, labels: list[str], kind: str) -> Answer:
        """`labels` come before `svc`: [_port, _protocol, service, namespace], or less of it from the right."""
        if not labels:
            return NODATA
        *rest, namespace = labels
        if self._namespaces.get("", namespace) is None:
            return NOTHING
        if not rest:
            return NODATA
        *rest, service_name = rest
        service = self._services.get(namespace, service_name)
        if service is None:
            return NOTHING
        if service["spec"].get("type") == "ExternalName":
            return _external(name, service) if not rest else NOTHING
        match rest:
            case []:
                targets = self._targets(service)
            case [endpoint] if not endpoint.startswith("_"):
                targets = [t for t in self._endpoints(service) if t.name.partition(".")[0] == endpoint]
            case [port, protocol] if port.startswith("_") and protocol.startswith("_"):
                return self._port_name(name, service, port[1:], protocol[1:], kind)
            case [protocol] if protocol in ("_tcp", "_udp", "_sctp"):
                return NODATA if list(self._targets(service, "", protocol[1:])) else NOTHING
            case _:
                return NOTHING
        return _answer(name, list(targets), kind)

    def _port_name(self, name: str, service: Object, port: str, protocol: str, kind: str) -> Answer:
        targets = list(self._targets(service, port, protocol))
        return _answer(name, targets, kind) if targets else NOTHING

    def _targets(self, service: Object, port: str = "", protocol: str = "") -> Iterator[Target]:
        """One for each port (of that name and protocol, where given): the cluster IP's, or each endpoint's."""
        spec = service["spec"]
        if spec.get("clusterIP", "None") in ("", "None"):
            yield from self._endpoints(service, port, protocol)
            return
        for each in spec.get("ports") or []:
            if _matches(each, port, protocol):
                yield Target(self.name_of(service), spec["clusterIP"], each["port"])

    def _endpoints(self, service: Object, port: str = "", protocol: str = "") -> Iterator[Target]:
        """The ready endpoints; of a service that publishes them before, the controller has marked all as ready."""
        domain = self.name_of(service)
        for endpoints, each in self._ready(service["metadata"]["namespace"], service["metadata"]["name"]):
            ports = [p for p in endpoints.get("ports") or [] if _matches(p, port, protocol)]
            # A headless service may have no ports; its endpoints have addresses all the same.
            for number in [p.get("port") or 0 for p in ports] or ([0] if not port and not protocol else []):
                for ip in each["addresses"]:
                    yield Target(f"{_host(each, ip)}.{domain}", ip, number)

    def _ready(self, namespace: str, name: str) -> Iterator[tuple[Object, Object]]:
        for endpoints in self._slices.list(namespace):
            labels = endpoints["metadata"].get("labels") or {}
            if labels.get(SERVICE_NAME) != name or endpoints.get("addressType") != "IPv4":
                continue
            for each in endpoints.get("endpoints") or []:
                if (each.get("conditions") or {}).get("ready") is not False:
                    yield endpoints, each

    def name_of(self, service: Object) -> str:
        return f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.{self.domain}"

    # -- pods and addresses

    def _pod_name(self, name: str, labels: list[str], kind: str) -> Answer:
        """`a-b-c-d.namespace.pod` is the address a.b.c.d: any that can be written so, whether there is a pod or not."""
        if not labels:
            return NODATA
        *rest, namespace = labels
        if self._namespaces.get("", namespace) is None:
            return NOTHING
        if not rest:
            return NODATA
        ip = rest[-1].replace("-", ".")
        if len(rest) > 1 or not _is_ipv4(ip):
            return NOTHING
        return _of_kind([Record(name, "A", ip)], kind)

    def _reverse(self, name: str, kind: str) -> Answer | None:
        """Names of a cluster IP or an endpoint; other addresses are for the resolvers outside to name."""
        ip = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
        if not _is_ipv4(ip):
            return None
        names = [self.name_of(s) for s in self._services.list() if s["spec"].get("clusterIP") == ip]
        names = names or list(dict.fromkeys(self._endpoint_names(ip)))
        return _of_kind([Record(name, "PTR", f"{each}.") for each in names], kind) if names else None

    def _endpoint_names(self, ip: str) -> Iterator[str]:
        for service in self._services.list():
            for _, each in self._ready(service["metadata"]["namespace"], service["metadata"]["name"]):
                if ip in each["addresses"]:
                    yield f"{_host(each, ip)}.{self.name_of(service)}"


def _matches(port: Object, name: str, protocol: str) -> bool:
    return name in ("", (port.get("name") or "").lower()) and protocol in ("", port.get("protocol", "TCP").lower())


def _host(endpoint: Object, ip: str) -> str:
    return (endpoint.get("hostname") or ip.replace(".", "-")).lower()


def _is_ipv4(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 4
    except ValueError:
        return False


def _external(name: str, service: Object) -> Answer:
    return Answer(True, (Record(name, "CNAME", service["spec"]["externalName"].rstrip(".") + "."),))


def _of_kind(records: Iterable[Record], kind: str) -> Answer:
    return Answer(True, tuple(r for r in records if kind in (r.kind, "ANY")))


def _answer(name: str, targets: list[Target], kind: str) -> Answer:
    if not targets:
        return NOTHING
    if kind == "SRV":
        wanted = [t for t in dict.fromkeys(targets) if t.port]
        weight = WEIGHT // max(1, len(wanted))
        records = tuple(Record(name, "SRV", f"0 {weight} {t.port} {t.name}.") for t in wanted)
        return Answer(True, records, tuple(dict.fromkeys(Record(t.name, "A", t.ip) for t in wanted)))
    return _of_kind(dict.fromkeys(Record(name, "A", t.ip) for t in targets), kind)
