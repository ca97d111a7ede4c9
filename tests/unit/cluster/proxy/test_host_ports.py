"""What of the node leads to pods that ask for it by `hostPort`."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.proxy.host_ports import host_port_rules
from kubelab.cluster.proxy.rules import Backend, Frontend

NODE, HOST = "172.31.0.11", "127.7.0.11"


def pod(*ports: dict[str, Any], phase: str = "Running", ip: str = "10.244.1.2") -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "ns"}
    spec = {"containers": [{"name": "app", "ports": [{"containerPort": 80, **port} for port in ports]}]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase, "podIP": ip}}


def test_at_the_node_and_on_the_host() -> None:
    there = Backend(("ns", "p"), (("10.244.1.2", 80),), kind="Pod")
    rules = host_port_rules([pod({"hostPort": 8080}, {})], NODE, HOST)
    assert rules == {Frontend("node", NODE, 8080): there, Frontend("host", HOST, 8080): there}


def test_each_protocol_has_ports_of_its_own() -> None:
    both = pod({"hostPort": 53}, {"hostPort": 53, "protocol": "UDP"})
    assert {(f.protocol, f.ip) for f in host_port_rules([both], NODE, NODE)} == {("TCP", NODE), ("UDP", NODE)}


def test_only_the_address_that_is_asked_for() -> None:
    assert list(host_port_rules([pod({"hostPort": 80, "hostIP": NODE})], NODE, HOST)) == [Frontend("node", NODE, 80)]
    assert host_port_rules([pod({"hostPort": 80, "hostIP": "127.0.0.1"})], NODE, HOST) == {}


def test_a_sidecar_counts_and_an_init_container_does_not() -> None:
    made = pod()
    port = {"containerPort": 80, "hostPort": 81}
    made["spec"]["initContainers"] = [{"name": "i", "ports": [port]}]
    assert host_port_rules([made], NODE, HOST) == {}
    made["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    assert Frontend("node", NODE, 81) in host_port_rules([made], NODE, HOST)


def test_a_pod_that_has_ended_or_has_no_address_has_no_port() -> None:
    ports = {"hostPort": 8080}
    assert host_port_rules([pod(ports, phase="Succeeded"), pod(ports, ip="")], NODE, HOST) == {}
