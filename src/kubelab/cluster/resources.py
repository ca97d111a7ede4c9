"""The table of kinds that the API server serves: one row a resource, as discovery shows it.

Adding a kind is one row here, a row of columns (`apiserver/columns`), and its own defaults and validation. Names, short
names, verbs and categories are upstream's: `pkg/registry/<group>/<resource>/storage` in kubernetes/kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
STATUS_VERBS = ("get", "patch", "update")


@dataclass(frozen=True)
class Subresource:
    """`pods/log`, `deployments/scale`, …: its verbs, and the kind that it speaks where that is not the parent's."""

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


@dataclass(frozen=True)
class Resource:
    """One kind of object and where it lives in the API."""

    group: str  # "" is the core group
    version: str
    plural: str
    kind: str
    singular: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    categories: tuple[str, ...] = ()
    list_kind: str = field(default="", compare=False)
    deprecation: str = field(default="", compare=False)  # the warning that comes with every answer

    def __post_init__(self) -> None:
        object.__setattr__(self, "list_kind", self.list_kind or f"{self.kind}List")

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind, and where it can be listed that of the list."""
        return (self.kind, self.list_kind) if "list" in self.verbs else (self.kind,)

    @property
    def qualified(self) -> str:
        """The name in error messages: `pods`, `replicasets.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def subresource(self, name: str) -> Subresource | None:
        return next((sub for sub in self.subresources if sub.name == name), None)

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """The URL path: a collection, an object in it, or a subresource of that.

        A namespaced resource without `namespace` gives the collection over all namespaces.
        """
        parts = ["/api/v1" if not self.group else f"/apis/{self.group}/{self.version}"]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


STATUS = Subresource("status", STATUS_VERBS)
SCALE = Subresource("scale", STATUS_VERBS, "Scale", "autoscaling", "v1")
CONNECT_BOTH = ("create", "get")
CONNECT_ANY = ("create", "delete", "get", "patch", "update")

PODS = Resource(
    "",
    "v1",
    "pods",
    "Pod",
    "pod",
    ("po",),
    categories=("all",),
    subresources=(
        STATUS,
        Subresource("binding", ("create",), "Binding"),
        Subresource("ephemeralcontainers", STATUS_VERBS),
        Subresource("eviction", ("create",), "Eviction", "policy", "v1"),
        Subresource("log", ("get",)),
        Subresource("exec", CONNECT_BOTH, "PodExecOptions"),
        Subresource("attach", CONNECT_BOTH, "PodAttachOptions"),
        Subresource("portforward", CONNECT_BOTH, "PodPortForwardOptions"),
        Subresource("proxy", CONNECT_ANY, "PodProxyOptions"),
    ),
)
SERVICES = Resource(
    "",
    "v1",
    "services",
    "Service",
    "service",
    ("svc",),
    categories=("all",),
    subresources=(STATUS, Subresource("proxy", CONNECT_ANY, "ServiceProxyOptions")),
)
ENDPOINTS_DEPRECATED = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
ENDPOINTS = Resource(
    "",
    "v1",
    "endpoints",
    "Endpoints",
    "endpoints",
    ("ep",),
    list_kind="EndpointsList",
    deprecation=ENDPOINTS_DEPRECATED,
)
NAMESPACES = Resource(
    "",
    "v1",
    "namespaces",
    "Namespace",
    "namespace",
    ("ns",),
    namespaced=False,
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=(STATUS, Subresource("finalize", ("update",))),
)
NODES = Resource(
    "",
    "v1",
    "nodes",
    "Node",
    "node",
    ("no",),
    namespaced=False,
    subresources=(STATUS, Subresource("proxy", CONNECT_ANY, "NodeProxyOptions")),
)
EVENTS = Resource("", "v1", "events", "Event", "event", ("ev",))
# The same objects as EVENTS, under newer names of their fields (apiserver/eventconversion.py): served, not stored.
EVENTS_V1 = Resource("events.k8s.io", "v1", "events", "Event", "event", ("ev",))
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap", "configmap", ("cm",))
SECRETS = Resource("", "v1", "secrets", "Secret", "secret")
SERVICEACCOUNTS = Resource(
    "",
    "v1",
    "serviceaccounts",
    "ServiceAccount",
    "serviceaccount",
    ("sa",),
    subresources=(Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io", "v1"),),
)
REPLICATIONCONTROLLERS = Resource(
    "",
    "v1",
    "replicationcontrollers",
    "ReplicationController",
    "replicationcontroller",
    ("rc",),
    categories=("all",),
    subresources=(STATUS, SCALE),
)
REPLICASETS = Resource(
    "apps", "v1", "replicasets", "ReplicaSet", "replicaset", ("rs",), categories=("all",), subresources=(STATUS, SCALE)
)
DEPLOYMENTS = Resource(
    "apps",
    "v1",
    "deployments",
    "Deployment",
    "deployment",
    ("deploy",),
    categories=("all",),
    subresources=(STATUS, SCALE),
)
DAEMONSETS = Resource(
    "apps", "v1", "daemonsets", "DaemonSet", "daemonset", ("ds",), categories=("all",), subresources=(STATUS,)
)
CONTROLLERREVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision", "controllerrevision")
JOBS = Resource("batch", "v1", "jobs", "Job", "job", categories=("all",), subresources=(STATUS,))
CRONJOBS = Resource(
    "batch", "v1", "cronjobs", "CronJob", "cronjob", ("cj",), categories=("all",), subresources=(STATUS,)
)
ENDPOINTSLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "endpointslice")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", "lease")
RESOURCEQUOTAS = Resource(
    "", "v1", "resourcequotas", "ResourceQuota", "resourcequota", ("quota",), subresources=(STATUS,)
)
LIMITRANGES = Resource("", "v1", "limitranges", "LimitRange", "limitrange", ("limits",))
PODTEMPLATES = Resource("", "v1", "podtemplates", "PodTemplate", "podtemplate")
PODDISRUPTIONBUDGETS = Resource(
    "policy",
    "v1",
    "poddisruptionbudgets",
    "PodDisruptionBudget",
    "poddisruptionbudget",
    ("pdb",),
    subresources=(STATUS,),
)
RBAC = "rbac.authorization.k8s.io"
ROLES = Resource(RBAC, "v1", "roles", "Role", "role")
ROLEBINDINGS = Resource(RBAC, "v1", "rolebindings", "RoleBinding", "rolebinding")
CLUSTERROLES = Resource(RBAC, "v1", "clusterroles", "ClusterRole", "clusterrole", namespaced=False)
CLUSTERROLEBINDINGS = Resource(
    RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", "clusterrolebinding", namespaced=False
)
PRIORITYCLASSES = Resource(
    "scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", "priorityclass", ("pc",), namespaced=False
)

RESOURCES: tuple[Resource, ...] = (
    CONFIGMAPS,
    ENDPOINTS,
    EVENTS,
    LIMITRANGES,
    NAMESPACES,
    NODES,
    PODS,
    PODTEMPLATES,
    REPLICATIONCONTROLLERS,
    RESOURCEQUOTAS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    CONTROLLERREVISIONS,
    DAEMONSETS,
    DEPLOYMENTS,
    REPLICASETS,
    CRONJOBS,
    JOBS,
    LEASES,
    ENDPOINTSLICES,
    PODDISRUPTIONBUDGETS,
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    ROLEBINDINGS,
    ROLES,
    PRIORITYCLASSES,
)


def _review(group: str, kind: str, *, namespaced: bool = False) -> Resource:
    name = kind.lower()
    return Resource(group, "v1", f"{name}s", kind, name, namespaced=namespaced, verbs=("create",))


SELFSUBJECTREVIEWS = _review("authentication.k8s.io", "SelfSubjectReview")
TOKENREVIEWS = _review("authentication.k8s.io", "TokenReview")
LOCALSUBJECTACCESSREVIEWS = _review("authorization.k8s.io", "LocalSubjectAccessReview", namespaced=True)
SELFSUBJECTACCESSREVIEWS = _review("authorization.k8s.io", "SelfSubjectAccessReview")
SELFSUBJECTRULESREVIEWS = _review("authorization.k8s.io", "SelfSubjectRulesReview")
SUBJECTACCESSREVIEWS = _review("authorization.k8s.io", "SubjectAccessReview")

# Questions rather than objects: they are answered, and never stored.
REVIEWS: tuple[Resource, ...] = (
    SELFSUBJECTREVIEWS,
    TOKENREVIEWS,
    LOCALSUBJECTACCESSREVIEWS,
    SELFSUBJECTACCESSREVIEWS,
    SELFSUBJECTRULESREVIEWS,
    SUBJECTACCESSREVIEWS,
)
SERVED = (*RESOURCES, EVENTS_V1, *REVIEWS)


def _metrics(plural: str, kind: str, *, namespaced: bool) -> Resource:
    return Resource("metrics.k8s.io", "v1beta1", plural, kind, "", namespaced=namespaced, verbs=("get", "list"))


# Figures of nodes and pods, answered by what stands for metrics-server.
METRICS_NODES = _metrics("nodes", "NodeMetrics", namespaced=False)
METRICS_PODS = _metrics("pods", "PodMetrics", namespaced=True)
METRICS: tuple[Resource, ...] = (METRICS_NODES, METRICS_PODS)
DISCOVERED = (*SERVED, *METRICS)


def by_plural(group: str, version: str, plural: str) -> Resource | None:
    return _BY_PLURAL.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Resource | None:
    """The resource of an object's `apiVersion` and `kind`, or None where the kind is not served."""
    return _BY_KIND.get((api_version, kind))


_BY_PLURAL = {(r.group, r.version, r.plural): r for r in DISCOVERED}
_BY_KIND = {(r.api_version, r.kind): r for r in RESOURCES}
