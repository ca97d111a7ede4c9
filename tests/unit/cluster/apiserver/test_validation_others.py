"""The rules of the smaller kinds, in upstream's words."""

from __future__ import annotations

import base64

import pytest

from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import CONFIGMAPS, LEASES, NAMESPACES, NODES, SECRETS

from .refusals import refusal, update_refusal


def secret(kind: str, **data: str) -> dict:
    encoded = {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"name": "s"}, "type": kind, "data": encoded}


DOCKER = {".dockerconfigjson": base64.b64encode(b"no").decode()}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (
            secret("kubernetes.io/service-account-token"),
            ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
        (secret("kubernetes.io/dockerconfigjson"), ["data[.dockerconfigjson]: Required value"]),
        (
            {**secret("kubernetes.io/dockerconfigjson"), "data": DOCKER},
            [
                "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'n'"
                " looking for beginning of value"
            ],
        ),
        (secret("kubernetes.io/basic-auth"), ["data[username]: Required value", "data[password]: Required value"]),
        (secret("kubernetes.io/ssh-auth", ssh_privatekey=""), ["data[ssh-privatekey]: Required value"]),
        (secret("kubernetes.io/tls", other="x"), ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
        (secret("Opaque", big="x" * (1 << 20) + "x"), ["data: Too long: may not be more than 1048576 bytes"]),
    ],
)
def test_secrets(registry: Registry, obj: dict, expected: list[str]):
    assert refusal(registry, SECRETS, obj) == expected


def test_what_a_secret_need_not_hold(registry: Registry):
    assert registry.create(SECRETS, secret("kubernetes.io/basic-auth", password="x"), "default")
    assert registry.create(SECRETS, {**secret("example.com/own"), "metadata": {"name": "t"}}, "default")


def test_a_secrets_type_and_immutable_content_stay(registry: Registry):
    made = registry.create(SECRETS, {**secret("Opaque", a="b"), "immutable": True}, "default")
    assert update_refusal(registry, SECRETS, made, "type", "kubernetes.io/x") == [
        'type: Invalid value: "kubernetes.io/x": field is immutable'
    ]
    assert update_refusal(registry, SECRETS, made, "immutable", None) == [
        "immutable: Forbidden: field is immutable when `immutable` is set"
    ]


def test_config_maps(registry: Registry):
    twice = {"metadata": {"name": "c"}, "data": {"a": "x"}, "binaryData": {"a": "eA=="}}
    assert refusal(registry, CONFIGMAPS, twice) == [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData'
    ]
    big = {"metadata": {"name": "c"}, "data": {"a": "x" * (1 << 20) + "x"}}
    assert refusal(registry, CONFIGMAPS, big) == [": Too long: may not be more than 1048576 bytes"]


@pytest.mark.parametrize(
    ("taint", "expected"),
    [
        (
            {"key": "a", "effect": "Never"},
            'metadata.taints[0].effect: Unsupported value: "Never": supported values: "NoSchedule",'
            ' "PreferNoSchedule", "NoExecute"',
        ),
        ({"key": "a"}, "metadata.taints[0].effect: Required value"),
        ({"key": "", "effect": "NoSchedule"}, 'metadata.taints[0].key: Invalid value: "": name part must be non-empty'),
    ],
)
def test_taints(registry: Registry, taint: dict, expected: str):
    assert refusal(registry, NODES, {"metadata": {"name": "n"}, "spec": {"taints": [taint]}})[0] == expected


def test_a_taint_is_there_once(registry: Registry):
    taints = [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]
    assert refusal(registry, NODES, {"metadata": {"name": "n"}, "spec": {"taints": taints}}) == [
        'metadata.taints[1]: Duplicate value: core.Taint{Key:"a", Value:"b", Effect:"NoSchedule", TimeAdded:<nil>}:'
        " taints must be unique by key and effect pair"
    ]


def test_a_node_keeps_its_addresses(registry: Registry):
    made = registry.create(NODES, {"metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.0.0.0/24"], "providerID": "a"}})
    assert update_refusal(registry, NODES, made, "spec.providerID", "b") == [
        'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid'
    ]


def test_leases(registry: Registry):
    spec = {"holderIdentity": "", "leaseDurationSeconds": 0, "leaseTransitions": -1}
    assert refusal(registry, LEASES, {"metadata": {"name": "l"}, "spec": spec}) == [
        'spec.holderIdentity: Invalid value: "": must not be empty',
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
    ]


def test_namespaces(registry: Registry):
    assert refusal(registry, NAMESPACES, {"metadata": {"name": "n"}, "spec": {"finalizers": ["mine"]}}) == [
        'spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'
    ]
