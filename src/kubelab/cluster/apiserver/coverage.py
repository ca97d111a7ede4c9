"""Which fields of the kinds have an effect here, and which are stored but not honoured.

The one table behind the `Warning:` headers and COVERAGE.md (`python tools/write_coverage.py`). A path names a field
of the kind's spec (of an EndpointSlice itself); `[]` steps into a list's items. A field below an honoured one is
honoured, unless the table says otherwise. What is said of `containers[]` holds for `initContainers[]` too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

POD_SECURITY = {
    "appArmorProfile": "no AppArmor profile is loaded",
    "seLinuxChangePolicy": "there is no SELinux",
    "seLinuxOptions": "there is no SELinux",
    "seccompProfile": "no system call is filtered; a container with a profile of its own (Localhost) does not start",
    "supplementalGroupsPolicy": "nodes refuse it: Strict; groups of the image are merged in",
    "windowsOptions": "nodes run Linux",
}
CONTAINER_SECURITY = {
    **{key: POD_SECURITY[key] for key in ("appArmorProfile", "seLinuxOptions", "seccompProfile", "windowsOptions")},
    "procMount": "/proc is masked as by default",
}
VOLUMES = (
    *("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "ephemeral", "fc", "flexVolume"),
    *("flocker", "gcePersistentDisk", "gitRepo", "glusterfs", "image", "iscsi", "nfs"),
    *("persistentVolumeClaim", "photonPersistentDisk", "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos"),
    "vsphereVolume",
)
# kind -> path -> why not (the text of the warning after the field's path)
NOT_HONOURED: dict[str, dict[str, str]] = {
    "pod": {
        "hostIPC": "nodes refuse it: pods have an IPC namespace of their own",
        "hostNetwork": "nodes refuse it: pods have a network of their own",
        "hostPID": "nodes refuse it: containers have PID namespaces of their own",
        "hostUsers": "there is one user namespace",
        "resourceClaims": "there is no dynamic resource allocation",
        "resources": "resources of the pod as a whole are not enforced",
        "runtimeClassName": "there are no runtime classes, and a pod that names one is forbidden",
        **{f"securityContext.{field}": why for field, why in POD_SECURITY.items()},
        **{f"containers[].securityContext.{field}": why for field, why in CONTAINER_SECURITY.items()},
        "containers[].resizePolicy": "resources are not resized in place",
        "containers[].resources.claims": "there is no dynamic resource allocation",
        "containers[].volumeDevices": "there are no block devices",
        "containers[].volumeMounts[].mountPropagation": "mounts are not propagated",
        **{
            f"volumes[].{kind}": "nodes mount emptyDir, hostPath, configMap, secret, downwardAPI and projected"
            for kind in VOLUMES
        },
    },
    "job": {},
    "node": {
        "configSource": "kubelets read their settings from files",
        "externalID": "upstream does not use it either",
    },
    "endpointslice": {
        "endpoints[].deprecatedTopology": "traffic goes to any ready endpoint",
        "endpoints[].hints": "traffic goes to any ready endpoint",
    },
    "lease": {
        "preferredHolder": "the holders elect among themselves",
        "strategy": "the holders elect among themselves",
    },
    "service": {
        "healthCheckNodePort": "there are no load balancers",
        "loadBalancerClass": "there are no load balancers",
        "loadBalancerIP": "there are no load balancers",
        "loadBalancerSourceRanges": "there are no load balancers",
        "trafficDistribution": "traffic goes to any ready endpoint",
    },
}
# Where it depends on the machine what becomes of a field that is honoured, and what a node does not do.
# `kubelab doctor` says which runtime level and which cgroups there are.
ON_NODES: dict[str, str] = {
    "`resources.limits.cpu`, `requests.cpu`": "enforced by a cgroup (quota, shares) where one can be written; the"
    " scheduler counts requests everywhere",
    "`resources.limits.memory`": "enforced by a cgroup where one can be written, else by sampling every 0.1 s;"
    " either way the container ends as OOMKilled",
    "`oom_score_adj` by QoS class": "as upstream's; only root can lower it, so as an ordinary user that of"
    " Guaranteed pods stays 0",
    "`emptyDir.medium: Memory`": "a tmpfs at level *namespaces*; at level *process* a folder on disk",
    "`hostPath`": "inside the node's own disk, a folder of `$KUBELAB_HOME`, never the host's root",
    "`capabilities`, `privileged`, `runAsUser`, `sysctls`": "within the lab's user namespace, at level *namespaces*; at"
    " level *process* everything runs as the user of the lab",
    "`dnsPolicy`, `dnsConfig`": "answered by a resolver on each node; at level *process* for Python programs,"
    " others have the host's resolver",
    "`ports[].hostPort`": "served at the node's InternalIP and, as node ports are, at the node's address on the host"
    " (an ordinary user cannot listen below 1024 there: event FailedListen)",
    "Image garbage collection": "not done (`imageGCHighThresholdPercent`, `imageMinimumGCAge`): the Docker"
    " Engine has its images in the same store, and a node must not delete them",
}
# Values that ask for nothing, so that nothing is missed when they are not honoured.
_NEUTRAL: tuple[Any, ...] = (None, "", False, [], {}, "ClusterFirst", "Default", "Merge")


def warnings(kind: str, spec: dict[str, Any], path: str) -> list[str]:
    """One warning for each field of `spec` that is set and not honoured; `path` is where the spec stands."""
    found = []
    for field, reason in NOT_HONOURED[kind].items():
        init = field.replace("containers[]", "initContainers[]", 1) if field.startswith("containers[]") else ""
        for where, value in (found_at for name in (field, init) for found_at in _values(spec, name.split("."), path)):
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
    value, where = node[name], f"{path}.{name}" if path else name
    items = [(f"{where}[{i}]", item) for i, item in enumerate(value or ())] if many else [(where, value)]
    for at, item in items:
        if rest:
            yield from _values(item, rest, at)
        else:
            yield at, item
