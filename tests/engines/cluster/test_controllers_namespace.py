"""Namespaces: what each is given, and how one goes with all that is in it."""

from __future__ import annotations

from engines.cluster.lab import Lab, eventually
from engines.cluster.objects import deployment, pod, service
from kubelab.cluster.client import NotFound
from kubelab.cluster.pods import condition, is_ready
from kubelab.cluster.resources import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, PODS, SERVICEACCOUNTS, SERVICES


async def make_namespace(lab: Lab, name: str) -> None:
    await lab.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


async def until_given(lab: Lab, namespace: str) -> None:
    async def given() -> bool:
        try:
            await lab.client.get(SERVICEACCOUNTS, "default", namespace)
            root = await lab.client.get(CONFIGMAPS, "kube-root-ca.crt", namespace)
        except NotFound:
            return False
        return root["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")

    await eventually(given, f"service account and root certificate in {namespace}")


async def test_every_namespace_has_a_service_account_and_the_root_certificate(lab: Lab):
    await make_namespace(lab, "shop")
    for namespace in ("default", "kube-system", "shop"):
        await until_given(lab, namespace)
    await lab.client.delete(SERVICEACCOUNTS, "default", "shop")
    await lab.client.delete(CONFIGMAPS, "kube-root-ca.crt", "shop")
    await until_given(lab, "shop")


async def gone(lab: Lab, namespace: str) -> bool:
    try:
        await lab.client.get(NAMESPACES, namespace)
    except NotFound:
        return True
    return False


def into(namespace: str, obj: dict) -> dict:
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


async def test_a_deleted_namespace_takes_everything_along(lab: Lab):
    await make_namespace(lab, "shop")
    await until_given(lab, "shop")
    await lab.client.create(DEPLOYMENTS, into("shop", deployment("web", 3)))
    await lab.client.create(SERVICES, into("shop", service("web", "web")))

    async def running() -> bool:
        return len([p for p in await lab.pods("shop") if is_ready(p)]) == 3

    await eventually(running, "the deployment's pods")
    await lab.client.delete(NAMESPACES, "shop")
    await eventually(lambda: gone(lab, "shop"), "the namespace is gone")
    assert await lab.pods("shop") == []
    for resource in (DEPLOYMENTS, SERVICES, CONFIGMAPS, SERVICEACCOUNTS):
        assert (await lab.client.list(resource, "shop"))["items"] == []


async def test_a_namespace_waits_for_its_pods_and_says_so(lab: Lab):
    await make_namespace(lab, "shop")
    await until_given(lab, "shop")
    await lab.client.create(PODS, into("shop", pod("slow")))

    async def running() -> bool:
        return is_ready(await lab.client.get(PODS, "slow", "shop"))

    await eventually(running, "the pod")
    lab.kubelet.silent.update(lab.kubelet.names)
    await lab.client.delete(NAMESPACES, "shop")

    async def told() -> bool:
        namespace = await lab.client.get(NAMESPACES, "shop")
        remaining = condition(namespace, "NamespaceContentRemaining")
        return remaining is not None and remaining["status"] == "True"

    await eventually(told, "what remains")
    namespace = await lab.client.get(NAMESPACES, "shop")
    assert namespace["status"]["phase"] == "Terminating"
    remaining = condition(namespace, "NamespaceContentRemaining")
    assert remaining["reason"] == "SomeResourcesRemain"
    assert remaining["message"] == "Some resources are remaining: pods. has 1 resource instances"
    # pods go first: the service account is still there for them
    await lab.client.get(SERVICEACCOUNTS, "default", "shop")
    await lab.client.delete(PODS, "slow", "shop", grace_period_seconds=0)
    await eventually(lambda: gone(lab, "shop"), "the namespace is gone")
