"""The columns of `kubectl get`: for each kind their names, and the cells of an object.

Upstream: pkg/printers/internalversion/printers.go. Pods, which have the most to say, are in `podcolumns.py`, jobs in
`batchcolumns.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver import batchcolumns, podcolumns, policycolumns
from kubelab.cluster.apiserver.age import age
from kubelab.cluster.apiserver.labelselector import to_string
from kubelab.cluster.resources import Resource

Object = dict[str, Any]
NONE = "<none>"


@dataclass(frozen=True)
class Column:
    """`wide` columns are shown with `-o wide` only. The cell is a function of the object and the time."""

    name: str
    cell: Callable[[Object, float], Any]
    wide: bool = False
    type: str = "string"
    format: str = ""


def _get(obj: Object, *path: str, default: Any = "") -> Any:
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None  # type: ignore[assignment]
    return default if obj is None else obj


def _number(*path: str) -> Callable[[Object, float], int]:
    return lambda obj, now: _get(obj, *path, default=0)


def _text(*path: str, default: str = "") -> Callable[[Object, float], str]:
    return lambda obj, now: str(_get(obj, *path) or default)


NAME = Column("Name", _text("metadata", "name"), format="name")
AGE = Column("Age", lambda obj, now: age(obj["metadata"].get("creationTimestamp"), now))


def _containers(obj: Object) -> list[Object]:
    """Of the pod template, which in a CronJob is the job template's."""
    return _get(_get(obj, "spec", "jobTemplate", default=obj), "spec", "template", "spec", "containers", default=[])


CONTAINERS = Column("Containers", lambda o, now: ",".join(c["name"] for c in _containers(o)), wide=True)
IMAGES = Column("Images", lambda o, now: ",".join(c["image"] for c in _containers(o)), wide=True)
SELECTOR = Column("Selector", lambda o, now: to_string(_get(o, "spec", "selector", default=None)), wide=True)


def _ports(service: Object, now: float) -> str:
    shown = []
    for port in _get(service, "spec", "ports", default=[]):
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node}/{port['protocol']}")
    return ",".join(shown) or NONE


def _external(service: Object, now: float) -> str:
    spec = service["spec"]
    listed = ",".join(spec.get("externalIPs") or ())
    if spec["type"] == "ExternalName":
        return spec.get("externalName", "")
    if spec["type"] != "LoadBalancer":
        return listed or NONE
    ingress = _get(service, "status", "loadBalancer", "ingress", default=[])
    addresses = ",".join(i.get("ip") or i.get("hostname") or "" for i in ingress)
    return ",".join(filter(None, (addresses, listed))) or "<pending>"


def _endpoints(obj: Object, now: float) -> str:
    """At most three of them, then how many more."""
    shown = []
    for subset in obj.get("subsets") or ():
        ports = [p["port"] for p in subset.get("ports") or ()]
        for address in subset.get("addresses") or ():
            shown += [f"{address['ip']}:{port}" for port in ports] or [address["ip"]]
    more = f" + {len(shown) - 3} more..." if len(shown) > 3 else ""
    return (",".join(shown[:3]) + more) or NONE


def _slice_ports(obj: Object, now: float) -> str:
    return ",".join(str(p.get("port", "*")) for p in obj.get("ports") or ()) or "<unset>"


def _slice_addresses(obj: Object, now: float) -> str:
    found = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return (",".join(found[:3]) + more) or "<unset>"


def _node_status(node: Object, now: float) -> str:
    ready = next((c for c in _get(node, "status", "conditions", default=[]) if c["type"] == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"]
    if _get(node, "spec", "unschedulable", default=False):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Object, now: float) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = _get(node, "metadata", "labels", default={})
    roles = {key.removeprefix(prefix) for key in labels if key.startswith(prefix) and key != prefix}
    roles |= {labels["kubernetes.io/role"]} if labels.get("kubernetes.io/role") else set()
    return ",".join(sorted(roles)) or NONE


def _address(kind: str) -> Callable[[Object, float], str]:
    def cell(node: Object, now: float) -> str:
        addresses = _get(node, "status", "addresses", default=[])
        return next((a["address"] for a in addresses if a["type"] == kind), NONE)

    return cell


def _info(field: str) -> Callable[[Object, float], str]:
    return _text("status", "nodeInfo", field, default="<unknown>")


def _last_seen(event: Object, now: float) -> str:
    first = event.get("firstTimestamp") or event.get("eventTime")
    return age(event.get("lastTimestamp") or first, now)


def _event_object(event: Object, now: float) -> str:
    involved = event.get("involvedObject") or {}
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


def _event_source(event: Object, now: float) -> str:
    source = event.get("source") or {}
    parts = (source.get("component") or event.get("reportingComponent"), source.get("host"))
    return ", ".join(part for part in parts if part)


def _node_selector(daemon_set: Object, now: float) -> str:
    return to_string(_get(daemon_set, "spec", "template", "spec", "nodeSelector", default=None))


def _controller(obj: Object, now: float) -> str:
    """`daemonset.apps/name`."""
    owner = next((o for o in _get(obj, "metadata", "ownerReferences", default=[]) if o.get("controller")), None)
    if owner is None:
        return NONE
    group = owner["apiVersion"].rpartition("/")[0]
    return f"{owner['kind'].lower()}{'.' if group else ''}{group}/{owner['name']}"


def _ready(obj: Object, now: float) -> str:
    return f"{_get(obj, 'status', 'readyReplicas', default=0)}/{_get(obj, 'spec', 'replicas', default=0)}"


_REPLICAS = [
    NAME,
    Column("Desired", _number("spec", "replicas"), type="integer"),
    Column("Current", _number("status", "replicas"), type="integer"),
    Column("Ready", _number("status", "readyReplicas"), type="integer"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
]
_CREATED = [NAME, Column("Created At", policycolumns.created, type="date")]
_BINDING = [
    NAME,
    Column("Role", policycolumns.role),
    AGE,
    Column("Users", policycolumns.subjects("User"), wide=True),
    Column("Groups", policycolumns.subjects("Group"), wide=True),
    Column("ServiceAccounts", policycolumns.subjects("ServiceAccount"), wide=True),
]
COLUMNS: dict[Resource, list[Column]] = {
    r.PODS: [NAME, *(Column(*column) for column in podcolumns.COLUMNS)],
    r.REPLICATIONCONTROLLERS: _REPLICAS,
    r.REPLICASETS: _REPLICAS,
    r.DEPLOYMENTS: [
        NAME,
        Column("Ready", _ready),
        Column("Up-to-date", _number("status", "updatedReplicas"), type="integer"),
        Column("Available", _number("status", "availableReplicas"), type="integer"),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    r.DAEMONSETS: [
        NAME,
        Column("Desired", _number("status", "desiredNumberScheduled"), type="integer"),
        Column("Current", _number("status", "currentNumberScheduled"), type="integer"),
        Column("Ready", _number("status", "numberReady"), type="integer"),
        Column("Up-to-date", _number("status", "updatedNumberScheduled"), type="integer"),
        Column("Available", _number("status", "numberAvailable"), type="integer"),
        Column("Node Selector", _node_selector),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    r.CONTROLLERREVISIONS: [
        NAME,
        Column("Controller", _controller),
        Column("Revision", _number("revision"), type="integer"),
        AGE,
    ],
    r.JOBS: [
        NAME,
        Column("Status", batchcolumns.job_status),
        Column("Completions", batchcolumns.completions),
        Column("Duration", batchcolumns.duration),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    r.CRONJOBS: [
        NAME,
        Column("Schedule", _text("spec", "schedule")),
        Column("Timezone", _text("spec", "timeZone", default=NONE)),
        Column("Suspend", batchcolumns.suspended),
        Column("Active", batchcolumns.active, type="integer"),
        Column("Last Schedule", batchcolumns.last_schedule),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", lambda o, now: NONE, wide=True),
    ],
    r.SERVICES: [
        NAME,
        Column("Type", _text("spec", "type")),
        Column("Cluster-IP", _text("spec", "clusterIP", default=NONE)),
        Column("External-IP", _external),
        Column("Port(s)", _ports),
        AGE,
        SELECTOR,
    ],
    r.ENDPOINTS: [NAME, Column("Endpoints", _endpoints), AGE],
    r.ENDPOINTSLICES: [
        NAME,
        Column("AddressType", _text("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_addresses),
        AGE,
    ],
    r.NAMESPACES: [NAME, Column("Status", _text("status", "phase")), AGE],
    r.NODES: [
        NAME,
        Column("Status", _node_status),
        Column("Roles", _roles),
        AGE,
        Column("Version", _text("status", "nodeInfo", "kubeletVersion")),
        Column("Internal-IP", _address("InternalIP"), wide=True),
        Column("External-IP", _address("ExternalIP"), wide=True),
        Column("OS-Image", _info("osImage"), wide=True),
        Column("Kernel-Version", _info("kernelVersion"), wide=True),
        Column("Container-Runtime", _info("containerRuntimeVersion"), wide=True),
    ],
    r.EVENTS: [
        Column("Last Seen", _last_seen),
        Column("Type", _text("type")),
        Column("Reason", _text("reason")),
        Column("Object", _event_object),
        Column("Subobject", _text("involvedObject", "fieldPath"), wide=True),
        Column("Source", _event_source, wide=True),
        Column("Message", lambda e, now: str(e.get("message", "")).strip()),
        Column("First Seen", lambda e, now: age(e.get("firstTimestamp") or e.get("eventTime"), now), wide=True),
        Column("Count", lambda e, now: str(e.get("count") or 1), wide=True),
        Column("Name", _text("metadata", "name"), wide=True, format="name"),
    ],
    r.CONFIGMAPS: [
        NAME,
        Column("Data", lambda o, now: len(o.get("data") or ()) + len(o.get("binaryData") or ()), type="integer"),
        AGE,
    ],
    r.SECRETS: [
        NAME,
        Column("Type", _text("type")),
        Column("Data", lambda o, now: len(o.get("data") or ()), type="integer"),
        AGE,
    ],
    r.SERVICEACCOUNTS: [NAME, Column("Secrets", lambda o, now: len(o.get("secrets") or ()), type="integer"), AGE],
    r.LEASES: [NAME, Column("Holder", _text("spec", "holderIdentity")), AGE],
    r.RESOURCEQUOTAS: [
        NAME,
        Column("Request", policycolumns.quota(limits=False)),
        Column("Limit", policycolumns.quota(limits=True)),
        AGE,
    ],
    r.PODDISRUPTIONBUDGETS: [
        NAME,
        Column("Min Available", policycolumns.budget("minAvailable")),
        Column("Max Unavailable", policycolumns.budget("maxUnavailable")),
        Column("Allowed Disruptions", _number("status", "disruptionsAllowed"), type="integer"),
        AGE,
    ],
    r.LIMITRANGES: _CREATED,
    r.PODTEMPLATES: [
        NAME,
        Column("Containers", lambda o, now: ",".join(c["name"] for c in policycolumns.template_containers(o))),
        Column("Images", lambda o, now: ",".join(c["image"] for c in policycolumns.template_containers(o))),
        Column("Pod Labels", policycolumns.template_labels),
    ],
    r.ROLES: _CREATED,
    r.CLUSTERROLES: _CREATED,
    r.ROLEBINDINGS: _BINDING,
    r.CLUSTERROLEBINDINGS: _BINDING,
    r.PRIORITYCLASSES: [
        NAME,
        Column("Value", _number("value"), type="integer"),
        Column("Global-Default", policycolumns.global_default, type="boolean"),
        AGE,
        Column("PreemptionPolicy", _text("preemptionPolicy")),
    ],
}


COLUMNS[r.EVENTS_V1] = COLUMNS[r.EVENTS]


def definitions(resource: Resource) -> list[Object]:
    """The columnDefinitions of a Table."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": "",
            "priority": int(column.wide),
        }
        for column in COLUMNS.get(resource, [NAME, AGE])
    ]


def cells(resource: Resource, obj: Object, now: float) -> list[Any]:
    """A row's cells; `now` in seconds since the epoch."""
    return [column.cell(obj, now) for column in COLUMNS.get(resource, [NAME, AGE])]
