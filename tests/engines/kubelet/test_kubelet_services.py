"""Services from where their clients are: cluster IPs in pods, node ports on the host."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from engines.cluster.lab import eventually
from kubelab.cluster.resources import PODS, SERVICES

from .conftest import Bench, python, shell
from .levels import require_isolation

WHO = """
import http.server, os
class Who(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["HOSTNAME"].encode())
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.end_headers(); self.wfile.write(body)
http.server.ThreadingHTTPServer((os.environ["IP"], 8000), Who).serve_forever()
"""
IP = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]


async def serve(bench: Bench, *names: str, kind: str = "NodePort", **spec: Any) -> dict[str, Any]:
    """Ready pods that say their name, behind a service."""
    for name in names:
        probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
        await bench.create(name, python(WHO, env=IP, readinessProbe=probe))
        label = {"metadata": {"labels": {"behind": "who"}}}
        await bench.client.patch(PODS, name, label, bench.namespace, type="merge")
    await asyncio.gather(*(bench.ready(name) for name in names))
    metadata = {"name": "who", "namespace": bench.namespace}
    spec = {"type": kind, "selector": {"behind": "who"}, "ports": [{"port": 8080, "targetPort": 8000}], **spec}
    return await bench.client.create(
        SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    )


def host_addresses(bench: Bench) -> list[str]:
    """Where each node serves its node ports on the host."""
    return [json.loads(path.read_text())["hostAddress"] for path in sorted(bench.home.config.glob("node-*.json"))]


async def ask(host: str, port: int, body: bytes = b"") -> bytes:
    """The answer's body; b"" where the connection was refused."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return b""
    method = "POST" if body else "GET"
    writer.write(f"{method} / HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[2]


async def test_a_node_port_leads_to_all_pods_from_every_node(bench: Bench) -> None:
    service = await serve(bench, "a", "b")
    port = service["spec"]["ports"][0]["nodePort"]
    for host in host_addresses(bench):
        seen: set[bytes] = set()

        async def both(host: str = host, seen: set[bytes] = seen) -> bool:
            seen.add(await ask(host, port))
            return {b"a", b"b"} <= seen

        await eventually(both, f"answers of both pods at {host}:{port}", 20)


async def test_a_cluster_ip_is_reached_from_a_pod(bench: Bench) -> None:
    service = await serve(bench, "a", kind="ClusterIP")
    url = f"http://{service['spec']['clusterIP']}:8080/"
    code = f"import urllib.request as r; print(r.urlopen({url!r}).read().decode())"
    again = f"import time\nwhile True:\n  try:\n    exec({code!r}); break\n  except OSError: time.sleep(.1)"
    await bench.create("client", python(again), restartPolicy="Never")
    assert await bench.output("client") == "a\n"


async def test_without_endpoints_connections_are_refused(bench: Bench) -> None:
    service = await serve(bench, "a")
    host, port = host_addresses(bench)[0], service["spec"]["ports"][0]["nodePort"]

    async def answers() -> bool:
        return await ask(host, port) == b"a"

    await eventually(answers, "an answer", 20)
    await bench.delete("a", grace_period_seconds=0)

    async def refused() -> bool:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    await eventually(refused, "a refusal", 20)


async def test_large_bodies_pass_whole(bench: Bench) -> None:
    service = await serve(bench, "a")
    host, port = host_addresses(bench)[0], service["spec"]["ports"][0]["nodePort"]

    async def answers() -> bool:
        return await ask(host, port) == b"a"

    await eventually(answers, "an answer", 20)
    body = bytes(range(256)) * 40_000  # 10 MB
    assert await ask(host, port, body) == body


async def test_a_client_stays_with_its_endpoint(bench: Bench) -> None:
    service = await serve(bench, "a", "b", sessionAffinity="ClientIP")
    host, port = host_addresses(bench)[0], service["spec"]["ports"][0]["nodePort"]

    async def answers() -> bytes:
        return await ask(host, port)

    first = await eventually(answers, "an answer", 20)
    assert {await ask(host, port) for _ in range(10)} <= {first}


UDP_ECHO = """
import os, socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((os.environ["IP"], 8000))
while True:
    data, client = server.recvfrom(2000)
    server.sendto(os.environ["HOSTNAME"].encode() + b" " + data, client)
"""
UDP_ASK = """
import socket, sys, time
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(1)
while True:
    try:
        asking.connect((sys.argv[1], 8080)); asking.send(b"hello"); print(asking.recv(2000).decode()); break
    except OSError:
        time.sleep(.1)
"""


async def test_should_be_able_to_reach_a_udp_service(bench: Bench) -> None:
    await bench.create("a", python(UDP_ECHO, env=IP))
    await bench.ready("a")
    metadata = {"name": "udp", "namespace": bench.namespace}
    spec = {"selector": {"app": "a"}, "ports": [{"port": 8080, "targetPort": 8000, "protocol": "UDP"}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    made = await bench.client.create(SERVICES, service)
    client = python(UDP_ASK)
    client["command"].append(made["spec"]["clusterIP"])
    await bench.create("client", client, restartPolicy="Never")
    assert await bench.output("client") == "a hello\n"


async def test_a_port_that_is_neither_tcp_nor_udp_is_told(bench: Bench) -> None:
    await bench.create("a", shell("sleep 100"))
    metadata = {"name": "sctp", "namespace": bench.namespace}
    spec = {"selector": {"app": "a"}, "ports": [{"port": 53, "protocol": "SCTP"}]}
    await bench.client.create(SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    assert "forwards TCP and UDP only" in await bench.event("sctp", "UnsupportedProtocol")


def publishing(port: int, **fields: Any) -> dict[str, Any]:
    return python(WHO, env=IP, ports=[{"containerPort": 8000, "hostPort": port}], **fields)


async def test_a_host_port_is_served_at_the_node_and_on_the_host(bench: Bench) -> None:
    port = 18080
    await bench.create("a", publishing(port), nodeName="node-1")
    pod = await bench.ready("a")
    host = host_addresses(bench)[0]

    async def answers() -> bool:
        return await ask(host, port) == b"a"

    await eventually(answers, f"the pod answers at {host}:{port}", 20)
    url = f"http://{pod['status']['hostIP']}:{port}/"
    asking = f"import urllib.request as r; print(r.urlopen({url!r}).read().decode())"
    await bench.create("client", python(asking), restartPolicy="Never", nodeName="node-2")
    assert await bench.output("client") == "a\n"

    await bench.create("rival", publishing(port), nodeName="node-1")
    rival = await bench.phase("rival", "Failed")
    words = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    assert (rival["status"]["reason"], rival["status"]["message"]) == ("NodePorts", f"Pod was rejected: {words}")
    assert await bench.event("rival", "NodePorts") == words
    assert "containerStatuses" not in rival["status"]

    await bench.delete("a", grace_period_seconds=0)

    async def refused() -> bool:
        return await ask(host, port) == b""

    await eventually(refused, "the port is closed with its pod", 20)


SILENT = """
import socket, sys
asking = socket.socket()
asking.settimeout(2)
try:
    asking.connect((sys.argv[1], 8080)); print("connected")
except TimeoutError:
    print("no answer")
except OSError as error:
    print(error)
"""


async def test_traffic_that_must_stay_on_a_node_without_endpoints_is_dropped(bench: Bench) -> None:
    """Not refused: upstream's "has no local endpoints". Where nodes share the cluster IPs the one with pods serves."""
    await require_isolation(bench)
    await bench.create("a", python(WHO, env=IP), nodeName="node-1")
    await bench.ready("a")
    metadata = {"name": "local", "namespace": bench.namespace}
    spec = {"selector": {"app": "a"}, "ports": [{"port": 8080, "targetPort": 8000}], "internalTrafficPolicy": "Local"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    made = await bench.client.create(SERVICES, service)

    async def said_on(node: str, wanted: str) -> None:
        for attempt in range(20):  # the proxies may not have heard of the service yet
            client = python(SILENT)
            client["command"].append(made["spec"]["clusterIP"])
            await bench.create(f"{node}-{attempt}", client, nodeName=node, restartPolicy="Never")
            said = await bench.output(f"{node}-{attempt}")
            if said == f"{wanted}\n":
                return
        raise AssertionError(f"on {node}: {said}, not {wanted}")

    await said_on("node-1", "connected")
    await said_on("node-2", "no answer")
