"""Deleting: grace periods, finalizers, propagation, preconditions, namespaces."""

from __future__ import annotations

import pytest
from kubernetes.client.rest import ApiException

from .conftest import Cluster
from .test_api_objects import pod, status_of


def bind(cluster: Cluster, namespace: str, name: str = "web") -> None:
    target = {"apiVersion": "v1", "kind": "Node", "name": "node-1"}
    body = {"metadata": {"name": name}, "target": target}
    cluster.core.create_namespaced_pod_binding(name, namespace, body, _preload_content=False)


def read(cluster: Cluster, namespace: str):
    return cluster.core.read_namespaced_pod("web", namespace)


def test_a_pod_without_a_node_goes_at_once(cluster: Cluster, namespace: str):
    cluster.core.create_namespaced_pod(namespace, pod())
    deleted = cluster.core.delete_namespaced_pod("web", namespace)
    assert deleted.metadata.name == "web"
    with pytest.raises(ApiException):
        read(cluster, namespace)


def test_a_pod_with_a_node_waits_for_its_kubelet(cluster: Cluster, namespace: str):
    cluster.core.create_namespaced_pod(namespace, pod())
    bind(cluster, namespace)
    cluster.core.delete_namespaced_pod("web", namespace)
    terminating = read(cluster, namespace).metadata
    assert (terminating.deletion_grace_period_seconds, terminating.generation) == (30, 2)

    cluster.core.delete_namespaced_pod("web", namespace, grace_period_seconds=60)  # never longer
    assert read(cluster, namespace).metadata.deletion_timestamp == terminating.deletion_timestamp
    cluster.core.delete_namespaced_pod("web", namespace, grace_period_seconds=5)  # but shorter
    assert (terminating.deletion_timestamp - read(cluster, namespace).metadata.deletion_timestamp).seconds == 25
    cluster.core.delete_namespaced_pod("web", namespace, grace_period_seconds=0)
    with pytest.raises(ApiException):
        read(cluster, namespace)


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_a_pod_is_bound_once(cluster: Cluster, namespace: str):
    cluster.core.create_namespaced_pod(namespace, pod())
    bind(cluster, namespace)
    bound = read(cluster, namespace)
    assert bound.spec.node_name == "node-1"
    assert [(c.type, c.status) for c in bound.status.conditions] == [("PodScheduled", "True")]
    with pytest.raises(ApiException) as error:
        bind(cluster, namespace)
    assert status_of(error)["message"].endswith('pod web is already assigned to node "node-1"')


def test_an_object_waits_for_its_last_finalizer(cluster: Cluster, namespace: str):
    meta = {"name": "c", "finalizers": ["example.com/hold"]}
    cluster.core.create_namespaced_config_map(namespace, {"metadata": meta})
    cluster.core.delete_namespaced_config_map("c", namespace)
    held = cluster.core.read_namespaced_config_map("c", namespace)
    assert held.metadata.deletion_timestamp is not None

    with pytest.raises(ApiException) as error:
        cluster.core.patch_namespaced_config_map("c", namespace, {"metadata": {"finalizers": ["example.com/more"]}})
    assert "no new finalizers can be added if the object is being deleted" in status_of(error)["message"]
    held.metadata.finalizers = []
    cluster.core.replace_namespaced_config_map("c", namespace, held)
    with pytest.raises(ApiException):
        cluster.core.read_namespaced_config_map("c", namespace)


@pytest.mark.parametrize(
    ("policy", "finalizers"),
    [(None, ["orphan"]), ("Orphan", ["orphan"]), ("Foreground", ["foregroundDeletion"]), ("Background", None)],
)
def test_propagation_of_a_replication_controller(
    cluster: Cluster, namespace: str, policy: str | None, finalizers: list[str] | None
):
    """Without a policy its pods are orphaned; with Background the garbage collector needs no finalizer."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod()["spec"]}
    rc = {"metadata": {"name": "rc"}, "spec": {"replicas": 1, "template": template}}
    cluster.core.create_namespaced_replication_controller(namespace, rc)
    chosen = {"propagation_policy": policy} if policy else {}
    cluster.core.delete_namespaced_replication_controller("rc", namespace, **chosen)
    left = cluster.core.list_namespaced_replication_controller(namespace).items
    assert [item.metadata.finalizers for item in left] == ([finalizers] if finalizers else [])


def test_preconditions(cluster: Cluster, namespace: str):
    created = cluster.core.create_namespaced_pod(namespace, pod())
    with pytest.raises(ApiException) as error:
        cluster.core.delete_namespaced_pod("web", namespace, body={"preconditions": {"uid": "another"}})
    assert status_of(error)["message"] == (
        'Operation cannot be fulfilled on Pod "web": the UID in the precondition (another) does not match the UID in'
        f" record ({created.metadata.uid}). The object might have been deleted and then recreated"
    )


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_a_collection_is_deleted_by_selector(cluster: Cluster, namespace: str):
    for name in ("a", "b"):
        cluster.core.create_namespaced_pod(namespace, pod(name))
    cluster.core.delete_collection_namespaced_pod(namespace, label_selector="app=a")
    assert [p.metadata.name for p in cluster.core.list_namespaced_pod(namespace).items] == ["b"]


def test_an_eviction_deletes_the_pod(cluster: Cluster, namespace: str):
    cluster.core.create_namespaced_pod(namespace, pod())
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web", "namespace": namespace}}
    cluster.core.create_namespaced_pod_eviction("web", namespace, eviction)
    assert cluster.core.list_namespaced_pod(namespace).items == []


def test_nothing_new_in_a_namespace_that_goes(cluster: Cluster):
    cluster.core.create_namespace({"metadata": {"name": "kubelab-test-going"}})
    cluster.core.delete_namespace("kubelab-test-going")
    assert cluster.core.read_namespace("kubelab-test-going").status.phase == "Terminating"
    with pytest.raises(ApiException) as error:
        cluster.core.create_namespaced_config_map("kubelab-test-going", {"metadata": {"name": "c"}})
    status = status_of(error)
    assert status["message"] == (
        'configmaps "c" is forbidden: unable to create new content in namespace kubelab-test-going because it is being '
        "terminated"
    )
    assert status["details"]["causes"][0]["reason"] == "NamespaceTerminating"

    namespace = cluster.core.read_namespace("kubelab-test-going")
    namespace.spec.finalizers = []
    cluster.core.replace_namespace_finalize("kubelab-test-going", namespace)
    with pytest.raises(ApiException):
        cluster.core.read_namespace("kubelab-test-going")


def test_the_systems_namespaces_stay(cluster: Cluster):
    with pytest.raises(ApiException) as error:
        cluster.core.delete_namespace("kube-system")
    assert status_of(error)["message"] == 'namespaces "kube-system" is forbidden: this namespace may not be deleted'
