"""The DaemonSet controller: one pod on every node that fits.

Upstream: pkg/controller/daemon. `placement.py` says which nodes fit, `rolling.py` what an update may replace now,
`history.py` keeps the revisions, `controller.py` does it.
"""

from __future__ import annotations

from kubelab.cluster.controllers.daemonset.controller import DaemonSetController

__all__ = ["DaemonSetController"]
