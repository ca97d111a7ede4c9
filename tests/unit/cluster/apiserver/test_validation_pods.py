"""Every rule of a pod's spec, in upstream's words and under upstream's paths.

Upstream: pkg/apis/core/validation/validation.go at v1.33; the rows follow its order.
"""

from __future__ import annotations

import copy

import pytest

from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import DEPLOYMENTS, PODS, REPLICATIONCONTROLLERS

from .refusals import CONTAINER, LABELS, POD, REPLICASET, TEMPLATE, changed, refusal, update_refusal

C = "spec.containers[0]"
NOT_INIT = "Forbidden: may not be set for init containers without restartPolicy=Always"
QUALIFIED = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
EXEC = {"exec": {"command": ["true"]}}
NODE_TERMS = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
NODE_REQUIRED = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
POD_REQUIRED = "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution"
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}


def refused(registry: Registry, path: str, value: object) -> list[str]:
    return refusal(registry, PODS, changed(POD, path, value))


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        (
            [{"name": "Web", "containerPort": 1}],
            f'{C}.ports[0].name: Invalid value: "Web": must contain only alpha-numeric',
        ),
        ([{"name": "12", "containerPort": 1}], "must contain at least one letter (a-z)"),
        ([{"name": "a--b", "containerPort": 1}], "must not contain consecutive hyphens"),
        ([{"name": "a" * 16, "containerPort": 1}], "must be no more than 15 characters"),
        (
            [{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}],
            f'{C}.ports[1].name: Duplicate value: "a"',
        ),
        ([{"containerPort": 0}], f"{C}.ports[0].containerPort: Required value"),
        ([{"containerPort": 1, "hostPort": 70000}], f"{C}.ports[0].hostPort: Invalid value: 70000: must be between"),
        (
            [{"containerPort": 1, "protocol": "ICMP"}],
            f'{C}.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
        ),
        (
            [{"containerPort": 1, "hostPort": 8}, {"containerPort": 2, "hostPort": 8}],
            f'{C}.ports[1].hostPort: Duplicate value: "TCP//8"',
        ),
    ],
)
def test_ports(registry: Registry, ports: list[dict], expected: str):
    assert expected in refused(registry, "spec.containers.0.ports", ports)[0]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ({"value": "x"}, [f"{C}.env[0].name: Required value"]),
        (
            {"name": "a=b"},
            [
                f'{C}.env[0].name: Invalid value: "a=b": a valid environment variable name must consist only of'
                " printable ASCII characters other than '='"
            ],
        ),
        (
            {"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            [f'{C}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
        ),
        (
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.host"}}},
            [
                f'{C}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.host": error converting fieldPath:'
                " field label not supported: spec.host"
            ],
        ),
        (
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}},
            [
                f'{C}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values:'
                ' "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",'
                ' "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"'
            ],
        ),
        (
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a b']"}}},
            [f'{C}.env[0].valueFrom.fieldRef: Invalid value: "a b": name part {QUALIFIED}'],
        ),
        (
            {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}},
            [
                f'{C}.env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values:'
                ' "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",'
                ' "requests.ephemeral-storage", "requests.memory"'
            ],
        ),
        (
            {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}},
            [
                f'{C}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor\'s values 1m'
                " and 1 are supported with the cpu resource"
            ],
        ),
        (
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m"}}},
            [f"{C}.env[0].valueFrom.configMapKeyRef.key: Required value"],
        ),
    ],
)
def test_env(registry: Registry, variable: dict, expected: list[str]):
    assert refused(registry, "spec.containers.0.env", [variable]) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, f'{C}.envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'),
        ({"prefix": "a=", "secretRef": {"name": "s"}}, f'{C}.envFrom[0].prefix: Invalid value: "a="'),
        ({"configMapRef": {}}, f"{C}.envFrom[0].configMapRef.name: Required value"),
        (
            {"configMapRef": {"name": "m"}, "secretRef": {"name": "s"}},
            f'{C}.envFrom: Invalid value: "": may not have more than one field specified at a time',
        ),
    ],
)
def test_env_from(registry: Registry, source: dict, expected: str):
    assert refused(registry, "spec.containers.0.envFrom", [source])[0].startswith(expected)


M = f"{C}.volumeMounts"


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ({"mountPath": "/a"}, [f"{M}[0].name: Required value", f'{M}[0].name: Not found: ""']),
        ({"name": "v"}, [f"{M}[0].mountPath: Required value"]),
        (
            {"name": "v", "mountPath": "/a", "subPath": "/x"},
            [f'{M}.subPath: Invalid value: "/x": must be a relative path'],
        ),
        (
            {"name": "v", "mountPath": "/a", "subPath": "a/../b"},
            [f"{M}.subPath: Invalid value: \"a/../b\": must not contain '..'"],
        ),
        (
            {"name": "v", "mountPath": "/a", "subPath": "a", "subPathExpr": "b"},
            [f'{M}[0].subPathExpr: Invalid value: "b": subPathExpr and subPath are mutually exclusive'],
        ),
        (
            {"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"},
            [
                f"{M}.mountPropagation: Forbidden: Bidirectional mount propagation is available only to"
                " privileged containers"
            ],
        ),
        (
            {"name": "v", "mountPath": "/a", "recursiveReadOnly": "Enabled"},
            [f"{M}.recursiveReadOnly: Forbidden: may only be specified when readOnly is true"],
        ),
    ],
)
def test_mounts(registry: Registry, mount: dict, expected: list[str]):
    pod = changed(POD, "spec.volumes", [{"name": "v"}])
    assert refusal(registry, PODS, changed(pod, "spec.containers.0.volumeMounts", [mount])) == expected


def test_a_path_is_mounted_once(registry: Registry):
    pod = changed(POD, "spec.volumes", [{"name": "v"}, {"name": "w"}])
    mounts = [{"name": "v", "mountPath": "/a"}, {"name": "w", "mountPath": "/a"}]
    assert refusal(registry, PODS, changed(pod, "spec.containers.0.volumeMounts", mounts)) == [
        f'{M}[1].mountPath: Invalid value: "/a": must be unique'
    ]


V = "spec.volumes[0]"


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"emptyDir": {}}, [f"{V}.name: Required value"]),
        ({"name": "a_b"}, [f'{V}.name: Invalid value: "a_b": {LABEL}']),
        (
            {"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}},
            [f"{V}.secret: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            {"name": "v", "emptyDir": {"sizeLimit": "-1"}},
            [f"{V}.emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"],
        ),
        ({"name": "v", "hostPath": {}}, [f"{V}.hostPath.path: Required value"]),
        (
            {"name": "v", "hostPath": {"path": "/a/../b"}},
            [f"{V}.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"],
        ),
        (
            {"name": "v", "hostPath": {"path": "/a", "type": "Folder"}},
            [
                f'{V}.hostPath.type: Unsupported value: "Folder": supported values: "", "BlockDevice", "CharDevice",'
                ' "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"'
            ],
        ),
        ({"name": "v", "secret": {}}, [f"{V}.secret.secretName: Required value"]),
        (
            {"name": "v", "secret": {"secretName": "s", "defaultMode": 512}},
            [
                f"{V}.secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both"
                " inclusive"
            ],
        ),
        (
            {"name": "v", "configMap": {"name": "m", "items": [{"path": "a"}]}},
            [f"{V}.configMap.items[0].key: Required value"],
        ),
        (
            {"name": "v", "configMap": {"name": "m", "items": [{"key": "k", "path": "..a"}]}},
            [f"{V}.configMap.items[0].path: Invalid value: \"..a\": must not start with '..'"],
        ),
        ({"name": "v", "persistentVolumeClaim": {}}, [f"{V}.persistentVolumeClaim.claimName: Required value"]),
        (
            {"name": "v", "downwardAPI": {"items": [{"path": "a"}]}},
            [f"{V}.downwardAPI: Required value: one of fieldRef and resourceFieldRef is required"],
        ),
        (
            {"name": "v", "downwardAPI": {"items": [{"path": "a", "resourceFieldRef": {"resource": "limits.cpu"}}]}},
            [f"{V}.downwardAPI.resourceFieldRef.containerName: Required value"],
        ),
        (
            {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 9}}]}},
            [
                f"{V}.projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 9: may not specify a"
                " duration less than 10 minutes"
            ],
        ),
        (
            {
                "name": "v",
                "projected": {
                    "sources": [
                        {"secret": {"name": "s", "items": [{"key": "k", "path": "a"}]}},
                        {"configMap": {"name": "m", "items": [{"key": "k", "path": "a"}]}},
                    ]
                },
            },
            [f'{V}.projected: Invalid value: "m": conflicting duplicate paths'],
        ),
        (
            {"name": "v", "projected": {"sources": [{"secret": {"name": "s"}, "configMap": {"name": "m"}}]}},
            [f"{V}.projected.sources[0]: Forbidden: may not specify more than 1 volume type per source"],
        ),
    ],
)
def test_volumes(registry: Registry, volume: dict, expected: list[str]):
    assert refused(registry, "spec.volumes", [volume]) == expected


def test_what_is_not_a_valid_volume_cannot_be_mounted(registry: Registry):
    pod = changed(POD, "spec.volumes", [{"name": "v", "secret": {}}])
    mounts = [{"name": "v", "mountPath": "/v"}]
    assert refusal(registry, PODS, changed(pod, "spec.containers.0.volumeMounts", mounts)) == [
        f"{V}.secret.secretName: Required value",
        f'{M}[0].name: Not found: "v"',
    ]


R = f"{C}.resources"


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (
            {"limits": {"gpu": "1"}},
            [
                f'{R}.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
                f'{R}.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers',
                f'{R}.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
                f'{R}.requests[gpu]: Invalid value: "gpu": must be a standard resource for containers',
            ],
        ),
        (
            {"requests": {"pods": "1"}},
            [
                f'{R}.requests[pods]: Invalid value: "pods": must be a standard resource for containers',
                f"{R}.limits: Required value: Limit must be set for non overcommitable resources",
            ],
        ),
        ({"requests": {"cpu": "-1"}}, [f'{R}.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0']),
        (
            {"limits": {"example.com/gpu": "500m"}, "requests": {"example.com/gpu": "500m"}},
            [
                f"{R}.limits[example.com/gpu]: Invalid value: 500m: must be an integer",
                f"{R}.requests[example.com/gpu]: Invalid value: 500m: must be an integer",
            ],
        ),
        (
            {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
            [f'{R}.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
        ),
        (
            {"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "2"}},
            [f'{R}.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2'],
        ),
    ],
)
def test_resources(registry: Registry, resources: dict, expected: list[str]):
    assert refused(registry, "spec.containers.0.resources", resources) == expected


@pytest.mark.parametrize(
    ("probe", "kind", "expected"),
    [
        ({"exec": {}}, "livenessProbe", f"{C}.livenessProbe.exec.command: Required value"),
        (
            {"httpGet": {"port": "web server"}},
            "livenessProbe",
            f'{C}.livenessProbe.httpGet.port: Invalid value: "web server": must contain only alpha-numeric characters'
            " (a-z, 0-9), and hyphens (-)",
        ),
        (
            {"httpGet": {"port": 80, "scheme": "FTP"}},
            "readinessProbe",
            f'{C}.readinessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"',
        ),
        (
            {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": "c"}]}},
            "readinessProbe",
            f'{C}.readinessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of'
            " alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
        ),
        (
            {"grpc": {"port": 0}},
            "startupProbe",
            f"{C}.startupProbe.grpc.port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        *(
            (
                {**EXEC, field: -1},
                "readinessProbe",
                f"{C}.readinessProbe.{field}: Invalid value: -1: must be greater than or equal to 0",
            )
            for field in (
                "initialDelaySeconds",
                "timeoutSeconds",
                "periodSeconds",
                "successThreshold",
                "failureThreshold",
            )
        ),
        (
            {**EXEC, "successThreshold": 2},
            "startupProbe",
            f"{C}.startupProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            {**EXEC, "terminationGracePeriodSeconds": 0},
            "livenessProbe",
            f"{C}.livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
        ),
        (
            {**EXEC, "terminationGracePeriodSeconds": 1},
            "readinessProbe",
            f"{C}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes",
        ),
    ],
)
def test_probes(registry: Registry, probe: dict, kind: str, expected: str):
    assert refused(registry, f"spec.containers.0.{kind}", probe) == [expected]


def test_hooks(registry: Registry):
    assert refused(registry, "spec.containers.0.lifecycle", {"preStop": {"sleep": {"seconds": 31}}}) == [
        f"{C}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than"
        " terminationGracePeriodSeconds (30)"
    ]
    assert refused(registry, "spec.containers.0.lifecycle", {"postStart": {}}) == [
        f"{C}.lifecycle.postStart: Required value: must specify a handler type"
    ]


def test_init_containers_and_sidecars(registry: Registry):
    init = {"name": "i", "image": "x", "livenessProbe": EXEC, "lifecycle": {"preStop": EXEC}}
    assert refused(registry, "spec.initContainers", [init]) == [
        f"spec.initContainers[0].lifecycle: {NOT_INIT}",
        f"spec.initContainers[0].livenessProbe: {NOT_INIT}",
    ]
    assert refused(registry, "spec.initContainers", [{"name": "c", "image": "x", "restartPolicy": "Never"}]) == [
        'spec.initContainers[0].restartPolicy: Unsupported value: "Never": supported values: "Always"',
        'spec.initContainers[0].name: Duplicate value: "c"',
    ]
    assert refused(registry, "spec.containers.0.restartPolicy", "Always") == [
        f"{C}.restartPolicy: Forbidden: may not be set for non-init containers"
    ]
    sidecar = changed(POD, "spec.initContainers", [{**init, "restartPolicy": "Always"}])
    assert registry.create(PODS, sidecar, "default")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "spec.dnsPolicy",
            "Mine",
            'spec.dnsPolicy: Unsupported value: "Mine": supported values: "ClusterFirstWithHostNet", "ClusterFirst",'
            ' "Default", "None"',
        ),
        ("spec.dnsPolicy", "None", "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        ("spec.dnsConfig", {"nameservers": ["x"]}, f'spec.dnsConfig.nameservers[0]: Invalid value: "x": {IP}'),
        (
            "spec.dnsConfig",
            {"nameservers": ["1.1.1.1"] * 4},
            'spec.dnsConfig.nameservers: Invalid value: []string{"1.1.1.1", "1.1.1.1", "1.1.1.1", "1.1.1.1"}: must not'
            " have more than 3 nameservers",
        ),
        (
            "spec.dnsConfig",
            {"options": [{"value": "1"}]},
            "spec.dnsConfig.options[0]: Required value: must not be empty",
        ),
        ("spec.hostAliases", [{"ip": "x"}], f'spec.hostAliases[0].ip: Invalid value: "x": {IP}'),
        ("spec.hostname", "a.b", f'spec.hostname: Invalid value: "a.b": {LABEL}'),
        (
            "spec.activeDeadlineSeconds",
            0,
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
        (
            "spec.readinessGates",
            [{"conditionType": "a b"}],
            f'spec.readinessGates[0].conditionType: Invalid value: "a b": name part {QUALIFIED}',
        ),
        (
            "spec.schedulingGates",
            [{"name": "a"}, {"name": "a"}],
            'spec.schedulingGates[1]: Duplicate value: "a"',
        ),
        (
            "spec.securityContext",
            {"runAsUser": -1},
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
        (
            "spec.securityContext",
            {"sysctls": [{"name": "a b", "value": "1"}]},
            'spec.securityContext.sysctls[0].name: Invalid value: "a b": must have at most 253 characters and match'
            r" regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
        ),
        (
            "spec.securityContext",
            {"seccompProfile": {"type": "Localhost"}},
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is"
            " Localhost",
        ),
        (
            "spec.containers.0.securityContext",
            {"procMount": "Unmasked"},
            f'{C}.securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`',
        ),
        (
            "metadata.annotations",
            {"controller.kubernetes.io/pod-deletion-cost": "07"},
            'metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "07": must be a 32bit'
            " integer",
        ),
        (
            "spec.containers.0.image",
            " x",
            f'{C}.image: Invalid value: " x": must not have leading or trailing whitespace',
        ),
        (
            "spec.ephemeralContainers",
            [{"name": "e", "image": "x"}],
            "spec.ephemeralContainers: Forbidden: cannot be set on create",
        ),
    ],
)
def test_the_rest_of_the_spec(registry: Registry, path: str, value: object, expected: str):
    assert refused(registry, path, value) == [expected]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "spec.tolerations",
            [{"operator": "Equal"}],
            'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which'
            ' means "match all values and all keys"',
        ),
        (
            "spec.tolerations",
            [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1}],
            "spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when"
            " `tolerationSeconds` is set",
        ),
        (
            "spec.tolerations",
            [{"key": "a", "operator": "Is"}],
            'spec.tolerations[0].operator: Unsupported value: "Is": supported values: "Equal", "Exists"',
        ),
        (
            "spec.tolerations",
            [{"key": "a", "effect": "Never"}],
            'spec.tolerations[0].effect: Unsupported value: "Never": supported values: "NoSchedule",'
            ' "PreferNoSchedule", "NoExecute"',
        ),
        (
            NODE_REQUIRED,
            {"nodeSelectorTerms": []},
            f"{NODE_TERMS}: Required value: must have at least one node selector term",
        ),
        (
            NODE_REQUIRED,
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]},
            f"{NODE_TERMS}[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or"
            " 'NotIn'",
        ),
        (
            NODE_REQUIRED,
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1", "2"]}]}]},
            f"{NODE_TERMS}[0].matchExpressions[0].values: Required value: must be specified single value when"
            " `operator` is 'Lt' or 'Gt'",
        ),
        (
            NODE_REQUIRED,
            {"nodeSelectorTerms": [{"matchFields": [{"key": "spec.x", "operator": "In", "values": ["n"]}]}]},
            f'{NODE_TERMS}[0].matchFields[0].key: Invalid value: "spec.x": not a valid field selector key',
        ),
        (
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution",
            [{"weight": 0, "podAffinityTerm": {"topologyKey": "a"}}],
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0:"
            " must be in the range 1-100",
        ),
        (
            POD_REQUIRED,
            [{"topologyKey": "a", "matchLabelKeys": ["x"]}],
            f"{POD_REQUIRED}[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
        ),
        (
            "spec.topologySpreadConstraints",
            [{**SPREAD, "maxSkew": 0}],
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        ),
        (
            "spec.topologySpreadConstraints",
            [{**SPREAD, "whenUnsatisfiable": "Wait"}],
            'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Wait": supported values:'
            ' "DoNotSchedule", "ScheduleAnyway"',
        ),
        (
            "spec.topologySpreadConstraints",
            [SPREAD, SPREAD],
            "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value:"
            ' "{zone, DoNotSchedule}"',
        ),
        (
            "spec.topologySpreadConstraints",
            [{**SPREAD, "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2}],
            "spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains if"
            " whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
        ),
    ],
)
def test_where_it_may_run(registry: Registry, path: str, value: object, expected: str):
    assert refused(registry, path, value) == [expected]


def test_causes_stand_in_upstreams_order(registry: Registry):
    pod = changed(changed(POD, "spec.volumes", [{"name": "v", "secret": {}}]), "spec.restartPolicy", "X")
    pod = changed(changed(pod, "spec.hostname", "a.b"), "spec.containers.0.ports", [{"containerPort": 0}])
    fields = [line.partition(": ")[0] for line in refusal(registry, PODS, changed(pod, "metadata.name", "A"))]
    assert fields == [
        "metadata.name",
        f"{V}.secret.secretName",
        f"{C}.ports[0].containerPort",
        "spec.restartPolicy",
        "spec.hostname",
    ]


# -- templates and owners


def test_what_is_particular_about_templates(registry: Registry):
    def said(path: str, value: object) -> list[str]:
        return refusal(registry, DEPLOYMENTS, changed(REPLICASET, path, value))

    assert said("spec.template.metadata.annotations", {"a b": "x"})[0].startswith(
        'spec.template.annotations: Invalid value: "a b": name part'
    )
    assert said("spec.template.spec.activeDeadlineSeconds", 1) == [
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"
    ]
    assert said("spec.template.spec.ephemeralContainers", [{"name": "e", "image": "x"}]) == [
        "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"
    ]
    assert said("spec.template", None) == [
        "spec.template.metadata.labels: Invalid value: map[string]string(nil): `selector` does not match template"
        " `labels`",
        "spec.template.spec.containers: Required value",
    ]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (
            {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}},
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            {"type": "Blue"},
            'spec.strategy: Unsupported value: apps.DeploymentStrategy{Type:"Blue",'
            ' RollingUpdate:(*apps.RollingUpdateDeployment)(nil)}: supported values: "Recreate", "RollingUpdate"',
        ),
        (
            {"rollingUpdate": {"maxUnavailable": "101%"}},
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 101%: must not be greater than 100%",
        ),
        (
            {"rollingUpdate": {"maxSurge": "many"}},
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: many: a valid percent string must be a numeric string"
            " followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ),
        (
            {"rollingUpdate": {"maxSurge": -1}},
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
        ),
    ],
)
def test_strategies(registry: Registry, strategy: dict, expected: str):
    assert refusal(registry, DEPLOYMENTS, changed(REPLICASET, "spec.strategy", strategy)) == [expected]


def test_replication_controllers(registry: Registry):
    bare = {"metadata": {"name": "rc"}, "spec": {"replicas": -1, "minReadySeconds": -1}}
    assert refusal(registry, REPLICATIONCONTROLLERS, bare) == [
        "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
        "spec.selector: Required value",
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        "spec.template: Required value",
    ]
    wrong = {"metadata": {"name": "rc"}, "spec": {"selector": {"a": "b"}, "template": copy.deepcopy(TEMPLATE)}}
    assert LABELS == {"app": "web"}
    assert refusal(registry, REPLICATIONCONTROLLERS, wrong) == [
        'spec.template.metadata.labels: Invalid value: map[string]string{"app":"web"}: `selector` does not match'
        " template `labels`"
    ]


# -- updates


@pytest.fixture
def made(registry: Registry) -> dict:
    pod = changed(POD, "spec.tolerations", [{"key": "a", "operator": "Exists"}])
    pod = changed(pod, "spec.activeDeadlineSeconds", 100)
    return registry.create(PODS, pod, "default")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "spec.containers",
            [CONTAINER, {**CONTAINER, "name": "d"}],
            "spec.containers: Forbidden: pod updates may not add or remove containers",
        ),
        (
            "spec.activeDeadlineSeconds",
            101,
            "spec.activeDeadlineSeconds: Invalid value: 101: must be less than or equal to previous value",
        ),
        (
            "spec.activeDeadlineSeconds",
            None,
            'spec.activeDeadlineSeconds: Invalid value: "null": must not update from a positive integer to nil value',
        ),
        (
            "spec.tolerations",
            [],
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (
            "spec.schedulingGates",
            [{"name": "g"}],
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'",
        ),
        (
            "spec.nodeSelector",
            {"a": "b"},
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
        ),
        (
            "spec.containers.0.command",
            ["x"],
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
        ),
    ],
)
def test_what_stays_of_a_pod(registry: Registry, made: dict, path: str, value: object, expected: str):
    assert update_refusal(registry, PODS, made, path, value)[-1].startswith(expected)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.containers.0.image", "other"),
        ("spec.activeDeadlineSeconds", 50),
        ("metadata.labels", {"a": "b"}),
    ],
)
def test_what_may_change_of_a_pod(registry: Registry, made: dict, path: str, value: object):
    assert registry.update(PODS, "p", changed(made, path, value), "default")


def test_a_pod_at_a_gate_is_told_where_to_run(registry: Registry):
    gated = registry.create(PODS, changed(POD, "spec.schedulingGates", [{"name": "example.com/g"}]), "default")
    placed = registry.update(PODS, "p", changed(gated, "spec.nodeSelector", {"disk": "ssd"}), "default")
    assert update_refusal(registry, PODS, placed, "spec.nodeSelector", {"disk": "hdd"}) == [
        'spec.nodeSelector: Invalid value: map[string]string{"disk":"hdd"}: only additions to spec.nodeSelector are'
        " allowed (no mutations or deletions)"
    ]
    assert registry.update(PODS, "p", changed(placed, "spec.schedulingGates", None), "default")


def test_a_pod_at_a_gate_can_only_be_held_tighter(registry: Registry):
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    ssd, zone = ({"key": key, "operator": "In", "values": ["x"]} for key in ("ssd", "zone"))
    gated = registry.create(PODS, changed(POD, "spec.schedulingGates", [{"name": "example.com/g"}]), "default")
    placed = registry.update(PODS, "p", changed(gated, "spec.affinity", _required([ssd])), "default")
    stricter = registry.update(PODS, "p", changed(placed, "spec.affinity", _required([ssd, zone])), "default")
    (problem,) = update_refusal(registry, PODS, stricter, "spec.affinity", _required([zone]))
    assert problem.startswith(f"{path}[0]: Invalid value: ")
    assert problem.endswith(": only additions are allowed (no mutations or deletions)")
    (problem,) = update_refusal(registry, PODS, stricter, "spec.affinity", _required([ssd, zone], [ssd]))
    assert problem.endswith(": no additions/deletions to non-empty NodeSelectorTerms list are allowed")
    (problem,) = update_refusal(registry, PODS, stricter, "spec.affinity", None)
    assert problem.startswith(f"{path}: Invalid value: []: no additions")


def _required(*terms: list[dict]) -> dict:
    required = {"nodeSelectorTerms": [{"matchExpressions": expressions} for expressions in terms]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def test_what_has_ended_stays_ended(registry: Registry):
    pod = registry.create(PODS, changed(POD, "spec.restartPolicy", "Never"), "default")
    ended = changed(pod, "status.containerStatuses", [{"name": "c", "state": {"terminated": {"exitCode": 0}}}])
    ended = registry.update(PODS, "p", ended, "default", subresource="status")
    again = changed(ended, "status.containerStatuses.0.state", {"running": {}})
    with pytest.raises(Exception, match=r"status.containerStatuses\[0\].state: Forbidden: may not be transitioned to"):
        registry.update(PODS, "p", again, "default", subresource="status")
