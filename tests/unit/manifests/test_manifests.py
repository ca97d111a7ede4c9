"""Every manifest is one that any cluster takes, and keeps to what the course promises about its objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

MANIFESTS = Path(__file__).parents[3] / "manifests"
VERSION = "1.33"


def documents() -> list[Any]:
    return [
        pytest.param(document, id=f"{path.parent.name}/{path.name}:{document['kind']}/{document['metadata']['name']}")
        for path in sorted(MANIFESTS.glob("*/*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]


def pod_spec(document: dict[str, Any]) -> dict[str, Any] | None:
    if document["kind"] == "Pod":
        return document["spec"]
    owner = document["spec"]["jobTemplate"]["spec"] if document["kind"] == "CronJob" else document["spec"]
    return owner.get("template", {}).get("spec")


def test_every_folder_belongs_to_a_chapter():
    folders = sorted(path.name for path in MANIFESTS.iterdir())
    assert folders == ["01_monolith_vs_microservices", "03_pods", "04_replication_and_probes"]


@pytest.mark.parametrize("document", documents())
def test_is_valid_in_the_version_that_the_cluster_serves(document: dict[str, Any]):
    kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize("document", documents())
def test_carries_the_course_label_and_names_no_namespace(document: dict[str, Any]):
    assert document["metadata"]["labels"]["app.kubernetes.io/part-of"] == "kubelab"
    assert "namespace" not in document["metadata"]
    template = document["spec"].get("template")
    if template:
        assert template["metadata"]["labels"]["app.kubernetes.io/part-of"] == "kubelab"


@pytest.mark.parametrize("document", documents())
def test_pods_are_small_stop_fast_and_need_no_registry(document: dict[str, Any]):
    spec = pod_spec(document)
    if spec is None:
        assert document["kind"] == "Service"
        return
    assert spec["terminationGracePeriodSeconds"] <= 2
    for container in spec["containers"]:
        assert container["image"] in ("kubelab/shop:1", "kubelab/faulty:1", "kubelab/python")
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_a_service_is_defined_before_the_pods_that_read_its_variables():
    path = MANIFESTS / "01_monolith_vs_microservices" / "microservices.yaml"
    kinds = [document["kind"] for document in yaml.safe_load_all(path.read_text())]
    assert kinds == ["Service"] * 3 + ["Deployment"] * 3
