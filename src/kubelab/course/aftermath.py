"""What came of a failure, as a recording has it: facts about one pod, from the moment of the press on.

Everything is read from records; nothing asks the cluster. So a recording that was saved can be judged again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .recording import Record, Recording

PASSING = ("Error", "Completed", "Pending", "ContainerCreating")  # not quoted: seen in one run and not in the next
BACK_OFF = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")


@dataclass(frozen=True)
class Aftermath:
    """recording · pressed: number of the first record after the press · pod: its name then · remade: the press made a
    new pod of it, which is then the one that the facts are about · until: no record after this moment (`Record.at`)."""

    recording: Recording
    pressed: int
    pod: str
    remade: bool = False
    until: float = float("inf")

    @cached_property
    def records(self) -> list[Record]:
        return [record for record in self.recording.after(self.pressed) if record.at <= self.until]

    @cached_property
    def before(self) -> dict[str, Any]:
        """The pod's state at the press, {} where it was not recorded."""
        return self._last_before.state if self._last_before else {}

    @cached_property
    def _last_before(self) -> Record | None:
        earlier = self.recording.after()[: max(0, self.pressed - self.recording.dropped)]
        return next((record for record in reversed(earlier) if record.target == f"Pod/{self.pod}"), None)

    @cached_property
    def first(self) -> Record | None:
        """The record with which the pod in question comes: of a remade pod, the first of the new one."""
        if not self.remade:
            return self._last_before
        return next((r for r in self.records if r.what == "ADDED" and r.kind == "Pod" and self._is_heir(r)), None)

    @cached_property
    def uid(self) -> str:
        return self.first.uid if self.first else ""

    @cached_property
    def of_pod(self) -> list[Record]:
        """The records of the pod in question."""
        return [record for record in self.records if record.kind == "Pod" and record.uid == self.uid]

    @cached_property
    def events(self) -> list[Record]:
        return [record for record in self.records if record.kind == "Event" and record.state.get("uid") == self.uid]

    @cached_property
    def restarts(self) -> int:
        """How often its containers were restarted since."""
        base = 0 if self.remade else self.before.get("restarts", 0)
        return max([record.state["restarts"] for record in self.of_pod], default=base) - base

    @cached_property
    def restarted(self) -> Record | None:
        return next((record for record in self.of_pod if _grew(record, "restarts")), None)

    @cached_property
    def ended(self) -> dict[str, Any]:
        """How a container of it ended first: {"reason", "exitCode"}, or {}."""
        for record in self.of_pod:
            before = record.changed.get("containers", [None, None])[0] or {}
            for name, container in (record.state.get("containers") or {}).items():
                if container["state"] == "terminated":
                    return {"reason": container["reason"], "exitCode": container["exitCode"]}
                if container["last"] and container["restarts"] > (before.get(name) or {"restarts": 0})["restarts"]:
                    return container["last"]
        return {}

    @cached_property
    def evicted(self) -> Record | None:
        return next((record for record in self.of_pod if record.state.get("reason") == "Evicted"), None)

    @cached_property
    def terminating(self) -> Record | None:
        return next((record for record in self.of_pod if record.state.get("terminating")), None)

    @cached_property
    def gone(self) -> Record | None:
        return next((record for record in self.of_pod if record.what == "DELETED"), None)

    @cached_property
    def heir(self) -> Record | None:
        """The first pod that took its place under another identity: one of the same owner, made since."""
        pods = [record for record in self.records if record.kind == "Pod" and record.what == "ADDED"]
        return next((record for record in pods if record.uid != self.uid and self._owner_of(record)), None)

    @cached_property
    def heir_ready(self) -> bool:
        return self.heir is not None and any(r.uid == self.heir.uid and r.state.get("Ready") for r in self.records)

    @cached_property
    def unready(self) -> Record | None:
        """When it stopped being Ready."""
        return next((record for record in self.of_pod if record.changed.get("Ready") == [True, False]), None)

    @cached_property
    def ready_again(self) -> Record | None:
        start = self.unready or self.restarted or (self.first if self.remade else None)
        if start is None:
            return None
        return next(
            (r for r in self.of_pod if r.at >= start.at and r is not self.unready and r.state.get("Ready")), None
        )

    @cached_property
    def unschedulable(self) -> Record | None:
        return next((record for record in self.of_pod if record.state.get("scheduled") == "Unschedulable"), None)

    @cached_property
    def no_image(self) -> Record | None:
        return next((record for record in self.of_pod if record.state.get("status") in BACK_OFF), None)

    @cached_property
    def service(self) -> str:
        """ "out": a service stopped sending it requests; "in": none did; "none": it is behind no service."""
        slices = [record for record in self.recording.after() if record.kind == "EndpointSlice"]
        behind = [record for record in slices if self.pod in (record.state.get("pods") or {})]
        if not behind:
            return "none"
        since = [record for record in self.records if record.kind == "EndpointSlice"]
        return "out" if any(record.state["pods"].get(self.pod) is not True for record in since) else "in"

    def quotes(self, most: int = 6) -> list[str]:
        """The records that tell the story, in words, in order, each once; without times: the same in each run."""
        found: list[str] = []
        for record in self.records:
            text = self._quote(record)
            if text and text not in found:
                found.append(text)
        return found if len(found) <= most else [*found[: most - 1], found[-1]]

    def _quote(self, record: Record) -> str:
        if record.kind == "Event" and record.state.get("uid") == self.uid and record.state["type"] == "Warning":
            return f"event {record.state['reason']}: {record.state['message'].strip().splitlines()[0]}"
        if record.kind == "Pod" and record.uid == self.uid:
            return self._step(record)
        if self.heir is not None and record is self.heir:
            return f"pod {record.name} is made by {record.state.get('owner')}"
        return ""

    def _step(self, record: Record) -> str:
        if record.what == "DELETED":
            return f"pod {record.name} is gone"
        if _grew(record, "restarts"):
            how = self.ended
            ending = f", after {how['reason']} (exit code {how['exitCode']})" if how else ""
            return (
                f"pod {record.name}: RESTARTS {record.changed['restarts'][0]} → {record.changed['restarts'][1]}{ending}"
            )
        if "status" in record.changed and record.state["status"] not in PASSING:
            return f"pod {record.name}: STATUS {record.state['status']}"
        if record.changed.get("Ready"):
            return f"pod {record.name}: {'Ready' if record.state['Ready'] else 'not Ready'}"
        return ""

    def _owner_of(self, record: Record) -> bool:
        """Whether a pod has the owner that the pod in question has: that makes it the heir."""
        mine = (self.first.state if self.first else self.before).get("owner")
        return bool(mine) and record.state.get("owner") == mine

    def _is_heir(self, record: Record) -> bool:
        """Whether a new pod is what the press made of the old one: of its name, its owner, or its owner's owner."""
        owner = self.before.get("owner", "")
        stem = owner.rpartition("-")[0]  # a Deployment's ReplicaSets differ in the hash at the end
        theirs = record.state.get("owner", "")
        return record.name == self.pod or (
            bool(theirs) and (theirs == owner or (bool(stem) and theirs.startswith(stem + "-")))
        )


def _grew(record: Record, key: str) -> bool:
    before, after = record.changed.get(key, [0, 0])
    return isinstance(before, int) and isinstance(after, int) and after > before
