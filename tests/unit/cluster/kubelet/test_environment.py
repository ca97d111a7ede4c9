"""A container's environment, from everything that it can come from."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kubelab.cluster.kubelet.environment import Environment
from kubelab.cluster.kubelet.fieldref import Runtime
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.cluster.kubelet.service_env import service_environment

from .builders import make_container, make_pod

FACTS = Runtime("172.31.0.11", "10.244.1.5", {"cpu": "2", "memory": "4Gi"})
SECRET = base64.b64encode(b"s3cret").decode()
OBJECTS = {
    ("configmap", "colours"): {"data": {"sky": "blue", "grass": "green"}},
    ("secret", "door"): {"data": {"key": SECRET}},
}


class Objects:
    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert namespace == "ns"
        return OBJECTS.get((kind, name))


async def make(services: dict[str, str] | None = None, **fields: Any) -> dict[str, str]:
    container = make_container("app", **fields)
    pod = make_pod(container, serviceAccountName="clerk")
    return await Environment(pod, container, Objects(), FACTS).make(services or {})  # type: ignore[arg-type]


def ref(name: str, **source: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": source}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "uid-1"),
        ("metadata.labels['app']", "shop"),
        ("metadata.annotations['a']", "b"),
        ("metadata.labels['none']", ""),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "clerk"),
        ("status.hostIP", "172.31.0.11"),
        ("status.podIP", "10.244.1.5"),
        ("status.podIPs", "10.244.1.5"),
    ],
)
async def test_fields(path: str, value: str) -> None:
    assert await make(env=[ref("X", fieldRef={"fieldPath": path})]) == {"X": value}


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.memory", "1Mi", "64"),
        ("limits.memory", "0", str(64 * 2**20)),
        ("limits.cpu", "1", "1"),
        ("limits.cpu", "1m", "250"),
        ("requests.cpu", "1m", "100"),
        ("requests.memory", "1", "0"),
    ],
)
async def test_resources(resource: str, divisor: str, value: str) -> None:
    resources = {"limits": {"memory": "64Mi", "cpu": "250m"}, "requests": {"cpu": "100m"}}
    env = [ref("X", resourceFieldRef={"resource": resource, "divisor": divisor})]
    assert await make(env=env, resources=resources) == {"X": value}


async def test_a_limit_that_is_not_set_is_what_the_node_has() -> None:
    assert await make(env=[ref("X", resourceFieldRef={"resource": "limits.cpu"})]) == {"X": "2"}


async def test_keys_of_config_maps_and_secrets() -> None:
    env = [
        ref("SKY", configMapKeyRef={"name": "colours", "key": "sky"}),
        ref("KEY", secretKeyRef={"name": "door", "key": "key"}),
        ref("NONE", configMapKeyRef={"name": "colours", "key": "sea", "optional": True}),
        ref("NEITHER", secretKeyRef={"name": "gone", "key": "key", "optional": True}),
    ]
    assert await make(env=env) == {"SKY": "blue", "KEY": "s3cret"}


async def test_whole_objects_come_first_and_are_overridden() -> None:
    sources = [{"prefix": "C_", "configMapRef": {"name": "colours"}}, {"secretRef": {"name": "door"}}]
    made = await make(envFrom=sources, env=[{"name": "C_sky", "value": "grey"}])
    assert made == {"C_sky": "grey", "C_grass": "green", "key": "s3cret"}


async def test_values_see_what_is_defined_before_them() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2$(C)"}, {"name": "C", "value": "$(HOST)"}]
    assert await make({"HOST": "10.96.0.1"}, env=env) == {
        "HOST": "10.96.0.1",
        "A": "1",
        "B": "12$(C)",
        "C": "10.96.0.1",
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"env": [ref("X", configMapKeyRef={"name": "gone", "key": "k"})]}, 'configmap "gone" not found'),
        ({"envFrom": [{"secretRef": {"name": "gone"}}]}, 'secret "gone" not found'),
        (
            {"env": [ref("X", secretKeyRef={"name": "door", "key": "k"})]},
            "couldn't find key k in Secret ns/door",
        ),
        ({"env": [ref("X", fieldRef={"fieldPath": "spec.x"})]}, "unsupported fieldPath: spec.x"),
    ],
)
async def test_what_leads_nowhere(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(StartError) as caught:
        await make(**fields)
    assert (caught.value.reason, caught.value.message) == ("CreateContainerConfigError", message)


def service(name: str, ip: str, *ports: dict[str, Any], namespace: str = "ns") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": list(ports)}}


def test_service_variables() -> None:
    found = service_environment([service("my-shop", "10.96.0.7", {"name": "web", "port": 80})], "ns", True)
    assert found == {
        "MY_SHOP_SERVICE_HOST": "10.96.0.7",
        "MY_SHOP_SERVICE_PORT": "80",
        "MY_SHOP_SERVICE_PORT_WEB": "80",
        "MY_SHOP_PORT": "tcp://10.96.0.7:80",
        "MY_SHOP_PORT_80_TCP": "tcp://10.96.0.7:80",
        "MY_SHOP_PORT_80_TCP_PROTO": "tcp",
        "MY_SHOP_PORT_80_TCP_PORT": "80",
        "MY_SHOP_PORT_80_TCP_ADDR": "10.96.0.7",
    }


def test_which_services_have_variables() -> None:
    services = [
        service("kubernetes", "10.96.0.1", {"port": 443}, namespace="default"),
        service("mine", "10.96.0.2", {"port": 1}),
        service("headless", "None", {"port": 1}),
        service("theirs", "10.96.0.3", {"port": 1}, namespace="other"),
    ]
    with_links = service_environment(services, "ns", True)
    without = service_environment(services, "ns", False)
    assert {k for k in with_links if k.endswith("_HOST")} == {"KUBERNETES_SERVICE_HOST", "MINE_SERVICE_HOST"}
    assert {k for k in without if k.endswith("_HOST")} == {"KUBERNETES_SERVICE_HOST"}
