"""Which fields of a pod and a service have an effect here, and which are stored but not honoured.

The one table behind the `Warning:` headers and COVERAGE.md (`python -m kubelab.cluster.coverage`). A path names a field
of PodSpec or ServiceSpec; `[]` steps into a list's items. A field below an honoured one is honoured, unless the table
says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# kind -> path -> why not (the text of the warning after the field's path)
NOT_HONOURED: dict[str, dict[str, str]] = {
    "pod": {
        "affinity.nodeAffinity": "the scheduler honours nodeSelector only",
        "affinity.podAffinity": "the scheduler honours nodeSelector only",
        "affinity.podAntiAffinity": "the scheduler honours nodeSelector only",
        "topologySpreadConstraints": "the scheduler spreads pods by its own score only",
        "automountServiceAccountToken": "no service account tokens are issued",
        "dnsConfig": "there is no cluster DNS",
        "ephemeralContainers": "ephemeral containers are not started",
        "hostIPC": "pods have an IPC namespace of their own",
        "hostNetwork": "pods have a network of their own",
        "hostPID": "containers have a PID namespace of their own",
        "hostUsers": "there is one user namespace",
        "imagePullSecrets": "images come from the local store",
        "os": "the node's operating system is not checked",
        "overhead": "pod overhead is not counted",
        "priorityClassName": "there is no priority and preemption",
        "readinessGates": "only the kubelet's own conditions count",
        "resourceClaims": "there is no dynamic resource allocation",
        "resources": "pod-level resources are not enforced",
        "runtimeClassName": "there is one runtime",
        "schedulingGates": "pods are scheduled at once",
        "setHostnameAsFQDN": "the host name is the pod's short name",
        "subdomain": "there is no cluster DNS",
        "securityContext": "the pod's security context is not applied",
        "containers[].securityContext": "the container's security context is not applied",
        "containers[].volumeDevices": "there are no block devices",
        "containers[].resizePolicy": "resources are not resized in place",
        "containers[].ports[].hostPort": "ports are reached by a service or by port-forward",
        "containers[].stdinOnce": "stdin stays open",
        "volumes[].persistentVolumeClaim": "there are no persistent volumes",
        "volumes[].hostPath": "the node's files are not shared with pods",
        "volumes[].nfs": "there are no network volumes",
        "volumes[].projected": "projected volumes are not mounted",
        "volumes[].csi": "there are no CSI drivers",
        "volumes[].ephemeral": "there are no persistent volumes",
        "volumes[].image": "images are not mounted",
    },
    "service": {
        "externalIPs": "the service proxy serves cluster IPs and node ports only",
        "externalName": "there is no cluster DNS",
        "healthCheckNodePort": "there are no load balancers",
        "loadBalancerClass": "there are no load balancers",
        "loadBalancerIP": "there are no load balancers",
        "loadBalancerSourceRanges": "there are no load balancers",
        "trafficDistribution": "traffic goes to any ready endpoint",
    },
}
# Values that ask for nothing, so that nothing is missed when they are not honoured.
_NEUTRAL: tuple[Any, ...] = (None, "", False, [], {})


def warnings(kind: str, spec: dict[str, Any], path: str) -> list[str]:
    """One warning for each field of `spec` that is set and not honoured; `path` is where the spec stands."""
    found = []
    for field, reason in NOT_HONOURED[kind].items():
        for where, value in _values(spec, field.split("."), path):
            if value not in _NEUTRAL:
                found.append(f"{where}: not honoured by this cluster: {reason}")
    return found


def _values(node: Any, parts: list[str], path: str) -> Iterator[tuple[str, Any]]:
    """Every place that a path of the table names, with its value."""
    name, rest = parts[0], parts[1:]
    many = name.endswith("[]")
    name = name.removesuffix("[]")
    if not isinstance(node, dict) or name not in node:
        return
    value, where = node[name], f"{path}.{name}"
    items = [(f"{where}[{i}]", item) for i, item in enumerate(value or ())] if many else [(where, value)]
    for at, item in items:
        if rest:
            yield from _values(item, rest, at)
        else:
            yield at, item
