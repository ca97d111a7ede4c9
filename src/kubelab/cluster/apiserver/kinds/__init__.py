"""What is particular about each kind: one Strategy a resource."""

from __future__ import annotations

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver.kinds import (
    batch,
    core,
    daemonset,
    disruption,
    pod,
    priorityclass,
    quota,
    rbac,
    service,
    workloads,
)
from kubelab.cluster.apiserver.strategy import Strategy

_STRATEGIES: dict[r.Resource, type[Strategy]] = {
    r.PODS: pod.PodStrategy,
    r.SERVICES: service.ServiceStrategy,
    r.ENDPOINTS: core.EndpointsStrategy,
    r.NAMESPACES: core.NamespaceStrategy,
    r.NODES: core.NodeStrategy,
    r.EVENTS: core.EventStrategy,
    r.CONFIGMAPS: core.ConfigMapStrategy,
    r.SECRETS: core.SecretStrategy,
    r.SERVICEACCOUNTS: core.ServiceAccountStrategy,
    r.REPLICATIONCONTROLLERS: workloads.ReplicationControllerStrategy,
    r.REPLICASETS: workloads.ReplicaSetStrategy,
    r.DEPLOYMENTS: workloads.DeploymentStrategy,
    r.DAEMONSETS: daemonset.DaemonSetStrategy,
    r.CONTROLLERREVISIONS: daemonset.ControllerRevisionStrategy,
    r.JOBS: batch.JobStrategy,
    r.CRONJOBS: batch.CronJobStrategy,
    r.ENDPOINTSLICES: core.EndpointSliceStrategy,
    r.LEASES: core.LeaseStrategy,
    r.RESOURCEQUOTAS: quota.ResourceQuotaStrategy,
    r.LIMITRANGES: quota.LimitRangeStrategy,
    r.PODTEMPLATES: workloads.PodTemplateStrategy,
    r.PODDISRUPTIONBUDGETS: disruption.PodDisruptionBudgetStrategy,
    r.ROLES: rbac.RoleStrategy,
    r.CLUSTERROLES: rbac.ClusterRoleStrategy,
    r.ROLEBINDINGS: rbac.RoleBindingStrategy,
    r.CLUSTERROLEBINDINGS: rbac.RoleBindingStrategy,
    r.PRIORITYCLASSES: priorityclass.PriorityClassStrategy,
}


def strategies() -> dict[r.Resource, Strategy]:
    """A strategy for every resource that is served."""
    return {resource: strategy(resource) for resource, strategy in _STRATEGIES.items()}
