"""The scheduler: gives every pod a node, through the API alone.

Upstream: cmd/kube-scheduler, pkg/scheduler. `queue.py` says who is next, `plugins/` where a pod can run and where it
should, `preemption.py` who would have to make room, `scheduler.py` does it.
"""

from __future__ import annotations

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient
from kubelab.cluster.informer import Informers
from kubelab.cluster.scheduler.scheduler import Scheduler


async def run(client: APIClient, clock: Clock) -> None:
    """Schedule until cancelled."""
    informers = Informers(client, clock)
    scheduler = Scheduler(client, informers, clock)
    await informers.start()
    try:
        await scheduler.run()
    finally:
        await informers.stop()
