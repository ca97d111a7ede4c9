"""Pods that have preempted others, and the nodes on which their room is being made.

Upstream: pkg/scheduler/backend/queue/nominator.go. What `status.nominatedNodeName` says, and what was just decided.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.scheduler.requests import PodInfo

Object = dict[str, Any]


class Nominator:
    def __init__(self) -> None:
        self._nominated: dict[str, tuple[PodInfo, str]] = {}  # by UID

    def nominate(self, info: PodInfo, node: str) -> None:
        self._nominated[info.uid] = (info, node)

    def update(self, pod: Object) -> None:
        """What the API shows of a pod without a node."""
        node = (pod.get("status") or {}).get("nominatedNodeName")
        if node:
            self.nominate(PodInfo.of(pod), node)

    def remove(self, uid: str) -> None:
        self._nominated.pop(uid, None)

    def node_of(self, uid: str) -> str:
        return self._nominated[uid][1] if uid in self._nominated else ""

    def on(self, node: str) -> list[PodInfo]:
        return [info for info, where in self._nominated.values() if where == node]
