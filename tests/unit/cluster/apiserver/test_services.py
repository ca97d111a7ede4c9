"""Cluster IPs and node ports: given, kept, taken back."""

from __future__ import annotations

import pytest

from kubelab.clock import VirtualClock
from kubelab.cluster.apiserver import deletion, kinds
from kubelab.cluster.apiserver.errors import StatusError
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import SERVICES


def service(name: str = "s", **spec) -> dict:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def create(registry: Registry, obj: dict) -> dict:
    return registry.create(SERVICES, obj, "default")["spec"]


def test_a_service_gets_an_address_of_the_range(registry: Registry):
    spec = create(registry, service())
    assert spec["clusterIP"].startswith("10.96.0.")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")


def test_a_headless_service_gets_none(registry: Registry):
    assert create(registry, service(clusterIP="None"))["clusterIPs"] == ["None"]


def test_an_address_that_was_asked_for_is_given_once(registry: Registry):
    assert create(registry, service(clusterIP="10.96.0.9"))["clusterIP"] == "10.96.0.9"
    with pytest.raises(StatusError, match="provided IP is already allocated"):
        create(registry, service("t", clusterIP="10.96.0.9"))
    deletion.delete(registry, SERVICES, "s", "default", deletion.DeleteOptions())
    assert create(registry, service("t", clusterIP="10.96.0.9"))["clusterIP"] == "10.96.0.9"


def test_node_ports_run_out_and_come_back(registry: Registry):
    for number in range(4):
        create(registry, service(f"s{number}", type="NodePort"))
    with pytest.raises(StatusError, match="failed to allocate a nodePort: range is full"):
        create(registry, service("more", type="NodePort"))
    deletion.delete(registry, SERVICES, "s2", "default", deletion.DeleteOptions())
    assert create(registry, service("more", type="NodePort"))["ports"][0]["nodePort"] in range(30000, 30004)


def test_an_address_is_not_lost_with_a_failed_create(registry: Registry):
    before = len(registry.addresses._taken)
    for _ in range(3):
        with pytest.raises(StatusError):
            create(registry, service(type="NodePort", ports=[{"port": 80, "nodePort": 80}]))
    assert len(registry.addresses._taken) == before


def test_an_update_keeps_what_it_leaves_out(registry: Registry):
    spec = create(registry, service(type="NodePort"))
    updated = registry.update(SERVICES, "s", service(type="NodePort"), "default")["spec"]
    assert (updated["clusterIP"], updated["ports"]) == (spec["clusterIP"], spec["ports"])
    plain = registry.update(SERVICES, "s", service(), "default")["spec"]
    assert (plain["clusterIP"], "nodePort" in plain["ports"][0]) == (spec["clusterIP"], False)
    assert spec["ports"][0]["nodePort"] not in registry.node_ports._taken


def test_a_cluster_ip_does_not_change(registry: Registry):
    create(registry, service(clusterIP="10.96.0.9"))
    with pytest.raises(StatusError, match="may not change once set"):
        registry.update(SERVICES, "s", service(clusterIP="10.96.0.10"), "default")


def test_a_restart_remembers_what_was_given(registry: Registry):
    spec = create(registry, service(type="NodePort"))
    again = Registry(registry.store, registry.config, VirtualClock(), kinds.strategies())
    with pytest.raises(StatusError, match="provided port is already allocated"):
        create(again, service("t", type="NodePort", ports=[{"port": 80, "nodePort": spec["ports"][0]["nodePort"]}]))
    with pytest.raises(StatusError, match="provided IP is already allocated"):
        create(again, service("t", clusterIP=spec["clusterIP"]))
