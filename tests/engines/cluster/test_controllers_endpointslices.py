"""Upstream's test/e2e/network/{endpointslice,endpointslicemirroring,endpoints}.go, in their flows."""

from __future__ import annotations

from typing import Any

from engines.cluster.lab import Lab, eventually
from engines.cluster.objects import service
from engines.cluster.test_controllers_services import running_pod, slices, until_addresses
from kubelab.cluster.controllers.triggertimes import ANNOTATION
from kubelab.cluster.resources import ENDPOINTS, ENDPOINTSLICES, NODES, SERVICES

Object = dict[str, Any]


def by_hand(name: str, *addresses: str, port: int = 9000) -> Object:
    subset = {"addresses": [{"ip": ip} for ip in addresses], "ports": [{"name": "http", "port": port}]}
    metadata = {"name": name, "namespace": "default", "annotations": {"note": "kept"}, "labels": {"team": "red"}}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]}


async def until_mirrored(lab: Lab, name: str, *addresses: str) -> Object | None:
    """Wait for one slice with these addresses; for none where there are none."""

    async def there() -> list[Object]:
        found = await slices(lab, name)
        if not addresses:
            return [{}] if not found else []
        return found if [e["addresses"] for s in found for e in s["endpoints"]] == [[a] for a in addresses] else []

    (found,) = await eventually(there, f"{addresses} of {name} mirrored")
    return found


async def test_should_have_endpoints_and_endpoint_slices_pointing_to_api_server(lab: Lab):
    endpoints = await lab.client.get(ENDPOINTS, "kubernetes", "default")
    (found,) = await slices(lab, "kubernetes")
    assert found["metadata"]["name"] == "kubernetes", "the API server's own, not a mirrored one"
    assert [a["ip"] for a in endpoints["subsets"][0]["addresses"]] == found["endpoints"][0]["addresses"]


async def test_should_mirror_a_custom_endpoints_resource_through_create_update_and_delete(lab: Lab):
    without = service("custom", "x")
    del without["spec"]["selector"]
    await lab.client.create(SERVICES, without)
    await lab.client.create(ENDPOINTS, by_hand("custom", "10.1.2.3"))
    found = await until_mirrored(lab, "custom", "10.1.2.3")
    assert found["metadata"]["labels"] == {
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
        "kubernetes.io/service-name": "custom",
        "team": "red",
    }
    assert found["metadata"]["annotations"] == {"note": "kept"}
    assert found["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
    assert found["endpoints"] == [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]
    assert found["ports"] == [{"name": "http", "port": 9000, "protocol": "TCP"}]
    endpoints = await lab.client.get(ENDPOINTS, "custom", "default")
    await lab.client.update(ENDPOINTS, {**endpoints, "subsets": by_hand("x", "10.2.3.4", port=9001)["subsets"]})
    found = await until_mirrored(lab, "custom", "10.2.3.4")
    assert found["ports"][0]["port"] == 9001
    await lab.client.delete(ENDPOINTS, "custom", "default")
    await until_mirrored(lab, "custom")


async def test_should_not_mirror_where_the_label_says_so_or_the_service_has_a_selector(lab: Lab):
    without = service("custom", "x")
    del without["spec"]["selector"]
    await lab.client.create(SERVICES, without)
    await lab.client.create(ENDPOINTS, by_hand("custom", "10.1.2.3"))
    await until_mirrored(lab, "custom", "10.1.2.3")
    skip = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    await lab.client.patch(ENDPOINTS, "custom", {"metadata": {"labels": skip}}, "default")
    await until_mirrored(lab, "custom")


async def test_should_create_endpoints_and_endpoint_slices_for_pods_matching_a_service(lab: Lab):
    await lab.client.patch(NODES, "node-1", {"metadata": {"labels": {"topology.kubernetes.io/zone": "z"}}})
    await lab.client.create(SERVICES, service("web", "web"))
    pod = await running_pod(lab, "one", "web", nodeSelector={"kubernetes.io/hostname": "node-1"})
    endpoints = await until_addresses(lab, "web", 1, 0)
    ready_since = next(c["lastTransitionTime"] for c in pod["status"]["conditions"] if c["type"] == "Ready")
    assert endpoints["metadata"]["annotations"][ANNOTATION] <= ready_since

    async def there() -> list[Object]:
        return [e for s in await slices(lab, "web") for e in s["endpoints"] or ()]

    (found,) = await eventually(there, "the endpoint")
    assert (found["nodeName"], found["zone"]) == ("node-1", "z")


async def test_should_delete_endpoints_and_endpoint_slices_for_a_service_with_a_selector(lab: Lab):
    await lab.client.create(SERVICES, service("empty", "nobody"))

    async def there() -> list[Object]:
        return await slices(lab, "empty")

    (found,) = await eventually(there, "an empty slice")
    assert (found["endpoints"], found["addressType"]) == ([], "IPv4")
    await until_addresses(lab, "empty", 0, 0)
    await lab.client.delete(SERVICES, "empty", "default")

    async def gone() -> bool:
        left = (await lab.client.list(ENDPOINTS, "default", field_selector="metadata.name=empty"))["items"]
        return not left and not await slices(lab, "empty")

    await eventually(gone, "both gone")


async def test_a_slice_that_somebody_deletes_comes_back(lab: Lab):
    await lab.client.create(SERVICES, service("web", "web"))
    await running_pod(lab, "one", "web")
    await until_addresses(lab, "web", 1, 0)

    async def there() -> list[Object]:
        return [s for s in await slices(lab, "web") if s["endpoints"]]

    (first,) = await eventually(there, "the slice")
    await lab.client.delete(ENDPOINTSLICES, first["metadata"]["name"], "default")

    async def again() -> bool:
        return [s["metadata"]["uid"] for s in await there()] not in ([], [first["metadata"]["uid"]])

    await eventually(again, "another slice")
