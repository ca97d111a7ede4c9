"""Which ReplicaSet is the new one, and what a new one looks like."""

from __future__ import annotations

import copy
from typing import Any

from kubelab.cluster.controllers.deployment import replicasets


def deployment(image: str = "one", **metadata: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "u", **metadata},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }


def made(owner: dict[str, Any], revision: int, created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    replica_set = replicasets.make_new(owner, revision, 3)
    replica_set["metadata"]["creationTimestamp"] = created
    return replica_set


def test_the_template_is_found_again_without_its_hash():
    one, two = made(deployment("one"), 1), made(deployment("two"), 2)
    assert replicasets.find_new(deployment("one"), [two, one]) is one
    assert replicasets.find_new(deployment("three"), [two, one]) is None


def test_of_two_with_the_same_template_the_older_is_the_one():
    young, old = made(deployment(), 2, "2026-01-02T00:00:00Z"), made(deployment(), 1)
    assert replicasets.find_new(deployment(), [young, old]) is old


def test_the_hash_follows_the_template_alone_until_there_is_a_collision():
    first = replicasets.template_hash(deployment())
    assert replicasets.template_hash(deployment(annotations={"a": "b"})) == first
    assert replicasets.template_hash(deployment("two")) != first
    collided = {**deployment(), "status": {"collisionCount": 1}}
    assert replicasets.template_hash(collided) != first


def test_a_new_replica_set_copies_annotations_but_not_those_about_the_deployment_itself():
    owner = deployment(
        annotations={
            "kubernetes.io/change-cause": "because",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            replicasets.REVISION: "7",
        }
    )
    before = copy.deepcopy(owner)
    annotations = replicasets.make_new(owner, 8, 3)["metadata"]["annotations"]
    assert annotations == {
        "kubernetes.io/change-cause": "because",
        replicasets.REVISION: "8",
        replicasets.DESIRED_REPLICAS: "3",
        replicasets.MAX_REPLICAS: "4",
    }
    assert owner == before, "the cache's object is not touched"


def test_a_revision_that_comes_back_keeps_its_history():
    old = made(deployment(), 1)
    once = {
        **old,
        "metadata": {**old["metadata"], "annotations": replicasets.annotations_of_existing(deployment(), old, 3)},
    }
    assert replicasets.annotations(once)[replicasets.REVISION] == "3"
    assert replicasets.annotations(once)[replicasets.REVISION_HISTORY] == "1"
    twice = replicasets.annotations_of_existing(deployment(), once, 5)
    assert twice[replicasets.REVISION_HISTORY] == "1,3"


def test_a_long_history_forgets_its_oldest_revisions():
    old = made(deployment(), 998)
    long = ",".join(str(number) for number in range(1, 990))
    old["metadata"]["annotations"][replicasets.REVISION_HISTORY] = long
    history = replicasets.annotations_of_existing(deployment(), old, 1000)[replicasets.REVISION_HISTORY]
    assert len(history) <= replicasets.LONGEST_HISTORY
    assert history.endswith(",989,998")
    assert not history.startswith("1,")


def test_a_revision_never_goes_down():
    newest = made(deployment(), 9)
    assert replicasets.annotations_of_existing(deployment(), newest, 4)[replicasets.REVISION] == "9"
