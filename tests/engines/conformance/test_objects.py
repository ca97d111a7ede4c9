"""The life of an object of each kind: created, listed, watched, patched, replaced, its status written, deleted by
collection. Upstream's flows in test/e2e/{apimachinery,apps,auth,common/node,instrumentation,network}/*.go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from harness import eventually

from .conftest import IMAGE, MERGE, STRATEGIC, Bench, Object, Refused


@dataclass(frozen=True)
class Kind:
    """One kind: where it is, a small object of it, and what may be written to its status."""

    path: str  # of the collection; {ns} where it is namespaced
    body: Object = field(default_factory=dict)
    status: Object | None = None
    changed: Object = field(default_factory=dict)  # a merge patch of the body, beside the label
    collection: bool = True

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[1]

    @property
    def everywhere(self) -> str:
        return self.path.replace("/namespaces/{ns}", "")


LABELS = {"app": "conformance"}
PAUSED = {"containers": [{"name": "c", "image": IMAGE, "command": ["sleep", "1000"]}]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {**PAUSED, "terminationGracePeriodSeconds": 1}}
JOB = {"suspend": True, "template": {"metadata": {"labels": LABELS}, "spec": {**PAUSED, "restartPolicy": "Never"}}}
NOWHERE = {"nodeSelector": {"conformance": "nowhere"}}


def conditions(**more: Any) -> Object:
    return {"conditions": [{"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set", **more}]}


def _apps(name: str, status: Object | None, **spec: Any) -> Kind:
    body = {"spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE, **spec}}
    return Kind(f"/apis/apps/v1/namespaces/{{ns}}/{name}", body, status)


CORE = "/api/v1/namespaces/{ns}/"
RBAC = "/apis/rbac.authorization.k8s.io/v1/"
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
POD = {"spec": {**PAUSED, **NOWHERE}}
KINDS = [
    Kind(CORE + "configmaps", {"data": {"valueName": "value"}}, changed={"data": {"valueName": "value1"}}),
    Kind(CORE + "secrets", {"data": {"key": "dmFsdWU="}, "type": "Opaque"}, changed={"data": {"key": "dmFsdWUx"}}),
    Kind(CORE + "serviceaccounts", changed={"automountServiceAccountToken": False}),
    Kind(CORE + "podtemplates", {"template": TEMPLATE}),
    Kind(CORE + "limitranges", {"spec": {"limits": [{"type": "Container", "min": {"cpu": "50m"}}]}}),
    Kind(CORE + "resourcequotas", {"spec": {"hard": {"cpu": "1", "memory": "500Mi"}}}, {"hard": {"cpu": "2"}}),
    Kind(CORE + "endpoints", {"subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"port": 80}]}]}),
    Kind(
        CORE + "services",
        {"spec": {"ports": [{"port": 80, "protocol": "TCP"}], "selector": LABELS}},
        {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}, **conditions(lastTransitionTime="2026-01-01T00:00:00Z")},
    ),
    Kind(CORE + "pods", POD, {"message": "Patched by e2e", "reason": "E2E"}),
    Kind(
        CORE + "replicationcontrollers",
        {"spec": {"replicas": 0, "selector": LABELS, "template": TEMPLATE}},
        conditions(),
    ),
    _apps("replicasets", conditions(), replicas=0),
    _apps("deployments", conditions(), replicas=0),
    _apps("daemonsets", conditions(), template={**TEMPLATE, "spec": {**TEMPLATE["spec"], **NOWHERE}}),
    Kind("/apis/apps/v1/namespaces/{ns}/controllerrevisions", {"revision": 1, "data": {"spec": {}}}),
    Kind("/apis/batch/v1/namespaces/{ns}/jobs", {"spec": JOB}, conditions()),
    Kind(
        "/apis/batch/v1/namespaces/{ns}/cronjobs",
        {"spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": JOB}}},
        {"lastScheduleTime": "2026-01-01T00:00:00Z"},
    ),
    Kind(
        "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets",
        {"spec": {"minAvailable": 1, "selector": {"matchLabels": LABELS}}},
        {"disruptionsAllowed": 1, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
        changed={"spec": {"minAvailable": "50%"}},
    ),
    Kind(
        "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases",
        {"spec": {"holderIdentity": "holder", "leaseDurationSeconds": 30}},
        changed={"spec": {"leaseDurationSeconds": 60}},
    ),
    Kind(
        "/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices",
        {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.24"]}], "ports": [{"name": "p", "port": 80}]},
        changed={"ports": [{"name": "p", "port": 81}]},
    ),
    Kind(RBAC + "namespaces/{ns}/roles", {"rules": RULES}),
    Kind(RBAC + "namespaces/{ns}/rolebindings", {"roleRef": ROLE, "subjects": []}),
    Kind(RBAC + "clusterroles", {"rules": RULES}),
    Kind(RBAC + "clusterrolebindings", {"roleRef": ROLE, "subjects": []}),
    Kind("/apis/scheduling.k8s.io/v1/priorityclasses", {"value": 1}, changed={"description": "changed"}),
    Kind(
        "/api/v1/nodes",
        {"spec": {"unschedulable": True}},
        {"nodeInfo": {"machineID": "m", "osImage": "e2e"}},
    ),
    Kind("/api/v1/namespaces", {}, conditions(type="StatusPatch"), collection=False),
    Kind(
        CORE + "events",
        {"reason": "Test", "message": "a message", "type": "Normal", "involvedObject": {"namespace": "{ns}"}},
        changed={"message": "another message"},
    ),
    Kind(
        "/apis/events.k8s.io/v1/namespaces/{ns}/events",
        {
            **{"eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "test", "reportingInstance": "t-1"},
            **{
                "action": "Do",
                "reason": "Test",
                "note": "a note",
                "type": "Normal",
                "regarding": {"namespace": "{ns}"},
            },
        },
        changed={"note": "another note"},
    ),
]
LIFE = """
[sig-node] ConfigMap should run through a ConfigMap lifecycle
[sig-node] Secrets should patch a secret
[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount
[sig-auth] ServiceAccounts should update a ServiceAccount
[sig-node] PodTemplates should run the lifecycle of PodTemplates
[sig-node] PodTemplates should delete a collection of pod templates
[sig-node] PodTemplates should replace a pod template
[sig-scheduling] LimitRange should list, patch and delete a LimitRange by collection
[sig-api-machinery] ResourceQuota should manage the lifecycle of a ResourceQuota
[sig-network] Services should test the lifecycle of an Endpoint
[sig-network] Services should delete a collection of services
[sig-node] Pods should delete a collection of pods
[sig-apps] ReplicationController should test the lifecycle of a ReplicationController
[sig-apps] ReplicaSet should list and delete a collection of ReplicaSets
[sig-apps] Daemon set [Serial] should list and delete a collection of DaemonSets
[sig-apps] Job should manage the lifecycle of a job
[sig-apps] CronJob should support CronJob API operations
[sig-apps] DisruptionController should create a PodDisruptionBudget
[sig-apps] DisruptionController Listing PodDisruptionBudgets for all namespaces should list and delete a collection of \
PodDisruptionBudgets
[sig-node] Lease lease API should be available
[sig-network] EndpointSlice should support creating EndpointSlice API operations
[sig-scheduling] SchedulerPreemption [Serial] PriorityClass endpoints verify PriorityClass endpoints can be operated \
with different HTTP methods
[sig-node] Node Lifecycle should run through the lifecycle of a node
[sig-api-machinery] Namespaces [Serial] should patch a Namespace
[sig-api-machinery] Namespaces [Serial] should apply an update to a Namespace
[sig-instrumentation] Events should manage the lifecycle of an event
[sig-instrumentation] Events should delete a collection of events
[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed
[sig-instrumentation] Events API should delete a collection of events
"""
STATUS = """
[sig-api-machinery] ResourceQuota should apply changes to a resourcequota status
[sig-network] Services should complete a service status lifecycle
[sig-node] Pods should patch a pod status
[sig-apps] ReplicaSet should validate Replicaset Status endpoints
[sig-apps] Deployment should validate Deployment Status endpoints
[sig-apps] Daemon set [Serial] should verify changes to a daemon set status
[sig-apps] Job should apply changes to a job status
[sig-apps] DisruptionController should update/patch PodDisruptionBudget status
[sig-api-machinery] Namespaces [Serial] should apply changes to a namespace status
"""


def names(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.mark.conformance(*names(LIFE))
@pytest.mark.parametrize(
    "kind", KINDS, ids=lambda kind: kind.path.removeprefix("/apis/").replace("namespaces/{ns}/", "")
)
def test_life(bench: Bench, kind: Kind):
    name, other = f"{bench.namespace}-1", f"{bench.namespace}-2"
    mine = {"labelSelector": f"conformance={bench.namespace}"}
    labels = {"conformance": bench.namespace}
    start = bench.get(kind.path, **mine)["metadata"]["resourceVersion"]
    with bench.watching(kind.path, resourceVersion=start, **mine) as seen:
        made = bench.create(kind.path, {"metadata": {"name": name, "labels": labels}, **kind.body})
        assert made["metadata"]["uid"] and made["metadata"]["labels"].items() >= labels.items()
        _read(bench, kind, name, made)

        patched = bench.patch(
            f"{kind.path}/{name}", {"metadata": {"labels": {"patched": "yes"}}, **kind.changed}, MERGE
        )
        assert patched["metadata"]["labels"]["patched"] == "yes"
        assert contains(patched, kind.changed)
        strategic = {"metadata": {"labels": {"patched": None}, "annotations": {"strategic": "yes"}}}
        patched = bench.patch(f"{kind.path}/{name}", strategic, STRATEGIC)
        assert "patched" not in patched["metadata"]["labels"]
        assert patched["metadata"]["annotations"]["strategic"] == "yes"
        replaced = bench.replace(f"{kind.path}/{name}", _annotate)
        assert replaced["metadata"]["annotations"]["replaced"] == "yes"
        assert replaced["metadata"]["uid"] == made["metadata"]["uid"]

        bench.create(kind.path, {"metadata": {"name": other, "labels": labels}, **kind.body})
        _delete(bench, kind, name, other)
        eventually(lambda: [t for t, _ in seen].count("DELETED") == 2, f"two DELETED events: {[t for t, _ in seen]}")
    mine_only = [t for t, o in seen if o["metadata"]["name"] == name]
    assert mine_only[0] == "ADDED" and mine_only[-1] == "DELETED"
    assert set(mine_only[1:-1]) == {"MODIFIED"}
    versions = [int(o["metadata"]["resourceVersion"]) for _, o in seen]
    assert versions == sorted(versions)
    assert bench.get(kind.path, **mine)["items"] == []


def _read(bench: Bench, kind: Kind, name: str, made: Object) -> None:
    mine = {"labelSelector": f"conformance={bench.namespace}"}
    assert bench.get(f"{kind.path}/{name}")["metadata"]["uid"] == made["metadata"]["uid"]
    for path in {kind.path, kind.everywhere}:
        assert [o["metadata"]["name"] for o in bench.get(path, **mine)["items"]] == [name]
    assert bench.get(kind.path, fieldSelector=f"metadata.name={name}")["items"][0]["metadata"]["name"] == name
    with pytest.raises(Refused) as refused:
        bench.create(kind.path, {"metadata": {"name": name}, **kind.body})
    assert (refused.value.code, refused.value.status["reason"]) == (409, "AlreadyExists")


def _annotate(found: Object) -> None:
    found["metadata"].setdefault("annotations", {})["replaced"] = "yes"


def _delete(bench: Bench, kind: Kind, *made: str) -> None:
    if kind.collection:
        bench.delete(f"{kind.path}?labelSelector=conformance={bench.namespace}")
    else:
        for name in made:
            bench.delete(f"{kind.path}/{name}")
    for name in made:
        bench.gone(f"{kind.path}/{name}")


@pytest.mark.conformance(*names(STATUS))
@pytest.mark.parametrize("kind", [k for k in KINDS if k.status], ids=lambda kind: kind.name)
def test_status(bench: Bench, kind: Kind):
    name = f"{bench.namespace}-1"
    path = f"{kind.path}/{name}"
    made = bench.create(kind.path, {"metadata": {"name": name, "labels": {"conformance": "1"}}, **kind.body})
    try:
        read = bench.get(f"{path}/status")
        assert read["metadata"]["uid"] == made["metadata"]["uid"] and "spec" in read
        spec = bench.get(path).get("spec")

        change = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": kind.status}
        patched = bench.patch(f"{path}/status", {**change, "spec": {"conformance": "not by status"}}, MERGE)
        assert patched["metadata"]["annotations"]["patchedstatus"] == "true"
        assert contains(patched["status"], kind.status)
        assert patched.get("spec") == spec

        def change_again(found: Object) -> None:
            found["metadata"]["annotations"]["replaced"] = "true"
            found["status"] = {**found.get("status", {}), **kind.status}

        written = bench.replace(f"{path}/status", change_again)
        assert written["metadata"]["annotations"]["replaced"] == "true"
        assert contains(written["status"], kind.status)
        assert bench.get(path).get("spec") == spec
        ignored = bench.patch(path, {"metadata": {"labels": {"x": "y"}}, "status": None}, MERGE)
        assert ignored.get("status"), "a write of the object leaves the status alone"
    finally:
        bench.delete(path)


def contains(whole: Any, part: Any) -> bool:
    """Whether `part` is in `whole`: of lists, each of its items in one of the other's."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(contains(whole.get(key), value) for key, value in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(contains(w, p) for w in whole) for p in part)
    return whole == part
