"""ResourceQuota and LimitRange with the controller. After test/e2e/apimachinery/resource_quota.go and
test/e2e/scheduling/limit_range.go."""

from __future__ import annotations

import pytest

from engines.cluster.lab import Lab, eventually
from kubelab.cluster.client import Forbidden
from kubelab.cluster.resources import LIMITRANGES, PODS, RESOURCEQUOTAS, SECRETS, SERVICES

NS = "default"


def pod(name: str, **resources: dict) -> dict:
    container = {"name": "c", "image": "i", "resources": resources}
    return {"metadata": {"name": name}, "spec": {"containers": [container]}}


async def quota(lab: Lab, name: str = "q", there: dict[str, str] | None = None, **spec: object) -> None:
    """A quota that has been counted; `there`: what the namespace has before the test begins."""
    await lab.client.create(RESOURCEQUOTAS, {"metadata": {"name": name}, "spec": spec}, NS)
    await used(lab, name, dict.fromkeys(spec["hard"], "0") | (there or {}))


async def used(lab: Lab, name: str, wanted: dict[str, str]) -> None:
    async def counted() -> bool:
        status = (await lab.client.get(RESOURCEQUOTAS, name, NS)).get("status") or {}
        found = status.get("used") or {}
        return {key: found.get(key) for key in wanted} == wanted

    await eventually(counted, f"{name} counts {wanted}")


async def test_a_quota_limits_and_gets_back_what_is_deleted(lab: Lab):
    await quota(lab, hard={"pods": "2", "requests.cpu": "1", "limits.memory": "1Gi"})
    ask = {"requests": {"cpu": "600m"}, "limits": {"memory": "300Mi", "cpu": "1"}}
    await lab.client.create(PODS, pod("a", **ask), NS)
    await used(lab, "q", {"pods": "1", "requests.cpu": "600m", "limits.memory": "300Mi"})
    with pytest.raises(Forbidden) as error:
        await lab.client.create(PODS, pod("b", **ask), NS)
    words = "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
    assert str(error.value) == f'pods "b" is forbidden: {words}'
    with pytest.raises(Forbidden) as error:
        await lab.client.create(PODS, pod("c"), NS)
    words = "failed quota: q: must specify limits.memory for: c; requests.cpu for: c"
    assert str(error.value) == f'pods "c" is forbidden: {words}'
    await lab.client.delete(PODS, "a", NS, grace_period_seconds=0)
    await used(lab, "q", {"pods": "0", "requests.cpu": "0", "limits.memory": "0"})
    await lab.client.create(PODS, pod("b", **ask), NS)


async def test_counts_of_objects_and_kinds_of_services(lab: Lab):
    hard = {"count/secrets": "1", "services": "3", "services.nodeports": "1"}
    await quota(lab, there={"services": "1"}, hard=hard)  # the service `kubernetes`
    await lab.client.create(SECRETS, {"metadata": {"name": "a"}}, NS)
    with pytest.raises(Forbidden) as error:
        await lab.client.create(SECRETS, {"metadata": {"name": "b"}}, NS)
    words = "exceeded quota: q, requested: count/secrets=1, used: count/secrets=1, limited: count/secrets=1"
    assert str(error.value) == f'secrets "b" is forbidden: {words}'

    def service(name: str, kind: str) -> dict:
        return {"metadata": {"name": name}, "spec": {"type": kind, "ports": [{"port": 80}], "selector": {"a": "b"}}}

    await lab.client.create(SERVICES, service("a", "NodePort"), NS)
    made = await lab.client.create(SERVICES, service("b", "ClusterIP"), NS)
    await used(lab, "q", {"services": "3", "services.nodeports": "1"})
    with pytest.raises(Forbidden):
        await lab.client.update(SERVICES, {**made, "spec": {**made["spec"], "type": "NodePort"}})
    await lab.client.patch(SERVICES, "a", {"spec": {"type": "ClusterIP"}}, NS)
    await used(lab, "q", {"services.nodeports": "0"})


async def test_scopes_choose_the_pods(lab: Lab):
    await quota(lab, "best", hard={"pods": "1"}, scopes=["BestEffort"])
    await quota(lab, "rest", hard={"pods": "1"}, scopes=["NotBestEffort"])
    await lab.client.create(PODS, pod("a"), NS)
    await lab.client.create(PODS, pod("b", requests={"cpu": "1m"}), NS)
    await used(lab, "best", {"pods": "1"})
    await used(lab, "rest", {"pods": "1"})
    with pytest.raises(Forbidden) as error:
        await lab.client.create(PODS, pod("c"), NS)
    assert str(error.value).startswith('pods "c" is forbidden: exceeded quota: best, requested: pods=1, used: pods=1')


async def test_a_limit_range_gives_defaults_and_refuses(lab: Lab):
    item = {"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "100m"}, "default": {"memory": "64Mi"}}
    made = await lab.client.create(LIMITRANGES, {"metadata": {"name": "l"}, "spec": {"limits": [item]}}, NS)
    assert made["spec"]["limits"][0]["defaultRequest"] == {"cpu": "1", "memory": "64Mi"}
    found = await lab.client.create(PODS, pod("a"), NS)
    expected = {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "1", "memory": "64Mi"}}
    assert found["spec"]["containers"][0]["resources"] == expected
    words = "LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c"
    assert found["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == words
    with pytest.raises(Forbidden) as error:
        await lab.client.create(PODS, pod("b", requests={"cpu": "10m"}, limits={"cpu": "2"}), NS)
    assert str(error.value) == (
        'pods "b" is forbidden: [minimum cpu usage per Container is 100m, but request is 10m, '
        "maximum cpu usage per Container is 1, but limit is 2]"
    )
