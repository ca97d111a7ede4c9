"""Endpoints and EndpointSlices: who stands behind a service, and in which condition."""

from __future__ import annotations

from typing import Any

from engines.cluster.lab import Lab, eventually
from engines.cluster.objects import pod, service
from kubelab.cluster.client import NotFound
from kubelab.cluster.pods import is_ready
from kubelab.cluster.resources import ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES

Object = dict[str, Any]


async def until_addresses(lab: Lab, name: str, ready: int, not_ready: int) -> Object:
    async def addresses() -> Object | None:
        try:
            found = await lab.client.get(ENDPOINTS, name, "default")
        except NotFound:
            return None
        subsets = found.get("subsets") or []
        counts = [sum(len(s.get(part, [])) for s in subsets) for part in ("addresses", "notReadyAddresses")]
        return found if counts == [ready, not_ready] else None

    return await eventually(addresses, f"{ready} ready and {not_ready} other addresses of {name}")


async def slices(lab: Lab, name: str) -> list[Object]:
    selector = f"kubernetes.io/service-name={name}"
    return (await lab.client.list(ENDPOINTSLICES, "default", label_selector=selector))["items"]


async def until_conditions(lab: Lab, name: str, *wanted: tuple[bool, bool, bool]) -> None:
    """Wait for endpoints with exactly these (ready, serving, terminating)."""

    async def conditions() -> bool:
        endpoints = [e for s in await slices(lab, name) for e in s["endpoints"] or ()]
        have = [tuple(e["conditions"][c] for c in ("ready", "serving", "terminating")) for e in endpoints]
        return sorted(have) == sorted(wanted)

    await eventually(conditions, f"endpoints of {name} in {wanted}")


async def running_pod(lab: Lab, name: str, app: str, **spec: Any) -> Object:
    await lab.client.create(PODS, pod(name, {"app": app}, **spec))

    async def ready() -> Object | None:
        found = await lab.client.get(PODS, name, "default")
        return found if is_ready(found) else None

    return await eventually(ready, f"{name} ready")


async def test_ready_pods_are_addresses(lab: Lab):
    await lab.client.create(SERVICES, service("web", "web"))
    await running_pod(lab, "other", "other")
    one = await running_pod(lab, "one", "web")
    endpoints = await until_addresses(lab, "web", 1, 0)
    assert endpoints["subsets"] == [
        {
            "addresses": [
                {
                    "ip": one["status"]["podIP"],
                    "nodeName": one["spec"]["nodeName"],
                    "targetRef": {
                        "kind": "Pod",
                        "namespace": "default",
                        "name": "one",
                        "uid": one["metadata"]["uid"],
                    },
                }
            ],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }
    ]
    await until_conditions(lab, "web", (True, True, False))
    (only,) = await slices(lab, "web")
    assert only["metadata"]["name"].startswith("web-")
    labels = only["metadata"]["labels"]
    assert labels["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    assert only["addressType"] == "IPv4"
    assert only["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert only["endpoints"][0]["addresses"] == [one["status"]["podIP"]]
    assert only["endpoints"][0]["targetRef"]["name"] == "one"
    assert only["metadata"]["ownerReferences"][0]["kind"] == "Service"


async def test_an_unready_pod_gets_no_traffic_and_a_ready_one_again_does(lab: Lab):
    await lab.client.create(SERVICES, service("web", "web"))
    one = await running_pod(lab, "one", "web")
    await until_addresses(lab, "web", 1, 0)
    await lab.kubelet.set_ready(one, False)
    await until_addresses(lab, "web", 0, 1)
    await until_conditions(lab, "web", (False, False, False))
    await lab.kubelet.set_ready(one, True)
    await until_addresses(lab, "web", 1, 0)


async def test_a_terminating_pod_leaves_endpoints_and_stays_in_the_slice(lab: Lab):
    await lab.client.create(SERVICES, service("web", "web"))
    one = await running_pod(lab, "one", "web")
    await until_conditions(lab, "web", (True, True, False))
    lab.kubelet.silent.add(one["spec"]["nodeName"])
    await lab.client.delete(PODS, "one", "default")
    await until_addresses(lab, "web", 0, 0)
    await until_conditions(lab, "web", (False, True, True))
    await lab.client.delete(PODS, "one", "default", grace_period_seconds=0)
    await until_conditions(lab, "web")


async def test_not_ready_addresses_are_published_on_request(lab: Lab):
    await lab.client.create(SERVICES, service("web", "web", publishNotReadyAddresses=True, clusterIP="None"))
    one = await running_pod(lab, "one", "web")
    await lab.kubelet.set_ready(one, False)
    await until_conditions(lab, "web", (True, False, False))
    endpoints = await until_addresses(lab, "web", 1, 0)
    assert endpoints["metadata"]["labels"]["service.kubernetes.io/headless"] == ""


async def test_a_named_target_port_is_each_pods_own(lab: Lab):
    await lab.client.create(SERVICES, service("web", "web", ports=[{"port": 80, "targetPort": "http"}]))
    for name, port in (("old", 8080), ("new", 9090)):
        containers = [{"name": "c", "image": "x", "ports": [{"name": "http", "containerPort": port}]}]
        await running_pod(lab, name, "web", containers=containers)
    endpoints = await until_addresses(lab, "web", 2, 0)
    assert sorted(s["ports"][0]["port"] for s in endpoints["subsets"]) == [8080, 9090]
    await until_conditions(lab, "web", (True, True, False), (True, True, False))
    assert len(await slices(lab, "web")) == 2


async def test_a_service_without_pods_has_an_empty_slice_and_takes_it_along(lab: Lab):
    await lab.client.create(SERVICES, service("web", "web"))
    await until_addresses(lab, "web", 0, 0)

    async def count(wanted: int) -> bool:
        return len(await slices(lab, "web")) == wanted

    await eventually(lambda: count(1), "an empty slice")
    await lab.client.delete(SERVICES, "web", "default")
    await eventually(lambda: count(0), "no slice")

    async def no_endpoints() -> bool:
        return not [e for e in (await lab.client.list(ENDPOINTS, "default"))["items"] if e["metadata"]["name"] == "web"]

    await eventually(no_endpoints, "no Endpoints")


async def test_endpoints_of_a_service_without_a_selector_are_left_alone(lab: Lab):
    headless = service("outside", "x")
    del headless["spec"]["selector"]
    await lab.client.create(SERVICES, headless)
    mine = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "outside", "namespace": "default"}}
    subsets = [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80, "protocol": "TCP"}]}]
    await lab.client.create(ENDPOINTS, {**mine, "subsets": subsets})
    await lab.client.create(SERVICES, service("web", "web"))
    await until_addresses(lab, "web", 0, 0)
    assert (await lab.client.get(ENDPOINTS, "outside", "default"))["subsets"][0]["addresses"][0]["ip"] == "192.0.2.1"
