"""Every rule of services, endpoints and slices, in upstream's words (pkg/apis/core/validation, pkg/apis/discovery)."""

from __future__ import annotations

import pytest

from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import ENDPOINTS, ENDPOINTSLICES, SERVICES

from .refusals import SERVICE, changed, refusal, update_refusal

ALLOCATE = "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'"
IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def service(**spec: object) -> dict:
    return {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (
            service(clusterIP="None", type="NodePort"),
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        (service(type="ExternalName"), ["spec.externalName: Required value"]),
        (
            service(type="ExternalName", externalName="x", clusterIP="10.96.0.7"),
            ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"],
        ),
        (
            service(ports=[{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]),
            ['spec.ports[1].name: Duplicate value: "a"'],
        ),
        (
            service(ports=[{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]),
            [
                'spec.ports[1]: Duplicate value: core.ServicePort{Name:"", Protocol:"TCP", AppProtocol:(*string)(nil),'
                ' Port:1, TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}'
            ],
        ),
        (
            service(ports=[{"port": 1, "nodePort": 30001}]),
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            service(
                type="NodePort",
                ports=[{"port": 1, "name": "a", "nodePort": 30001}, {"port": 2, "name": "b", "nodePort": 30001}],
            ),
            ["spec.ports[1].nodePort: Duplicate value: 30001"],
        ),
        (
            service(type="NodePort", ports=[{"port": 1, "nodePort": 1}]),
            [
                "spec.ports[0].nodePort: Invalid value: 1: provided port is not in the valid range. The range"
                " of valid ports is 30000-30003"
            ],
        ),
        (
            service(sessionAffinity="Sticky"),
            ['spec.sessionAffinity: Unsupported value: "Sticky": supported values: "ClientIP", "None"'],
        ),
        (
            service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 86401}}),
            [
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than"
                " 0 and less than 86400"
            ],
        ),
        (
            service(sessionAffinityConfig={"clientIP": {"timeoutSeconds": 1}}),
            ["spec.sessionAffinityConfig: Forbidden: must not be set when session affinity is None"],
        ),
        (service(clusterIP="x"), [f'spec.clusterIPs[0]: Invalid value: "x": {IP}']),
        (
            service(clusterIP="10.96.0.7", clusterIPs=["10.96.0.8"]),
            ['spec.clusterIPs: Invalid value: []string{"10.96.0.8"}: first value must match `clusterIP`'],
        ),
        (
            service(ipFamilies=["IPv5"]),
            ['spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"'],
        ),
        (
            service(ipFamilyPolicy="Both"),
            [
                'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack",'
                ' "RequireDualStack", "SingleStack"'
            ],
        ),
        (
            service(ipFamilyPolicy="RequireDualStack"),
            [
                'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for'
                " dual-stack services"
            ],
        ),
        (service(ipFamilies=["IPv6"]), ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster']),
        (service(externalIPs=["x"]), [f'spec.externalIPs[0]: Invalid value: "x": {IP}']),
        (service(allocateLoadBalancerNodePorts=True), [ALLOCATE]),
        (
            service(externalTrafficPolicy="Local"),
            ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
        ),
        (
            service(internalTrafficPolicy="Near"),
            ['spec.internalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"'],
        ),
        (
            service(loadBalancerSourceRanges=["10.0.0.0/8"]),
            ["spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"],
        ),
        (
            service(trafficDistribution="Far"),
            ['spec.trafficDistribution: Unsupported value: "Far": supported values: "PreferClose"'],
        ),
    ],
)
def test_services(registry: Registry, obj: dict, expected: list[str]):
    assert refusal(registry, SERVICES, obj) == expected


def test_a_cluster_ip_stays(registry: Registry):
    made = registry.create(SERVICES, service(clusterIP="10.96.0.9"), "default")
    moved = changed(changed(made, "spec.clusterIP", "10.96.0.10"), "spec.clusterIPs", ["10.96.0.10"])
    assert update_refusal(registry, SERVICES, moved, "metadata.labels", None) == [
        'spec.clusterIPs[0]: Invalid value: []string{"10.96.0.10"}: may not change once set'
    ]


def test_a_service_as_it_is_stored(registry: Registry):
    made = registry.create(SERVICES, changed(SERVICE, "spec.clusterIP", "10.96.0.11"), "default")
    assert made["spec"] == {
        "clusterIP": "10.96.0.11",
        "clusterIPs": ["10.96.0.11"],
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None",
        "type": "ClusterIP",
    }
    assert made["status"] == {"loadBalancer": {}}


def endpoint_slice(**fields: object) -> dict:
    return {"metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], **fields}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"addressType": ""}, "addressType: Required value"),
        ({"addressType": "X"}, 'addressType: Unsupported value: "X": supported values: "FQDN", "IPv4", "IPv6"'),
        ({"endpoints": [{"addresses": []}]}, "endpoints[0].addresses: Required value: must contain at least 1 address"),
        (
            {"endpoints": [{"addresses": ["::1"]}]},
            'endpoints[0].addresses[0]: Invalid value: "::1": must be a valid IPv4 address',
        ),
        (
            {"endpoints": [{"addresses": ["169.254.1.1"]}]},
            'endpoints[0].addresses[0]: Invalid value: "169.254.1.1": may not be in the link-local range'
            " (169.254.0.0/16, fe80::/10)",
        ),
        ({"ports": [{"name": "a", "port": 1}, {"name": "a", "port": 2}]}, 'ports[1].name: Duplicate value: "a"'),
        ({"ports": [{"port": 0}]}, "ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
    ],
)
def test_endpoint_slices(registry: Registry, fields: dict, expected: str):
    assert refusal(registry, ENDPOINTSLICES, endpoint_slice(**fields))[0] == expected


@pytest.mark.parametrize(
    ("subset", "expected"),
    [
        ({"ports": [{"port": 1}]}, ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
        (
            {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 0}]},
            ["subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
        ),
        (
            {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1, "name": "a"}, {"port": 2}]},
            ["subsets[0].ports[1].name: Required value"],
        ),
        (
            {"notReadyAddresses": [{"ip": "0.0.0.0"}]},
            ['subsets[0].notReadyAddresses[0].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)'],
        ),
    ],
)
def test_endpoints(registry: Registry, subset: dict, expected: list[str]):
    assert refusal(registry, ENDPOINTS, {"metadata": {"name": "e"}, "subsets": [subset]}) == expected
