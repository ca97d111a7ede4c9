"""What the rules ask about namespaces, services, controllers and budgets, from the informers' caches.

Upstream: DefaultSelector in pkg/scheduler/framework/plugins/helper/spread.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelab.cluster.informer import Informers
from kubelab.cluster.pods import controller_of
from kubelab.cluster.resources import NAMESPACES, PODDISRUPTIONBUDGETS, REPLICASETS, REPLICATIONCONTROLLERS, SERVICES
from kubelab.cluster.selectors import map_matches

Object = dict[str, Any]


class Listers:
    """Implements `framework.Cluster`."""

    def __init__(self, informers: Informers) -> None:
        self._namespaces, self._services = informers.of(NAMESPACES), informers.of(SERVICES)
        self._owners = {kind.kind: informers.of(kind) for kind in (REPLICASETS, REPLICATIONCONTROLLERS)}
        self._budgets = informers.of(PODDISRUPTIONBUDGETS)

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        found = self._namespaces.get(None, namespace)
        return (found["metadata"].get("labels") or {}) if found is not None else {}

    def disruption_budgets(self) -> list[Object]:
        return self._budgets.list()

    def default_selector(self, pod: Object) -> Object | None:
        """The pod's services' selectors and its controller's, all of which have to match; None for none of them."""
        namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels")
        wanted: dict[str, str] = {}
        for service in self._services.list(namespace):
            selector = service["spec"].get("selector")
            if selector and map_matches(selector, labels):
                wanted |= selector
        expressions: list[Object] = []
        reference = controller_of(pod)
        owner = None
        if reference is not None and reference["kind"] in self._owners:
            owner = self._owners[reference["kind"]].get(namespace, reference["name"])
        if owner is not None and owner["kind"] == REPLICATIONCONTROLLERS.kind:
            wanted |= owner["spec"].get("selector") or {}
        elif owner is not None:
            selector = owner["spec"].get("selector") or {}
            wanted |= selector.get("matchLabels") or {}
            expressions = selector.get("matchExpressions") or []
        return {"matchLabels": wanted, "matchExpressions": expressions} if wanted or expressions else None
