"""Upstream: pkg/kubelet/qos/policy_test.go."""

from __future__ import annotations

import pytest

from kubelab.cluster.kubelet.oom_score import oom_score_adj

from .builders import make_container, make_pod

CAPACITY = 8_000_000_000


def asking(memory: str, **fields: object) -> dict:
    return make_container(resources={"requests": {"memory": memory}}, **fields)


def score(container: dict, quality: str = "Burstable", *init: dict, **spec: object) -> int:
    pod = make_pod(container)
    pod["spec"] |= spec
    pod["status"] = {"qosClass": quality}
    return oom_score_adj(pod, container, CAPACITY)


@pytest.mark.parametrize(
    ("memory", "expected"), [("0", 999), ("1", 999), ("4000M", 500), ("7G", 125), ("8G", 3), ("9G", 3)]
)
def test_the_more_is_asked_for_the_longer_it_is_spared(memory: str, expected: int) -> None:
    assert score(asking(memory)) == expected


def test_the_other_qualities_have_a_fixed_score() -> None:
    assert score(asking("1G"), "Guaranteed") == -997
    assert score(make_container(), "BestEffort") == 1000
    assert score(make_container(), "BestEffort", priorityClassName="system-node-critical") == -997


def test_a_sidecar_is_spared_as_long_as_the_pod_s_own_containers() -> None:
    sidecar = asking("1M", name="side", restartPolicy="Always")
    pod = make_pod(asking("4G"), initContainers=[sidecar])
    pod["status"] = {"qosClass": "Burstable"}
    assert oom_score_adj(pod, sidecar, CAPACITY) == 500
