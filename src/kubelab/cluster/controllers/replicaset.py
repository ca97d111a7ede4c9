"""ReplicaSet: a number of pods that a LabelSelector selects. The work is in `replicas.py`.

Upstream: pkg/controller/replicaset.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.controllers.replicas import ReplicaController
from kubelab.cluster.resources import REPLICASETS
from kubelab.cluster.selectors import label_selector_matches


class ReplicaSetController(ReplicaController):
    name = "replicaset-controller"
    resource = REPLICASETS

    @staticmethod
    def selects(owner: dict[str, Any], labels: dict[str, str]) -> bool:
        return label_selector_matches(owner["spec"].get("selector"), labels)
