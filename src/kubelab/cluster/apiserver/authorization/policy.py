"""The roles and bindings that every cluster begins with.

Upstream: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go (and testdata/cluster-roles.yaml), for metrics
metrics-server's manifest. Those of the controllers are in `controller_policy.py`. What an administrator takes away from
them comes back at the next start (`reconcile.py`).
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
LABEL = {"kubernetes.io/bootstrapping": "rbac-defaults"}
AUTO_UPDATE = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
READ = "get list watch"
WRITE = "create delete deletecollection patch update"
READ_WRITE = f"{READ} {WRITE}"


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Object:
    """A rule on resources; each argument lists words, and the group `core` is the one without a name."""
    made: Object = {"verbs": sorted(verbs.split()), "apiGroups": [g.replace("core", "") for g in groups.split()]}
    made["resources"] = sorted(resources.split())
    return made | {"resourceNames": sorted(names.split())} if names else made


def urls(paths: str, verbs: str = "get") -> Object:
    return {"verbs": verbs.split(), "nonResourceURLs": sorted(paths.split())}


def cluster_role(name: str, *rules: Object, into: str = "", collects: str = "") -> Object:
    """`into`: the roles that take its rules in; `collects`: the one whose parts make up its rules."""
    labels = {**LABEL, **{f"{RBAC}/aggregate-to-{target}": "true" for target in into.split()}}
    made: Object = {"metadata": {"name": name, "labels": labels, "annotations": AUTO_UPDATE}}
    if collects:
        selector = {"matchLabels": {f"{RBAC}/aggregate-to-{collects}": "true"}}
        return made | {"aggregationRule": {"clusterRoleSelectors": [selector]}, "rules": []}
    return made | {"rules": list(rules)}


def subjects(*, users: str = "", groups: str = "", accounts: str = "") -> list[Object]:
    """`accounts` are service accounts of kube-system."""
    found = [{"kind": "User", "apiGroup": RBAC, "name": name} for name in users.split()]
    found += [{"kind": "Group", "apiGroup": RBAC, "name": name} for name in groups.split()]
    return found + [{"kind": "ServiceAccount", "name": name, "namespace": "kube-system"} for name in accounts.split()]


def cluster_binding(role: str, **who: str) -> Object:
    meta = {"name": role, "labels": LABEL, "annotations": AUTO_UPDATE}
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    return {"metadata": meta, "roleRef": ref, "subjects": subjects(**who)}


EVENTS = rule("create patch update", "core events.k8s.io", "events")
TOKEN_REVIEWS = rule("create", "authentication.k8s.io", "tokenreviews")
ACCESS_REVIEWS = rule("create", "authorization.k8s.io", "subjectaccessreviews")

# What the node authorizer gives to every node alike.
NODE_RULES: tuple[Object, ...] = (
    TOKEN_REVIEWS,
    rule("create", "authorization.k8s.io", "subjectaccessreviews localsubjectaccessreviews"),
    rule(READ, "core", "services"),
    rule("create get list watch", "core", "nodes"),
    rule("patch update", "core", "nodes/status"),
    rule("patch update", "core", "nodes"),
    rule("create patch update", "core", "events"),
    rule(READ, "core", "pods"),
    rule("create delete", "core", "pods"),
    rule("patch update", "core", "pods/status"),
    rule("create", "core", "pods/eviction"),
    rule(READ, "core", "configmaps secrets"),
    rule("get", "core", "persistentvolumeclaims persistentvolumes"),
    rule("get", "core", "endpoints"),
    rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    rule("create delete get patch update", "coordination.k8s.io", "leases"),
    rule("get", "storage.k8s.io", "volumeattachments"),
    rule("create", "core", "serviceaccounts/token"),
    rule("get patch update", "core", "persistentvolumeclaims/status"),
    rule(READ, "storage.k8s.io", "csidrivers"),
    rule("create delete get patch update", "storage.k8s.io", "csinodes"),
    rule(READ, "node.k8s.io", "runtimeclasses"),
)

_CORE_PARTS = "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale"
_APPS = "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"
_EXTENSIONS = (
    "daemonsets deployments deployments/scale ingresses networkpolicies replicasets replicasets/scale"
    " replicationcontrollers/scale"
)
_PROXIES = "pods/attach pods/exec pods/portforward pods/proxy"
_STATUS = "daemonsets/status deployments/status replicasets/status"
VIEW: tuple[Object, ...] = (
    rule(
        READ,
        "core",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers"
        " replicationcontrollers/scale serviceaccounts services services/status",
    ),
    rule(
        READ,
        "core",
        "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status"
        " resourcequotas resourcequotas/status",
    ),
    rule(READ, "core", "namespaces"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule(READ, "apps", f"{_APPS} {_STATUS} controllerrevisions statefulsets/status"),
    rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    rule(READ, "extensions", f"{_EXTENSIONS} {_STATUS} ingresses/status"),
    rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
)
EDIT: tuple[Object, ...] = (
    rule(READ, "core", f"{_PROXIES} secrets services/proxy"),
    rule("impersonate", "core", "serviceaccounts"),
    rule(WRITE, "core", f"pods {_PROXIES}"),
    rule("create", "core", "pods/eviction"),
    rule(WRITE, "core", f"{_CORE_PARTS} secrets serviceaccounts services services/proxy"),
    rule("create", "core", "serviceaccounts/token"),
    rule(WRITE, "apps", f"{_APPS} deployments/rollback"),
    rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
    rule(WRITE, "batch", "cronjobs jobs"),
    rule(WRITE, "extensions", f"{_EXTENSIONS} deployments/rollback"),
    rule(WRITE, "policy", "poddisruptionbudgets"),
    rule(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    rule(READ_WRITE, "coordination.k8s.io", "leases"),
)
_PUBLIC = "/healthz /livez /readyz /version /version/"
_HEALTH = "/healthz /healthz/* /livez /livez/* /readyz /readyz/*"

CLUSTER_ROLES: tuple[Object, ...] = (
    cluster_role("cluster-admin", rule("*", "*", "*"), urls("*", "*")),
    cluster_role("system:discovery", urls(f"{_PUBLIC} /api /api/* /apis /apis/* /openapi /openapi/*")),
    cluster_role("system:public-info-viewer", urls(_PUBLIC)),
    cluster_role("system:monitoring", urls(f"{_HEALTH} /metrics /metrics/slis")),
    cluster_role(
        "system:basic-user",
        rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        rule("create", "authentication.k8s.io", "selfsubjectreviews"),
    ),
    cluster_role("admin", collects="admin"),
    cluster_role("edit", into="admin", collects="edit"),
    cluster_role("view", into="edit", collects="view"),
    cluster_role(
        "system:aggregate-to-admin",
        rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
        rule(READ_WRITE, RBAC, "rolebindings roles"),
        into="admin",
    ),
    cluster_role("system:aggregate-to-edit", *EDIT, into="edit"),
    cluster_role("system:aggregate-to-view", *VIEW, into="view"),
    cluster_role(
        "system:aggregated-metrics-reader", rule(READ, "metrics.k8s.io", "nodes pods"), into="view edit admin"
    ),
    cluster_role("system:node", *NODE_RULES),
    cluster_role(
        "system:node-problem-detector", rule("get", "core", "nodes"), rule("patch", "core", "nodes/status"), EVENTS
    ),
    cluster_role(
        "system:kubelet-api-admin",
        rule(READ, "core", "nodes"),
        rule("proxy", "core", "nodes"),
        rule("*", "core", "nodes/proxy nodes/metrics nodes/stats nodes/log nodes/configz nodes/healthz nodes/pods"),
    ),
    cluster_role("system:node-bootstrapper", NODE_RULES[14]),
    cluster_role("system:auth-delegator", TOKEN_REVIEWS, ACCESS_REVIEWS),
    cluster_role("system:kube-aggregator", rule(READ, "core", "endpoints services")),
    cluster_role(
        "system:kube-controller-manager",
        EVENTS,
        rule("create", "coordination.k8s.io", "leases"),
        rule("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
        rule("create", "core", "secrets serviceaccounts"),
        rule("delete", "core", "secrets"),
        rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
        rule("update", "core", "secrets serviceaccounts"),
        TOKEN_REVIEWS,
        ACCESS_REVIEWS,
        rule("list watch", "*", "*"),
        rule("create", "core", "serviceaccounts/token"),
    ),
    cluster_role("system:kube-dns", rule("list watch", "core", "endpoints services")),
    cluster_role(
        "system:kube-scheduler",
        EVENTS,
        rule("create", "coordination.k8s.io", "leases"),
        rule("get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
        rule(READ, "core", "nodes"),
        rule("delete get list watch", "core", "pods"),
        rule("create", "core", "bindings pods/binding"),
        rule("patch update", "core", "pods/status"),
        rule(READ, "core", "replicationcontrollers services"),
        rule(READ, "apps extensions", "replicasets"),
        rule(READ, "apps", "statefulsets"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "core", "persistentvolumeclaims persistentvolumes"),
        TOKEN_REVIEWS,
        ACCESS_REVIEWS,
        rule(READ, "storage.k8s.io", "csinodes"),
        rule(READ, "core", "namespaces"),
        rule(READ, "storage.k8s.io", "csidrivers"),
        rule(READ, "storage.k8s.io", "csistoragecapacities"),
        # Of the scheduler's own volume role upstream, which is bound to the same user:
        rule(READ, "scheduling.k8s.io", "priorityclasses"),
    ),
    cluster_role(
        "system:node-proxier",
        rule("list watch", "core", "endpoints services"),
        rule(READ, "core", "nodes"),
        EVENTS,
        rule("list watch", "discovery.k8s.io", "endpointslices"),
        rule("list watch", "networking.k8s.io", "servicecidrs"),
    ),
    # Kubelet, service proxy and DNS are one process here, with the name of the node: what the latter two need.
    cluster_role(
        "kubelab:node-services",
        rule("list watch", "core", "namespaces services"),
        rule("list watch", "discovery.k8s.io", "endpointslices"),
    ),
    cluster_role(
        "system:persistent-volume-provisioner",
        rule("create delete get list watch", "core", "persistentvolumes"),
        rule("get list update watch", "core", "persistentvolumeclaims"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule("watch", "core", "events"),
        EVENTS,
    ),
    cluster_role(
        "system:volume-scheduler",
        rule("get list patch update watch", "core", "persistentvolumes"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule("get list patch update watch", "core", "persistentvolumeclaims"),
    ),
    cluster_role("system:service-account-issuer-discovery", urls("/.well-known/openid-configuration /openid/v1/jwks")),
)

EVERYBODY = "system:authenticated system:unauthenticated"
CLUSTER_ROLE_BINDINGS: tuple[Object, ...] = (
    cluster_binding("cluster-admin", groups="system:masters"),
    cluster_binding("system:monitoring", groups="system:monitoring"),
    cluster_binding("system:discovery", groups="system:authenticated"),
    cluster_binding("system:basic-user", groups="system:authenticated"),
    cluster_binding("system:public-info-viewer", groups=EVERYBODY),
    cluster_binding("system:kube-controller-manager", users="system:kube-controller-manager"),
    cluster_binding("system:kube-dns", accounts="kube-dns"),
    cluster_binding("system:kube-scheduler", users="system:kube-scheduler"),
    cluster_binding("system:volume-scheduler", users="system:kube-scheduler"),
    cluster_binding("system:node-proxier", users="system:kube-proxy"),
    cluster_binding("system:service-account-issuer-discovery", groups="system:serviceaccounts"),
    {**cluster_binding("system:node"), "subjects": []},
    cluster_binding("kubelab:node-services", groups="system:nodes"),
)

ROLES: tuple[tuple[str, Object], ...] = (
    (
        "extension-apiserver-authentication-reader",
        rule(READ, "core", "configmaps", "extension-apiserver-authentication"),
    ),
    ("system:controller:bootstrap-signer", rule(READ, "core", "secrets")),
    ("system:controller:token-cleaner", rule("delete get list watch", "core", "secrets")),
)
