"""What is refused, and in which words: upstream's (pkg/apis/core/validation/validation_test.go and the wire)."""

from __future__ import annotations

import copy

import pytest

from kubelab.cluster.apiserver.errors import StatusError
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, PODS, REPLICASETS, SECRETS, SERVICES

from .refusals import CONTAINER, POD, REPLICASET, SERVICE, changed, refusal

LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    r" '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
SELECTOR_RULE = (
    'spec.template.metadata.labels: Invalid value: map[string]string{"app":"db"}: `selector` does not match template'
    " `labels`"
)
PROBE = "spec.containers.0.livenessProbe"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("metadata.name", "My_Pod", f'metadata.name: Invalid value: "My_Pod": {SUBDOMAIN_RULE}'),
        ("metadata.name", None, "metadata.name: Required value: name or generateName is required"),
        ("metadata.labels", {"a": "-"}, None),
        ("spec.containers", [], "spec.containers: Required value"),
        ("spec.containers.0.name", "A b", f'spec.containers[0].name: Invalid value: "A b": {LABEL_RULE}'),
        ("spec.containers.0.name", None, "spec.containers[0].name: Required value"),
        ("spec.containers.0.image", None, "spec.containers[0].image: Required value"),
        ("spec.containers", [CONTAINER, CONTAINER], 'spec.containers[1].name: Duplicate value: "c"'),
        (
            "spec.restartPolicy",
            "Sometimes",
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        ),
        (
            "spec.containers.0.ports",
            [{"containerPort": 70000}],
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (PROBE, {"periodSeconds": 1}, "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
        (
            PROBE,
            {"exec": {"command": ["x"]}, "successThreshold": 2},
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            PROBE,
            {"httpGet": {"port": 0}},
            "spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            PROBE,
            {"tcpSocket": {"port": 80}, "exec": {"command": ["x"]}},
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        (
            PROBE,
            {"exec": {"command": ["x"]}, "timeoutSeconds": -1},
            "spec.containers[0].livenessProbe.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "spec.containers.0.resources",
            {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}},
            'spec.containers[0].resources.requests: Invalid value: "2Gi": must be less than or equal to memory limit of'
            " 1Gi",
        ),
        (
            "spec.containers.0.volumeMounts",
            [{"name": "v", "mountPath": "/v"}],
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (
            "spec.containers.0.env",
            [{"name": "A", "valueFrom": {}}],
            'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`,'
            " `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        ),
        ("spec.volumes", [{"name": "v", "configMap": {}}], "spec.volumes[0].configMap.name: Required value"),
        (
            "spec.tolerations",
            [{"key": "a", "operator": "Exists", "value": "b"}],
            "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
        ),
    ],
)
def test_pods(registry: Registry, path: str, value: object, message: str | None):
    found = refusal(registry, PODS, changed(POD, path, value))
    if message is None:
        assert found[0].startswith('metadata.labels: Invalid value: "-": a valid label must be an empty string or')
    else:
        assert found == [message]


@pytest.mark.parametrize(
    ("path", "value", "messages"),
    [
        ("spec.replicas", -1, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        ("spec.template.metadata.labels", {"app": "db"}, [SELECTOR_RULE]),
        ("spec.selector", None, ["spec.selector: Required value", SELECTOR_RULE.replace('"db"', '"web"')]),
        (
            "spec.template.spec.restartPolicy",
            "Never",
            ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
        ),
        (
            "spec.selector",
            {"matchExpressions": [{"key": "app", "operator": "Is"}]},
            [
                'spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator',
                "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), MatchExpressions:"
                '[]v1.LabelSelectorRequirement{v1.LabelSelectorRequirement{Key:"app", Operator:"Is",'
                " Values:[]string(nil)}}}: invalid label selector",
            ],
        ),
    ],
)
def test_replica_sets(registry: Registry, path: str, value: object, messages: list[str]):
    assert refusal(registry, REPLICASETS, changed(REPLICASET, path, value)) == messages


def test_deployments(registry: Registry):
    rolling = {"maxSurge": 0, "maxUnavailable": 0}
    wrong = changed(REPLICASET, "spec.strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
    assert refusal(registry, DEPLOYMENTS, wrong) == [
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"
    ]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.ports", [], "spec.ports: Required value"),
        (
            "spec.ports",
            [{"port": 0, "targetPort": 80}],
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        ("spec.ports", [{"port": 1}, {"port": 2, "name": "b"}], "spec.ports[0].name: Required value"),
        (
            "spec.type",
            "Public",
            'spec.type: Unsupported value: "Public": supported values: "ClusterIP", "ExternalName", "LoadBalancer",'
            ' "NodePort"',
        ),
        (
            "spec.clusterIP",
            "10.97.0.1",
            'spec.clusterIPs: Invalid value: []string{"10.97.0.1"}: failed to allocate IP 10.97.0.1: the provided IP'
            " (10.97.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/24",
        ),
        (
            "spec.clusterIP",
            "10.96.0.1",
            'spec.clusterIPs: Invalid value: []string{"10.96.0.1"}: failed to allocate IP 10.96.0.1: provided IP is'
            " already allocated",
        ),
    ],
)
def test_services(registry: Registry, path: str, value: object, message: str):
    assert refusal(registry, SERVICES, changed(SERVICE, path, value)) == [message]


def test_a_service_name_is_a_dns_1035_label(registry: Registry):
    assert refusal(registry, SERVICES, changed(SERVICE, "metadata.name", "1st"))[0].startswith(
        'metadata.name: Invalid value: "1st": a DNS-1035 label must consist of lower case alphanumeric characters or'
    )


def test_other_kinds(registry: Registry):
    config_map = {"metadata": {"name": "c"}, "data": {"a b": "x"}}
    assert refusal(registry, CONFIGMAPS, config_map) == [
        "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        " (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
    ]
    tls = {"metadata": {"name": "s"}, "type": "kubernetes.io/tls"}
    assert refusal(registry, SECRETS, tls) == ["data[tls.crt]: Required value", "data[tls.key]: Required value"]
    assert refusal(registry, NAMESPACES, {"metadata": {"name": "a.b"}}) == [
        f'metadata.name: Invalid value: "a.b": {LABEL_RULE}'
    ]


def test_the_message_names_the_kind_and_every_field(registry: Registry):
    wrong = changed(changed(POD, "spec.containers.0.image", None), "spec.restartPolicy", "X")
    with pytest.raises(StatusError) as error:
        registry.create(PODS, wrong, "default")
    assert str(error.value) == (
        'Pod "p" is invalid: [spec.containers[0].image: Required value, spec.restartPolicy: Unsupported value: "X":'
        ' supported values: "Always", "OnFailure", "Never"]'
    )


def test_what_a_pod_update_may_change(registry: Registry):
    pod = registry.create(PODS, copy.deepcopy(POD), "default")
    allowed = changed(pod, "spec.containers.0.image", "other")
    assert registry.update(PODS, "p", allowed, "default")["spec"]["containers"][0]["image"] == "other"
    refused = changed(registry.get(PODS, "p", "default"), "spec.hostname", "h")
    with pytest.raises(StatusError, match=r"spec: Forbidden: pod updates may not change fields other than `spec\."):
        registry.update(PODS, "p", refused, "default")


def test_a_selector_is_fixed(registry: Registry):
    made = registry.create(REPLICASETS, copy.deepcopy(REPLICASET), "default")
    other = {"app": "web", "x": "y"}
    wrong = changed(changed(made, "spec.selector.matchLabels", other), "spec.template.metadata.labels", other)
    with pytest.raises(StatusError) as error:
        registry.update(REPLICASETS, "r", wrong, "default")
    assert str(error.value) == (
        'ReplicaSet.apps "r" is invalid: spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string'
        '{"app":"web", "x":"y"}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable'
    )


def test_an_immutable_config_map_stays(registry: Registry):
    made = registry.create(CONFIGMAPS, {"metadata": {"name": "c"}, "data": {"a": "1"}, "immutable": True}, "default")
    with pytest.raises(StatusError, match="data: Forbidden: field is immutable when `immutable` is set"):
        registry.update(CONFIGMAPS, "c", changed(made, "data.a", "2"), "default")
