"""The CronJob controller: jobs at their times.

Upstream: pkg/controller/cronjob. `due.py` says which time was missed last and which comes next, `controller.py` acts.
"""

from __future__ import annotations

from kubelab.cluster.controllers.cronjob.controller import CronJobController

__all__ = ["CronJobController"]
