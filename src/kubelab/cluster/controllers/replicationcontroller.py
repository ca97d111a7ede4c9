"""ReplicationController: the ReplicaSet's predecessor, whose selector is a plain map. The work is in `replicas.py`.

Upstream: pkg/controller/replication, which converts to ReplicaSets and back.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.controllers.replicas import ReplicaController
from kubelab.cluster.resources import REPLICATIONCONTROLLERS
from kubelab.cluster.selectors import map_matches


class ReplicationControllerController(ReplicaController):
    name = "replication-controller"
    resource = REPLICATIONCONTROLLERS

    @staticmethod
    def selects(owner: dict[str, Any], labels: dict[str, str]) -> bool:
        selector = owner["spec"].get("selector")
        return bool(selector) and map_matches(selector, labels)
