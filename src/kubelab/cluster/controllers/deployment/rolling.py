"""The strategy RollingUpdate: new pods up within the surge, old pods down as far as availability allows.

Upstream: pkg/controller/deployment/rolling.go.
"""

from __future__ import annotations

from kubelab.cluster.controllers.deployment.rollout import Rollout
from kubelab.cluster.controllers.deployment.strategy import max_unavailable, new_replicas, size


async def roll(rollout: Rollout) -> None:
    """One step: either scale up, or scale down, or clean up; the change brings the next round."""
    await rollout.ensure_new(create=True)
    if await _scale_new(rollout):
        return
    if await _scale_old(rollout):
        return
    if rollout.is_complete:
        await rollout.clean_up()


async def _scale_new(rollout: Rollout) -> bool:
    """Whether the new ReplicaSet's size was changed."""
    current = size(rollout.new)
    if current == rollout.wanted:
        return False
    target = rollout.wanted
    if current < rollout.wanted:
        target = new_replicas(rollout.deployment, rollout.all, rollout.new)
    await rollout.scale(rollout.new, target)
    return target != current


async def _scale_old(rollout: Rollout) -> bool:
    """Whether old pods were taken away: unhealthy ones first, as nobody misses them."""
    if not rollout.active_old:
        return False
    min_available = rollout.wanted - max_unavailable(rollout.deployment)
    new_unavailable = size(rollout.new) - rollout.new.get("status", {}).get("availableReplicas", 0)
    removable = sum(size(s) for s in rollout.all) - min_available - new_unavailable
    if removable <= 0:
        return False
    unhealthy = await _remove_unhealthy(rollout, removable)
    return await _remove_available(rollout, min_available) + unhealthy > 0


async def _remove_unhealthy(rollout: Rollout, most: int) -> int:
    removed = 0
    for old in rollout.active_old:
        unavailable = size(old) - old.get("status", {}).get("availableReplicas", 0)
        count = min(most - removed, unavailable)
        if count > 0:
            await rollout.scale(old, size(old) - count)
            removed += count
    return removed


async def _remove_available(rollout: Rollout, min_available: int) -> int:
    """Oldest first, as long as enough stay available.

    A status may be older than the size: pods that were told to go do not count, whatever the status still says.
    """
    available = sum(min(s.get("status", {}).get("availableReplicas", 0), size(s)) for s in rollout.all)
    surplus, removed = available - min_available, 0
    for old in rollout.active_old:
        count = min(size(old), surplus - removed)
        if count > 0:
            await rollout.scale(old, size(old) - count)
            removed += count
    return removed
