"""Deployment: ReplicaSets of one template after another, rolled out step by step.

Upstream: pkg/controller/deployment. `controller.py` decides what a round is, `rollout.py` holds it, `rolling.py` and
`recreate.py` are the two strategies, `strategy.py` their arithmetic, `replicasets.py` revisions and hashes, `status.py`
what `kubectl rollout status` reads.
"""

from kubelab.cluster.controllers.deployment.controller import DeploymentController

__all__ = ["DeploymentController"]
