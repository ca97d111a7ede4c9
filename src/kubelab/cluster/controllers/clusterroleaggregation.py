"""ClusterRoles that are made up of others: `admin`, `edit`, `view`, and whatever has an aggregationRule.

Upstream: pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go.
"""

from __future__ import annotations

from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.informer import Key
from kubelab.cluster.resources import CLUSTERROLES
from kubelab.cluster.selectors import label_selector_matches

MANAGER = "clusterrole-aggregation-controller"


class ClusterRoleAggregationController(Controller):
    """Keys are ("", cluster role)."""

    name = MANAGER
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.roles = context.informers.of(CLUSTERROLES)
        self.roles.add_handler(self._changed, lambda old, new: self._changed(new), self._changed)

    def _changed(self, _: Object) -> None:
        """Any role may be a part of any aggregated one."""
        for role in self.roles.list():
            if role.get("aggregationRule"):
                self.enqueue(role)

    async def sync(self, key: Key) -> None:
        role = self.roles.get(*key)
        if role is None or not role.get("aggregationRule"):
            return
        rules = self._rules(role)
        if rules == (role.get("rules") or []):
            return
        head = {"apiVersion": CLUSTERROLES.api_version, "kind": CLUSTERROLES.kind, "metadata": {"name": key[1]}}
        wanted = {**head, "rules": rules}
        await self.client.patch(CLUSTERROLES, key[1], wanted, type="apply", field_manager=MANAGER, force=True)

    def _rules(self, role: Object) -> list[Object]:
        """What the selected roles have, selector by selector, each role by its name, each rule once."""
        found: list[Object] = []
        parts = sorted(self.roles.list(), key=lambda part: part["metadata"]["name"])
        for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
            for part in parts:
                if part is not role and label_selector_matches(selector, part["metadata"].get("labels")):
                    found += [rule for rule in part.get("rules") or () if rule not in found]
        return found
