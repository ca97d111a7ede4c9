"""The scheduler's rules, one a file, in the order in which they are asked.

Upstream: pkg/scheduler/framework/plugins and the default profile (apis/config/v1/default_plugins.go), with its
weights. The rules about volumes and devices are missing: there are none here.
"""

from __future__ import annotations

from kubelab.cluster.scheduler.framework import Plugin
from kubelab.cluster.scheduler.plugins.image_locality import ImageLocality
from kubelab.cluster.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from kubelab.cluster.scheduler.plugins.node_affinity import NodeAffinity
from kubelab.cluster.scheduler.plugins.node_name import NodeName
from kubelab.cluster.scheduler.plugins.node_ports import NodePorts
from kubelab.cluster.scheduler.plugins.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from kubelab.cluster.scheduler.plugins.node_unschedulable import NodeUnschedulable
from kubelab.cluster.scheduler.plugins.pod_topology_spread import PodTopologySpread
from kubelab.cluster.scheduler.plugins.taint_toleration import TaintToleration

PLUGINS: tuple[Plugin, ...] = (
    NodeUnschedulable(),
    NodeName(),
    TaintToleration(),
    NodeAffinity(),
    NodePorts(),
    NodeResourcesFit(),
    PodTopologySpread(),
    InterPodAffinity(),
    NodeResourcesBalancedAllocation(),
    ImageLocality(),
)
BY_NAME = {plugin.name: plugin for plugin in PLUGINS}
