"""The Job controller: pods that run to their end, counted once each.

Upstream: pkg/controller/job, pkg/controller/ttlafterfinished. `controller.py` decides, `pods.py` and `indexes.py` say
what a job's pods are, `managing.py` creates and deletes them, `tracking.py` counts them, `backoff.py` waits after
failures, `orphans.py` and `ttl.py` clean up.
"""

from __future__ import annotations

from kubelab.cluster.controllers.job.controller import JobController
from kubelab.cluster.controllers.job.orphans import OrphanPodController
from kubelab.cluster.controllers.job.ttl import TTLAfterFinishedController

__all__ = ["JobController", "OrphanPodController", "TTLAfterFinishedController"]
