"""The status of a ReplicaSet, and what is said when its pods cannot be created."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubelab.cluster.client import APIError, Forbidden, error_from_status
from kubelab.cluster.controllers.podcontrol import PodControl, pod_from_template
from kubelab.cluster.controllers.replicas_status import calculate_status
from unit.cluster.builders import make_pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUOTA = Forbidden({"message": 'pods "web-x" is forbidden: exceeded quota'})


def owner(min_ready: int = 0, conditions: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "web", "tier": "front"}, "finalizers": ["f"]},
        "spec": {"containers": []},
    }
    spec = {"replicas": 3, "minReadySeconds": min_ready, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 4},
        "spec": spec,
        "status": {"conditions": conditions or []},
    }


def test_counts_that_are_zero_are_left_out_but_for_replicas():
    assert calculate_status(owner(), [], -3, None, NOW) == {"replicas": 0, "observedGeneration": 4}


def test_ready_available_and_fully_labelled_are_counted_apart():
    since = {"ready": True, "ready_since": "2025-12-31T23:59:55Z"}
    pods = [
        make_pod("a", labels={"app": "web", "tier": "front"}, **since),
        make_pod("b", labels={"app": "web"}, ready=True, ready_since="2025-12-31T23:59:40Z"),
        make_pod("c", labels={"app": "web"}),
    ]
    status = calculate_status(owner(min_ready=10), pods, 0, None, NOW)
    assert status == {
        "replicas": 3,
        "fullyLabeledReplicas": 1,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "observedGeneration": 4,
    }


@pytest.mark.parametrize(("surplus", "reason"), [(-1, "FailedCreate"), (1, "FailedDelete")])
def test_a_failure_is_a_condition_until_it_is_over(surplus: int, reason: str):
    failed = calculate_status(owner(), [], surplus, QUOTA, NOW)["conditions"]
    assert failed == [
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": reason,
            "message": 'pods "web-x" is forbidden: exceeded quota',
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ]
    later = NOW + timedelta(minutes=1)
    assert calculate_status(owner(conditions=failed), [], surplus, QUOTA, later)["conditions"] == failed
    assert "conditions" not in calculate_status(owner(conditions=failed), [], 0, None, later)


class Recorder:
    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def event(self, obj: Any, type: str, reason: str, message: str) -> None:
        self.told.append((type, reason, message))


class Refusing:
    """An API server that creates nothing."""

    def __init__(self, error: APIError) -> None:
        self.error = error

    async def create(self, resource: Any, pod: Any) -> None:
        raise self.error


async def test_a_refused_creation_is_told():
    recorder = Recorder()
    with pytest.raises(Forbidden):
        await PodControl(Refusing(QUOTA), recorder).create(owner(), owner()["spec"]["template"])
    assert recorder.told == [("Warning", "FailedCreate", f"Error creating: {QUOTA}")]


async def test_a_namespace_that_goes_is_worth_no_event():
    recorder = Recorder()
    causes = {"causes": [{"reason": "NamespaceTerminating"}]}
    terminating = error_from_status({"reason": "Forbidden", "message": "going", "details": causes})
    with pytest.raises(Forbidden):
        await PodControl(Refusing(terminating), recorder).create(owner(), owner()["spec"]["template"])
    assert recorder.told == []


def test_a_pod_is_made_of_its_template_and_its_owner():
    pod = pod_from_template(owner()["spec"]["template"], owner())
    assert pod["metadata"] == {
        "labels": {"app": "web", "tier": "front"},
        "finalizers": ["f"],
        "generateName": "web-",
        "namespace": "default",
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "web",
                "uid": "u",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
