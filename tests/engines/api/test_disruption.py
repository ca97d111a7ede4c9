"""PodDisruptionBudgets on the API. Upstream: pkg/apis/policy/validation and pkg/registry/policy."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Cluster

SELECTOR = {"matchLabels": {"app": "web"}}


def path(namespace: str, name: str = "") -> str:
    return f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets" + (f"/{name}" if name else "")


def budget(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "b"}, "spec": {"selector": SELECTOR, **spec}}


def test_a_new_budget_allows_nothing(cluster: Cluster, namespace: str):
    code, _, made = cluster.request("POST", path(namespace), budget(minAvailable="50%"))
    assert (code, made["metadata"]["generation"]) == (201, 1)
    assert made["spec"] == {"selector": SELECTOR, "minAvailable": "50%"}
    counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    assert made["status"] == dict.fromkeys(counts, 0)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"minAvailable": -1}, "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"),
        ({"maxUnavailable": "101%"}, "spec.maxUnavailable: Invalid value: 101%: must not be greater than 100%"),
        (
            {"unhealthyPodEvictionPolicy": "Never"},
            'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow",'
            ' "IfHealthyBudget"',
        ),
    ],
)
def test_what_is_no_budget(cluster: Cluster, namespace: str, spec: dict[str, Any], words: str):
    code, _, answer = cluster.request("POST", path(namespace), budget(**spec))
    assert (code, answer["message"]) == (422, f'PodDisruptionBudget.policy "b" is invalid: {words}')


def test_both_limits_are_too_many(cluster: Cluster, namespace: str):
    code, _, answer = cluster.request("POST", path(namespace), budget(minAvailable=1, maxUnavailable=1))
    assert code == 422
    assert answer["message"].endswith("minAvailable and maxUnavailable cannot be both set")


def test_an_update_needs_the_version_and_counts_generations(cluster: Cluster, namespace: str):
    _, _, made = cluster.request("POST", path(namespace), budget(minAvailable=1))
    code, _, answer = cluster.request("PUT", path(namespace, "b"), budget(minAvailable=2))
    assert code == 422
    assert "metadata.resourceVersion: Invalid value" in answer["message"]
    made["spec"]["minAvailable"] = 2
    code, _, answer = cluster.request("PUT", path(namespace, "b"), made)
    assert (code, answer["metadata"]["generation"]) == (200, 2)


def test_a_status_counts_no_less_than_nothing(cluster: Cluster, namespace: str):
    _, _, made = cluster.request("POST", path(namespace), budget(minAvailable=1))
    made["status"]["expectedPods"] = -1
    code, _, answer = cluster.request("PUT", path(namespace, "b") + "/status", made)
    assert code == 422
    assert answer["details"]["causes"][0]["field"] == "status.expectedPods"


@pytest.mark.requires("kubectl")
def test_kubectl_creates_and_describes_it(cluster: Cluster, namespace: str):
    create = ("create", "pdb", "web", "--selector=app=web", "--min-available=1")
    made = cluster.kubectl("-n", namespace, *create)
    assert made.stdout == "poddisruptionbudget.policy/web created\n"
    got = cluster.kubectl("-n", namespace, "get", "pdb", "web").stdout.splitlines()
    assert got[0].split("  ")[0] == "NAME"
    assert got[1].split()[:4] == ["web", "1", "N/A", "0"]
    assert "Min available:  1" in cluster.kubectl("-n", namespace, "describe", "pdb", "web").stdout
