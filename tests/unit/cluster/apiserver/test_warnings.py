"""What is taken with a warning, in upstream's words (pkg/api/pod/warnings.go, pkg/api/service/warnings.go)."""

from __future__ import annotations

import pytest

from kubelab.cluster.apiserver.registry import Options, Registry
from kubelab.cluster.resources import DEPLOYMENTS, PODS, SERVICES, Resource

from .refusals import CONTAINER, POD, REPLICASET, SERVICE, changed

C = "spec.containers[0]"


def told(registry: Registry, resource: Resource, obj: dict) -> list[str]:
    options = Options()
    registry.create(resource, obj, "default", options)
    return [text for text in options.warnings if "not honoured by this cluster" not in text]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "spec.containers.0.env",
            [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
            [f'{C}.env[1]: hides previous definition of "A", which may be dropped when using apply'],
        ),
        ("spec.containers.0.env", [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}], []),
        (
            "spec.containers.0.resources",
            {"limits": {"memory": "100m"}},
            [
                f'{C}.resources.{field}[memory]: fractional byte value "100m" is invalid, must be an integer'
                for field in ("limits", "requests")
            ],
        ),
        (
            "spec.containers",
            [
                {**CONTAINER, "ports": [{"containerPort": 80}]},
                {**CONTAINER, "name": "d", "ports": [{"containerPort": 80}]},
            ],
            [f"spec.containers[1].ports[0]: duplicate port definition with {C}.ports[0]"],
        ),
        (
            "spec.nodeSelector",
            {"beta.kubernetes.io/os": "linux"},
            [
                'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
            ],
        ),
        (
            "spec.hostAliases",
            [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}],
            ['spec.hostAliases[1].ip: duplicate ip "1.1.1.1"'],
        ),
        (
            "spec.terminationGracePeriodSeconds",
            -1,
            [
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated"
                " as 1",
            ],
        ),
        (
            "spec.topologySpreadConstraints",
            [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
            ["spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod"],
        ),
    ],
)
def test_pods(registry: Registry, path: str, value: object, expected: list[str]):
    assert told(registry, PODS, changed(POD, path, value)) == expected


def test_names_that_make_host_names(registry: Registry):
    start = "metadata.name: this is used in {}, which can result in surprising behavior; a DNS label is recommended: ["
    assert told(registry, PODS, changed(POD, "metadata.name", "a.b"))[0].startswith(start.format("the Pod's hostname"))
    deployment = changed(REPLICASET, "metadata.name", "a.b")
    assert told(registry, DEPLOYMENTS, deployment)[0].startswith(start.format("Pod names and hostnames"))


def test_templates_are_looked_at_too_and_again_when_they_change(registry: Registry):
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    wrong = changed(REPLICASET, "spec.template.spec.containers.0.env", twice)
    text = (
        'spec.template.spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using'
        " apply"
    )
    assert told(registry, DEPLOYMENTS, wrong) == [text]
    made, options = registry.get(DEPLOYMENTS, "r", "default"), Options()
    registry.update(DEPLOYMENTS, "r", changed(made, "metadata.labels", {"a": "b"}), "default", options)
    assert options.warnings == []
    made = registry.get(DEPLOYMENTS, "r", "default")
    registry.update(DEPLOYMENTS, "r", changed(made, "spec.replicas", 2), "default", options)
    assert options.warnings == [text]


def test_services(registry: Registry):
    headless = changed(changed(SERVICE, "spec.clusterIP", "None"), "spec.sessionAffinity", "ClientIP")
    assert told(registry, SERVICES, headless) == ["spec.SessionAffinity is ignored for headless services"]
    named = changed(changed(SERVICE, "metadata.name", "t"), "spec.externalName", "example.com")
    assert told(registry, SERVICES, named) == ['spec.externalName is ignored when spec.type is not "ExternalName"']
