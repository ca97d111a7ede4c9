"""The controllers: each watches objects through the API and writes back what brings the cluster closer to their specs.

Upstream: cmd/kube-controller-manager. One file holds one controller; `controller.py` holds the loop that all run.
"""

from __future__ import annotations

import asyncio
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient
from kubelab.cluster.controllers.clusterroleaggregation import ClusterRoleAggregationController
from kubelab.cluster.controllers.config import ControllerConfig
from kubelab.cluster.controllers.controller import Context, Controller
from kubelab.cluster.controllers.cronjob import CronJobController
from kubelab.cluster.controllers.daemonset import DaemonSetController
from kubelab.cluster.controllers.deployment import DeploymentController
from kubelab.cluster.controllers.disruption import DisruptionController
from kubelab.cluster.controllers.endpoints import EndpointsController
from kubelab.cluster.controllers.endpointslice import EndpointSliceController
from kubelab.cluster.controllers.endpointslicemirroring import EndpointSliceMirroringController
from kubelab.cluster.controllers.garbagecollector import GarbageCollector
from kubelab.cluster.controllers.job import JobController, OrphanPodController, TTLAfterFinishedController
from kubelab.cluster.controllers.namespace import NamespaceController
from kubelab.cluster.controllers.nodelifecycle import NodeLifecycleController
from kubelab.cluster.controllers.podgc import PodGarbageCollector
from kubelab.cluster.controllers.replicaset import ReplicaSetController
from kubelab.cluster.controllers.replicationcontroller import ReplicationControllerController
from kubelab.cluster.controllers.resourcequota import ResourceQuotaController
from kubelab.cluster.controllers.rootca import RootCAPublisher
from kubelab.cluster.controllers.serviceaccount import ServiceAccountController
from kubelab.cluster.controllers.servicetoken import ServiceAccountTokenController
from kubelab.cluster.controllers.staledisruption import StaleDisruptionController
from kubelab.cluster.controllers.tainteviction import TaintEvictionController
from kubelab.cluster.informer import Informers

CONTROLLERS: tuple[type[Controller | PodGarbageCollector], ...] = (
    DeploymentController,
    ReplicaSetController,
    ReplicationControllerController,
    DaemonSetController,
    JobController,
    OrphanPodController,
    TTLAfterFinishedController,
    CronJobController,
    EndpointsController,
    EndpointSliceController,
    EndpointSliceMirroringController,
    NamespaceController,
    ServiceAccountController,
    ServiceAccountTokenController,
    GarbageCollector,
    NodeLifecycleController,
    TaintEvictionController,
    PodGarbageCollector,
    ClusterRoleAggregationController,
    ResourceQuotaController,
    DisruptionController,
    StaleDisruptionController,
)


async def run(client: APIClient, config: dict[str, Any], clock: Clock) -> None:
    """Run every controller until cancelled.

    `config` is `config/kube-controller-manager.json`. Raises ValueError where it names a setting that is not honoured.
    """
    informers = Informers(client, clock)
    context = Context(client, informers, clock, ControllerConfig.from_dict(config))
    controllers = [kind(context) for kind in CONTROLLERS]
    if client.ca_pem:
        controllers.append(RootCAPublisher(context, client.ca_pem))
    await informers.start()
    try:
        async with asyncio.TaskGroup() as group:
            for controller in controllers:
                group.create_task(controller.run(), name=controller.name)
    finally:
        await context.stop()
