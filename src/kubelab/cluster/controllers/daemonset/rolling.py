"""A rolling update: which old pods may go now, and which nodes may have a new pod beside the old one.

Upstream: rollingUpdate in pkg/controller/daemon/update.go. Deleted pods are made anew by the next round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubelab.cluster.controllers.daemonset.placement import is_updated
from kubelab.cluster.controllers.deployment.strategy import scaled_value
from kubelab.cluster.pods import is_available, is_terminating

Object = dict[str, Any]


@dataclass
class Replacement:
    """What an update may do in this round."""

    delete: list[Object] = field(default_factory=list)  # pods
    create: list[str] = field(default_factory=list)  # names of nodes


@dataclass(frozen=True)
class Update:
    """A DaemonSet in the middle of (or after) a change of its template."""

    daemon_set: Object
    revision_hash: str
    wanted: frozenset[str]  # names of the nodes that should have a pod
    now: datetime

    @property
    def max_surge(self) -> int:
        return self._limit("maxSurge")

    @property
    def max_unavailable(self) -> int:
        """At least one where neither is allowed: such an update would never end."""
        return self._limit("maxUnavailable") or (0 if self.max_surge else 1)

    def _limit(self, name: str) -> int:
        """Rounded up, so that 1 % of few nodes is one."""
        rolling = self.daemon_set["spec"]["updateStrategy"].get("rollingUpdate") or {}
        return scaled_value(rolling.get(name, 0), len(self.wanted), round_up=True)

    def plan(self, pods: Mapping[str, list[Object]]) -> Replacement:
        """`pods` are the DaemonSet's by node; a wanted node without any counts as unavailable."""
        nodes = {**{node: [] for node in sorted(self.wanted)}, **pods}
        return self._surging(nodes) if self.max_surge else self._replacing(nodes)

    def _available(self, pod: Object) -> bool:
        return is_available(pod, self.daemon_set["spec"].get("minReadySeconds", 0), self.now)

    def _pair(self, pods: list[Object]) -> tuple[Object | None, Object | None, bool]:
        """(the new pod, the old pod, whether there is no more than one of each)."""
        live = [pod for pod in pods if not is_terminating(pod)]
        new = [pod for pod in live if is_updated(pod, self.daemon_set, self.revision_hash)]
        old = [pod for pod in live if pod not in new]
        orderly = len(new) <= 1 and len(old) <= 1
        return (new[0] if new else None), (old[0] if old else None), orderly

    def _replacing(self, nodes: Mapping[str, list[Object]]) -> Replacement:
        """Old pods that are not available go at once; available ones as far as maxUnavailable allows."""
        unavailable, broken, candidates = 0, [], []
        for pods in nodes.values():
            new, old, orderly = self._pair(pods)
            if not orderly or (new is None) == (old is None):
                unavailable += 1  # managing the node comes first: it has too few pods or too many
            elif new is not None:
                unavailable += not self._available(new)
            elif not self._available(old):
                broken.append(old)
                unavailable += 1
            else:
                candidates.append(old)
        return Replacement(delete=broken + candidates[: max(self.max_unavailable - unavailable, 0)])

    def _surging(self, nodes: Mapping[str, list[Object]]) -> Replacement:
        """A new pod beside the old one, which goes when the new one is available."""
        surging, available, candidates, unwanted, result = 0, 0, [], [], Replacement()
        for node, pods in nodes.items():
            new, old, orderly = self._pair(pods)
            if not orderly:
                surging += 1
                continue
            shown = old or new
            available += shown is not None and self._available(shown)
            if old is None:
                continue
            if new is not None:
                if self._available(new):
                    result.delete.append(old)
                else:
                    surging += 1
            elif node not in self.wanted:
                (unwanted if self._available(old) else result.delete).append(old)
            else:
                (candidates if self._available(old) else result.create).append(node)
        result.delete += unwanted[: max(available - len(self.wanted), 0)]
        result.create += candidates[: max(self.max_surge - surging, 0)]
        return result
