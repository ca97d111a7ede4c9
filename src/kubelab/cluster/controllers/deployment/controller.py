"""The deployment controller: handlers, and which kind of round a deployment needs.

Upstream: pkg/controller/deployment/deployment_controller.go.
"""

from __future__ import annotations

from kubelab.cluster import times
from kubelab.cluster.controllers.controller import Context, Object
from kubelab.cluster.controllers.deployment import replicasets, status, strategy
from kubelab.cluster.controllers.deployment.recreate import recreate
from kubelab.cluster.controllers.deployment.rolling import roll
from kubelab.cluster.controllers.deployment.rollout import Rollout
from kubelab.cluster.controllers.ownercontroller import OwnerController, labels_of
from kubelab.cluster.controllers.ownership import Claimer
from kubelab.cluster.informer import Key, key_of
from kubelab.cluster.pods import condition, controller_of, is_terminating
from kubelab.cluster.resources import DEPLOYMENTS, PODS, REPLICASETS
from kubelab.cluster.selectors import label_selector_matches


class DeploymentController(OwnerController):
    name = "deployment-controller"
    resource = DEPLOYMENTS

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.replica_sets, self.pods = context.informers.of(REPLICASETS), context.informers.of(PODS)
        self.recorder = context.recorder(self.name)
        self.replica_sets.add_handler(self.owned_changed, self.owned_updated, self.owned_changed)
        self.pods.add_handler(on_delete=self._pod_gone)

    # -- handlers

    @staticmethod
    def selects(owner: Object, labels: dict[str, str]) -> bool:
        return label_selector_matches(owner["spec"].get("selector"), labels)

    def _pod_gone(self, pod: Object) -> None:
        """Only Recreate waits for pods; everyone else waits for ReplicaSets."""
        reference = controller_of(pod)
        if reference is None or reference["kind"] != "ReplicaSet":
            return
        replica_set = self.replica_sets.get(pod["metadata"]["namespace"], reference["name"])
        owner = self.owner_of(replica_set) if replica_set is not None else None
        if owner is not None and not strategy.is_rolling(owner):
            self.enqueue(owner)

    # -- reconciling

    async def sync(self, key: Key) -> None:
        deployment = self.owners.get(*key)
        if deployment is None:
            return

        def selects(found: Object) -> bool:
            return self.selects(deployment, labels_of(found))

        claimer = Claimer(self.client, DEPLOYMENTS, deployment, REPLICASETS, selects)
        sets = await claimer.claim(self.replica_sets.list(key[0]))
        rollout = Rollout(self.client, self.recorder, self.clock, deployment, sets)
        if is_terminating(deployment):
            await self._write_counts(rollout)
            return
        await self._note_pause(rollout)
        if rollout.deployment["spec"].get("paused") or self._was_scaled(rollout):
            await self._scale(rollout)
            return
        if strategy.is_rolling(deployment):
            await roll(rollout)
        else:
            await recreate(rollout, self.pods)
        await self._write_progress(rollout)

    async def _note_pause(self, rollout: Rollout) -> None:
        """A paused rollout does not run out of time; a deadline that has passed stays passed."""
        current = condition(rollout.deployment, "Progressing")
        if strategy.deadline(rollout.deployment) is None or (current and current.get("reason") == status.TIMED_OUT):
            return
        noted = current is not None and current.get("reason") == status.PAUSED
        if rollout.deployment["spec"].get("paused") and not noted:
            await rollout.write_condition("Unknown", status.PAUSED, "Deployment is paused")
        elif noted and not rollout.deployment["spec"].get("paused"):
            await rollout.write_condition("Unknown", status.RESUMED, "Deployment is resumed")

    def _was_scaled(self, rollout: Rollout) -> bool:
        """Whether the deployment's size is another than the one that its active ReplicaSets were made for."""
        for replica_set in rollout.all:
            noted = replicasets.annotations(replica_set).get(replicasets.DESIRED_REPLICAS)
            if strategy.size(replica_set) and noted is not None and noted != str(rollout.wanted):
                return True
        return False

    async def _scale(self, rollout: Rollout) -> None:
        await rollout.ensure_new(create=False)
        await rollout.scale_all()
        if rollout.deployment["spec"].get("paused"):
            await rollout.clean_up()
        await self._write_counts(rollout)

    async def _write_counts(self, rollout: Rollout) -> None:
        now = self.clock.now()
        await rollout.write_status(status.calculate(rollout.deployment, rollout.all, rollout.new, now))

    async def _write_progress(self, rollout: Rollout) -> None:
        now = self.clock.now()
        new = status.with_progress(rollout.deployment, rollout.all, rollout.new, now)
        await rollout.write_status(new)
        self._come_back_at_deadline(rollout.deployment)

    def _come_back_at_deadline(self, deployment: Object) -> None:
        """A rollout that is stuck changes nothing, so no watch would tell that its time is up."""
        current, seconds = condition(deployment, "Progressing"), strategy.deadline(deployment)
        if current is None or seconds is None or current.get("reason") == status.TIMED_OUT:
            return
        if status.is_complete(deployment, deployment["status"]):
            return
        passed = (self.clock.now() - times.parse(current["lastUpdateTime"])).total_seconds()
        self.queue.add_after(key_of(deployment), max(seconds - passed, 0) + 1)
