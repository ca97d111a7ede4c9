"""A role for each controller, and its binding.

Upstream: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go. There each controller has a service
account of its own. Here they share the connection of kube-controller-manager (as upstream's do without
`--use-service-account-credentials`), so each binding names that user, too: it may do what its controllers may, no more.
"""

from __future__ import annotations

from kubelab.cluster.apiserver.authorization.policy import (
    EVENTS,
    RBAC,
    READ,
    Object,
    cluster_binding,
    cluster_role,
    rule,
)

PREFIX = "system:controller:"
MANAGER = "system:kube-controller-manager"
_PODS = rule("create delete list patch watch", "core", "pods")
_OLD = "apps extensions"  # upstream still names the group in which these kinds began

# Controller -> its rules. Upstream's order; those for kinds that are not served (volumes, certificates) are left out.
RULES: dict[str, tuple[Object, ...]] = {
    "clusterrole-aggregation-controller": (rule("escalate get list patch update watch", RBAC, "clusterroles"),),
    "cronjob-controller": (
        rule("get list update watch", "batch", "cronjobs"),
        rule("create delete get list patch update watch", "batch", "jobs"),
        rule("update", "batch", "cronjobs/status"),
        rule("update", "batch", "cronjobs/finalizers"),
        rule("delete list watch", "core", "pods"),
        EVENTS,
    ),
    "daemon-set-controller": (
        rule(READ, "extensions apps", "daemonsets"),
        rule("update", "extensions apps", "daemonsets/status"),
        rule("update", "extensions apps", "daemonsets/finalizers"),
        rule("list watch", "core", "nodes"),
        _PODS,
        rule("create", "core", "pods/binding"),
        rule("create delete get list patch update watch", "apps", "controllerrevisions"),
        EVENTS,
    ),
    "deployment-controller": (
        rule("get list update watch", "extensions apps", "deployments"),
        rule("update", "extensions apps", "deployments/status"),
        rule("update", "extensions apps", "deployments/finalizers"),
        rule("create delete get list patch update watch", _OLD, "replicasets"),
        rule("get list update watch", "core", "pods"),
        EVENTS,
    ),
    "disruption-controller": (
        rule(READ, "extensions apps", "deployments"),
        rule(READ, _OLD, "replicasets"),
        rule(READ, "core", "replicationcontrollers"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "apps", "statefulsets"),
        rule("update", "policy", "poddisruptionbudgets/status"),
        rule("patch update", "core", "pods/status"),
        rule("get", "*", "*/scale"),
        EVENTS,
    ),
    "endpoint-controller": (
        rule(READ, "core", "pods services"),
        rule("create delete get list update watch", "core", "endpoints"),
        rule("create", "core", "endpoints/restricted"),
        EVENTS,
    ),
    "endpointslice-controller": (
        rule(READ, "core", "nodes pods services"),
        rule("update", "core", "services/finalizers"),
        rule("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
        EVENTS,
    ),
    "endpointslicemirroring-controller": (
        rule(READ, "core", "endpoints services"),
        rule("update", "core", "services/finalizers"),
        rule("update", "core", "endpoints/finalizers"),
        rule("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
        EVENTS,
    ),
    "generic-garbage-collector": (rule("delete get list patch update watch", "*", "*"), EVENTS),
    "horizontal-pod-autoscaler": (
        rule(READ, "autoscaling", "horizontalpodautoscalers"),
        rule("update", "autoscaling", "horizontalpodautoscalers/status"),
        rule("get update", "*", "*/scale"),
        rule("list watch", "core", "pods"),
        rule("list watch", "metrics.k8s.io", "pods"),
        rule(READ, "custom.metrics.k8s.io", "*"),
        rule(READ, "external.metrics.k8s.io", "*"),
        EVENTS,
    ),
    "job-controller": (
        rule("get list patch update watch", "batch", "jobs"),
        rule("update", "batch", "jobs/status"),
        rule("update", "batch", "jobs/finalizers"),
        _PODS,
        EVENTS,
    ),
    "namespace-controller": (
        rule("delete get list watch", "core", "namespaces"),
        rule("update", "core", "namespaces/finalize namespaces/status"),
        rule("delete deletecollection get list watch", "*", "*"),
    ),
    "node-controller": (
        rule("delete get list patch update watch", "core", "nodes"),
        rule("patch update", "core", "nodes/status"),
        rule("patch update", "core", "pods/status"),
        rule("delete get list watch", "core", "pods"),
        EVENTS,
    ),
    "pod-garbage-collector": (
        rule("delete list watch", "core", "pods"),
        rule(READ, "core", "nodes"),
        rule("patch", "core", "pods/status"),
    ),
    "replicaset-controller": (
        rule("get list update watch", _OLD, "replicasets"),
        rule("update", _OLD, "replicasets/status"),
        rule("update", _OLD, "replicasets/finalizers"),
        _PODS,
        EVENTS,
    ),
    "replication-controller": (
        rule("get list update watch", "core", "replicationcontrollers"),
        rule("update", "core", "replicationcontrollers/status"),
        rule("update", "core", "replicationcontrollers/finalizers"),
        _PODS,
        EVENTS,
    ),
    "resourcequota-controller": (
        rule("list watch", "*", "*"),
        rule("update", "core", "resourcequotas/status"),
        EVENTS,
    ),
    "service-account-controller": (rule("create", "core", "serviceaccounts"), EVENTS),
    "statefulset-controller": (
        rule("list watch", "core", "pods"),
        rule(READ, "apps", "statefulsets"),
        rule("update", "apps", "statefulsets/status"),
        rule("update", "apps", "statefulsets/finalizers"),
        rule("create delete get patch update", "core", "pods"),
        rule("create delete get list patch update watch", "apps", "controllerrevisions"),
        rule("create get list watch", "core", "persistentvolumeclaims"),
        rule("delete update", "core", "persistentvolumeclaims"),
        rule("update", "core", "pods/finalizers"),
        EVENTS,
    ),
    "ttl-controller": (rule("list patch update watch", "core", "nodes"), EVENTS),
    "ttl-after-finished-controller": (rule("delete get list watch", "batch", "jobs"), EVENTS),
    "root-ca-cert-publisher": (rule("create update", "core", "configmaps"), EVENTS),
}

CLUSTER_ROLES = tuple(cluster_role(PREFIX + name, *rules) for name, rules in RULES.items())
CLUSTER_ROLE_BINDINGS = tuple(cluster_binding(PREFIX + name, accounts=name, users=MANAGER) for name in RULES)
