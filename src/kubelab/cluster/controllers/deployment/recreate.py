"""The strategy Recreate: all old pods go, and only then do new ones come.

Upstream: pkg/controller/deployment/recreate.go.
"""

from __future__ import annotations

from kubelab.cluster.controllers.deployment.rollout import Rollout
from kubelab.cluster.informer import Informer
from kubelab.cluster.pods import controller_of, is_terminal


async def recreate(rollout: Rollout, pods: Informer) -> None:
    """One step; a pod that goes brings the next round."""
    await rollout.ensure_new(create=False)
    scaled = rollout.active_old
    for old in scaled:
        await rollout.scale(old, 0)
    if scaled or _old_pods_running(rollout, pods):
        return
    await rollout.ensure_new(create=True)
    await rollout.scale(rollout.new, rollout.wanted)
    if rollout.is_complete:
        await rollout.clean_up()


def _old_pods_running(rollout: Rollout, pods: Informer) -> bool:
    """Terminating pods still run: both versions must never be seen at once."""
    old = {replica_set["metadata"]["uid"] for replica_set in rollout.old}
    namespace = rollout.deployment["metadata"]["namespace"]
    return any(not is_terminal(pod) and (controller_of(pod) or {}).get("uid") in old for pod in pods.list(namespace))
