"""From pods to endpoints: subsets, slices, conditions."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab.cluster.controllers import endpoints, endpointslice
from kubelab.cluster.controllers.serviceselection import target_port
from unit.cluster.builders import make_pod

DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def service(*ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "default", "uid": "s"},
        "spec": {"selector": {"app": "web"}, "ports": list(ports) or [{"port": 80, "targetPort": 8080}], **spec},
    }


def test_ready_and_other_addresses_are_apart_and_sorted():
    pods = [
        make_pod("c", ip="10.0.0.3"),
        make_pod("b", ip="10.0.0.2", ready=True),
        make_pod("a", ip="10.0.0.1", ready=True),
    ]
    (subset,) = endpoints.subsets(service(), pods)
    assert [address["ip"] for address in subset["addresses"]] == ["10.0.0.1", "10.0.0.2"]
    assert [address["ip"] for address in subset["notReadyAddresses"]] == ["10.0.0.3"]
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"port": 80}, 80),
        ({"port": 80, "targetPort": 0}, 80),
        ({"port": 80, "targetPort": 8080}, 8080),
        ({"port": 80, "targetPort": "http"}, 8000),
        ({"port": 80, "targetPort": "http", "protocol": "UDP"}, None),
        ({"port": 80, "targetPort": "other"}, None),
    ],
)
def test_target_ports(port: dict[str, Any], expected: int | None):
    pod = make_pod(ip="10.0.0.1")
    pod["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]
    assert target_port(port, pod) == expected


def test_a_pod_without_any_of_the_ports_is_no_address():
    assert endpoints.subsets(service({"port": 80, "targetPort": "none"}), [make_pod(ip="10.0.0.1")]) == []


@pytest.mark.parametrize(
    ("pod", "publish", "conditions"),
    [
        (make_pod(ip="1", ready=True), False, (True, True, False)),
        (make_pod(ip="1"), False, (False, False, False)),
        (make_pod(ip="1", ready=True, metadata=DELETED), False, (False, True, True)),
        (make_pod(ip="1", metadata=DELETED), False, (False, False, True)),
        (make_pod(ip="1"), True, (True, False, False)),
    ],
)
def test_conditions_of_an_endpoint(pod: dict[str, Any], publish: bool, conditions: tuple[bool, bool, bool]):
    made = endpointslice.endpoint(service(publishNotReadyAddresses=publish), pod)
    assert tuple(made["conditions"][name] for name in ("ready", "serving", "terminating")) == conditions


def test_a_slice_holds_a_hundred():
    pods = [make_pod(f"p{i:03}", ip=f"10.0.{i // 250}.{i % 250 + 1}") for i in range(250)]
    made = endpointslice.slices(service(), pods)
    assert [len(one["endpoints"]) for one in made] == [100, 100, 50]


def test_no_pods_make_one_empty_slice():
    assert endpointslice.slices(service(), []) == [{"addressType": "IPv4", "endpoints": [], "ports": []}]


def test_a_pods_hostname_is_published_within_its_own_domain_only():
    inside = make_pod(ip="10.0.0.1", hostname="db-0", subdomain="web")
    outside = make_pod(ip="10.0.0.2", hostname="db-0", subdomain="other")
    assert endpointslice.endpoint(service(), inside)["hostname"] == "db-0"
    assert "hostname" not in endpointslice.endpoint(service(), outside)
