"""The service proxy's table, from Services and EndpointSlices."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.proxy.rules import Backend, Frontend, make_rules, unsupported_ports

NODE, HOST = "172.31.0.11", "127.7.0.11"


def service(*ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    spec = {"type": "ClusterIP", "clusterIP": "10.96.0.7", "ports": list(ports or [{"port": 80}]), **spec}
    return {"metadata": {"name": "shop", "namespace": "ns"}, "spec": spec}


def endpoint(ip: str, node: str = "node-1", **conditions: bool) -> dict[str, Any]:
    return {"addresses": [ip], "nodeName": node, "conditions": {"ready": True, **conditions}}


def endpoint_slice(*endpoints: dict[str, Any], port: int = 8080, name: str = "") -> dict[str, Any]:
    metadata = {"name": "shop-x", "namespace": "ns", "labels": {"kubernetes.io/service-name": "shop"}}
    ports = [{"name": name, "port": port, "protocol": "TCP"}]
    return {"metadata": metadata, "addressType": "IPv4", "ports": ports, "endpoints": list(endpoints)}


def rules(service_: dict[str, Any], *slices: dict[str, Any], host: str = HOST) -> dict[Frontend, Backend]:
    return make_rules([service_], slices, "node-1", NODE, host)


def ips(backend: Backend) -> list[str]:
    return [ip for ip, _ in backend.endpoints]


def test_a_cluster_ip_leads_to_the_ready_endpoints() -> None:
    table = rules(service(), endpoint_slice(endpoint("10.244.1.2"), endpoint("10.244.1.3", ready=False)))
    assert table == {Frontend("node", "10.96.0.7", 80): Backend(("ns", "shop"), (("10.244.1.2", 8080),))}


def test_slices_of_one_service_are_joined() -> None:
    table = rules(service(), endpoint_slice(endpoint("10.244.1.2")), endpoint_slice(endpoint("10.244.2.2")))
    assert ips(table[Frontend("node", "10.96.0.7", 80)]) == ["10.244.1.2", "10.244.2.2"]


def test_each_port_has_the_endpoints_of_its_name() -> None:
    two = service({"name": "web", "port": 80}, {"name": "admin", "port": 81})
    one, other = endpoint("10.244.1.2"), endpoint("10.244.1.3")
    table = rules(two, endpoint_slice(one, name="web"), endpoint_slice(other, name="admin", port=9))
    assert table[Frontend("node", "10.96.0.7", 80)].endpoints == (("10.244.1.2", 8080),)
    assert table[Frontend("node", "10.96.0.7", 81)].endpoints == (("10.244.1.3", 9),)


def test_a_node_port_is_on_the_node_and_on_the_host() -> None:
    table = rules(service({"port": 80, "nodePort": 30080}, type="NodePort"), endpoint_slice(endpoint("10.244.1.2")))
    assert {Frontend("node", NODE, 30080), Frontend("host", HOST, 30080)} < set(table)


def test_where_the_node_is_on_the_hosts_loopback_one_is_enough() -> None:
    exposed = service({"port": 80, "nodePort": 30080}, type="NodePort")
    table = rules(exposed, endpoint_slice(endpoint("10.244.1.2")), host=NODE)
    assert [f for f in table if f.port == 30080] == [Frontend("host", NODE, 30080)]


def test_where_none_is_ready_those_that_end_still_serve() -> None:
    ending = endpoint("10.244.1.2", ready=False, serving=True, terminating=True)
    assert ips(rules(service(), endpoint_slice(ending))[Frontend("node", "10.96.0.7", 80)]) == ["10.244.1.2"]
    table = rules(service(), endpoint_slice(ending, endpoint("10.244.1.3")))
    assert ips(table[Frontend("node", "10.96.0.7", 80)]) == ["10.244.1.3"]


def test_without_endpoints_the_port_is_in_the_table_with_none() -> None:
    assert rules(service())[Frontend("node", "10.96.0.7", 80)].endpoints == ()


def test_policy_local_keeps_to_this_node() -> None:
    here, there = endpoint("10.244.1.2"), endpoint("10.244.2.2", node="node-2")
    inside = rules(service(internalTrafficPolicy="Local"), endpoint_slice(here, there))
    assert ips(inside[Frontend("node", "10.96.0.7", 80)]) == ["10.244.1.2"]
    exposed = service({"port": 80, "nodePort": 30080}, type="NodePort", externalTrafficPolicy="Local")
    table = rules(exposed, endpoint_slice(here, there))
    assert ips(table[Frontend("host", HOST, 30080)]) == ["10.244.1.2"]
    assert ips(table[Frontend("node", "10.96.0.7", 80)]) == ["10.244.1.2", "10.244.2.2"]


def test_headless_and_external_services_have_no_rules() -> None:
    slices = endpoint_slice(endpoint("10.244.1.2"))
    assert rules(service(clusterIP="None"), slices) == {}
    assert rules(service(type="ExternalName", clusterIP=""), slices) == {}


def test_other_protocols_are_left_out_and_named() -> None:
    mixed = service({"port": 53, "protocol": "SCTP"}, {"port": 80})
    assert [f.port for f in rules(mixed)] == [80]
    assert [p["port"] for p in unsupported_ports(mixed)] == [53]


def test_client_ip_affinity_lasts_three_hours_or_as_asked() -> None:
    frontend = Frontend("node", "10.96.0.7", 80)
    assert rules(service(sessionAffinity="ClientIP"))[frontend].affinity == 10800
    config = {"clientIP": {"timeoutSeconds": 60}}
    asked = service(sessionAffinity="ClientIP", sessionAffinityConfig=config)
    assert rules(asked)[frontend].affinity == 60


def test_an_external_ip_is_an_address_of_the_node() -> None:
    table = rules(service(externalIPs=["192.0.2.7"]), endpoint_slice(endpoint("10.244.1.2")))
    assert ips(table[Frontend("node", "192.0.2.7", 80)]) == ["10.244.1.2"]


def test_one_port_for_two_protocols() -> None:
    both = service({"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53})
    udp = endpoint_slice(endpoint("10.244.1.2"), name="dns")
    udp["ports"][0]["protocol"] = "UDP"
    table = rules(both, udp, endpoint_slice(endpoint("10.244.1.3"), name="dns-tcp"))
    assert ips(table[Frontend("node", "10.96.0.7", 53, "UDP")]) == ["10.244.1.2"]
    assert ips(table[Frontend("node", "10.96.0.7", 53)]) == ["10.244.1.3"]


def test_what_must_stay_on_a_node_without_endpoints_is_dropped_there() -> None:
    """Upstream's "has no local endpoints", as against "has no endpoints"."""
    there, front = endpoint("10.244.2.2", node="node-2"), Frontend("node", "10.96.0.7", 80)
    local = service(internalTrafficPolicy="Local")
    assert rules(local, endpoint_slice(there))[front] == Backend(("ns", "shop"), (), drop=True)
    assert rules(local)[front] == Backend(("ns", "shop"), ())
    exposed = service({"port": 80, "nodePort": 30080}, type="NodePort", externalTrafficPolicy="Local")
    table = rules(exposed, endpoint_slice(there))
    assert (table[front].drop, table[Frontend("host", HOST, 30080)].drop) == (False, True)


def test_a_cluster_ip_that_nodes_share_drops_nothing() -> None:
    there = endpoint("10.244.2.2", node="node-2")
    table = rules(service(internalTrafficPolicy="Local"), endpoint_slice(there), host=NODE)
    assert not table[Frontend("node", "10.96.0.7", 80)].drop
