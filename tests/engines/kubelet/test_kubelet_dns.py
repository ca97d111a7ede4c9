"""Cluster DNS as pods use it, with upstream's flows (test/e2e/network/dns.go, dns_configmap.go; [sig-network] DNS)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubelab.cluster.resources import SERVICES

from .conftest import Bench, python, shell

# Python's own resolver calls are libc's at the level namespaces, and the lab's at the level process.
LOOK_UP = """
import json, socket, sys, time
def look(name):
    for _ in range(100):
        try:
            return sorted({a[4][0] for a in socket.getaddrinfo(name, 80, socket.AF_INET)})
        except OSError:
            time.sleep(.1)
    return []
print(json.dumps({name: look(name) for name in sys.argv[1:]}))
"""


async def look_up(bench: Bench, name: str, *names: str, **spec: Any) -> dict[str, list[str]]:
    """What a pod finds under `names`, which it asks for until there is an answer."""
    container = python(LOOK_UP)
    container["command"] += names
    await bench.create(name, container, restartPolicy="Never", **spec)
    return json.loads(await bench.output(name))


async def service(bench: Bench, name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": bench.namespace}
    ports = {} if spec.get("type") == "ExternalName" else {"ports": [{"name": "http", "port": 80}]}
    return await bench.client.create(
        SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {**ports, **spec}}
    )


async def test_should_provide_dns_for_the_cluster(bench: Bench) -> None:
    kubernetes = await bench.client.get(SERVICES, "kubernetes", "default")
    names = ("kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    found = await look_up(bench, "p", *names)
    assert found == {name: [kubernetes["spec"]["clusterIP"]] for name in names}


async def test_should_provide_dns_for_services(bench: Bench) -> None:
    made = await service(bench, "web", selector={"app": "none"})
    await bench.create("headless-1", shell("sleep 100"), hostname="one", subdomain="db")
    await service(bench, "db", clusterIP="None", selector={"app": "headless-1"})
    ip = (await bench.ready("headless-1"))["status"]["podIP"]
    found = await look_up(bench, "p", "web", f"web.{bench.namespace}", "db", "one.db")
    web = [made["spec"]["clusterIP"]]
    assert found == {"web": web, f"web.{bench.namespace}": web, "db": [ip], "one.db": [ip]}


async def test_should_provide_dns_for_pods_for_hostname(bench: Bench) -> None:
    await service(bench, "sub", clusterIP="None", selector={"app": "p"})
    code = "import socket; print(socket.gethostname()); print(open('etc/hosts').read())"
    await bench.create("p", python(code), hostname="web-0", subdomain="sub", restartPolicy="Never")
    hostname, *hosts = (await bench.output("p")).splitlines()
    ip = (await bench.pod("p"))["status"]["podIP"]
    assert hostname == "web-0"
    assert hosts[0] == "# Kubernetes-managed hosts file."
    assert f"{ip}\tweb-0.sub.{bench.namespace}.svc.cluster.local\tweb-0" in hosts


async def test_should_provide_dns_for_externalname_services(bench: Bench) -> None:
    target = await service(bench, "target", selector={"app": "none"})
    await service(bench, "alias", type="ExternalName", externalName=f"target.{bench.namespace}.svc.cluster.local")
    assert await look_up(bench, "p", "alias") == {"alias": [target["spec"]["clusterIP"]]}


async def test_should_write_entries_to_etc_hosts(bench: Bench) -> None:
    aliases = [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}]
    await bench.create("p", shell("cat etc/hosts"), hostAliases=aliases, restartPolicy="Never")
    assert (await bench.output("p")).endswith("# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n")


async def test_should_support_configurable_pod_dns_nameservers(bench: Bench) -> None:
    config = {
        "nameservers": ["1.1.1.1"],
        "searches": ["resolv.conf.local"],
        "options": [{"name": "ndots", "value": "3"}],
    }
    code = "import os; print(open(os.environ.get('KUBELAB_RESOLV_CONF', '/etc/resolv.conf')).read())"
    await bench.create("p", python(code), dnsPolicy="None", dnsConfig=config, restartPolicy="Never")
    lines = (await bench.output("p")).split("\n")
    assert lines[:3] == ["search resolv.conf.local", "nameserver 1.1.1.1", "options ndots:3"]


async def test_hostname_as_fqdn(bench: Bench) -> None:
    code = "import socket; print(socket.gethostname())"
    spec = {"subdomain": "sub", "setHostnameAsFQDN": True, "restartPolicy": "Never"}
    await bench.create("p", python(code), **spec)
    assert await bench.output("p") == f"p.sub.{bench.namespace}.svc.cluster.local\n"


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_records_of_every_type(bench: Bench, kind: str) -> None:
    """Asked with a resolver library from the node, where the name server listens too."""
    import socket

    import dns.message

    from kubelab.runtime.client import RuntimeClient

    dns_service = await bench.client.get(SERVICES, "kube-dns", "kube-system")
    address = dns_service["spec"]["clusterIP"]
    query = dns.message.make_query("_https._tcp.kubernetes.default.svc.cluster.local", "SRV")
    wire = query.to_wire()
    async with RuntimeClient(bench.home.runtime_socket) as runtime:
        made = await runtime.open_socket("node-1", type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        with made:
            made.setblocking(True)
            made.settimeout(10)
            made.connect((address, 53))
            made.send(wire if kind == "udp" else len(wire).to_bytes(2) + wire)
            answer = made.recv(4096)
    response = dns.message.from_wire(answer if kind == "udp" else answer[2:])
    assert response.answer[0].to_text().endswith("IN SRV 0 100 443 kubernetes.default.svc.cluster.local.")
