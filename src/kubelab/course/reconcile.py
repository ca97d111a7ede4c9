"""What a controller of copies does in each turn of its loop, seen from outside, through the API alone.

A ReplicaSet or ReplicationController asks for the pods that its selector matches, takes those that are its own (adopts
who has no owner, releases who no longer matches), drops those that are ending, compares their number with the one that
is wanted, and creates or deletes the difference. Upstream: pkg/controller/replicaset, syncReplicaSet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .labelselectors import matches
from .recording import Record

ENDED = ("Failed", "Succeeded")
DONE = ("SuccessfulCreate", "SuccessfulDelete", "FailedCreate", "FailedDelete")


@dataclass(frozen=True)
class Turn:
    """One turn: what was wanted and found, and what was done about it.

    matched: the pods that the selector gives · own: those of them that count · ending: own, but on their way out or
    ended · released: own, but no longer matched · did: the controller's events since the turn before, in order.
    """

    at: float
    wanted: int
    matched: tuple[str, ...]
    own: tuple[str, ...]
    ending: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    did: tuple[str, ...] = ()

    @property
    def difference(self) -> int:
        """More than 0: so many are missing; less: so many are too many."""
        return self.wanted - len(self.own)

    def verdict(self) -> str:
        if self.difference > 0:
            return f"{self.difference} missing: create"
        return f"{-self.difference} too many: delete" if self.difference < 0 else "as wanted: nothing to do"


@dataclass
class Trace:
    """The turns of one owner. target: "ReplicaSet/rs" · selector: its `spec.selector`. Feed it with `take(record)`."""

    target: str
    selector: Mapping[str, Any]
    wanted: int | None = None  # None: the owner is not there
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    _did: list[str] = field(default_factory=list)
    _mine: set[str] = field(default_factory=set)

    def take(self, record: Record) -> Turn | None:
        """The turn that the record leads to; None where it changes nothing that the controller looks at."""
        if record.target == self.target:
            self.wanted = None if record.what == "DELETED" else record.state.get("replicas", 0)
        elif record.kind == "Pod":
            if record.what == "DELETED":
                self.pods.pop(record.name, None)
            else:
                self.pods[record.name] = record.state
        elif record.kind == "Event" and record.state.get("about") == self.target and record.what != "PRESENT":
            if record.state["reason"] in DONE:
                self._did.append(f"{record.state['reason']}: {record.state['message']}")
            return None
        else:
            return None
        return self._turn(record.at)

    def _turn(self, at: float) -> Turn | None:
        if self.wanted is None:
            return None
        labels = {name: state.get("labels", {}) for name, state in self.pods.items()}
        matched = {name for name in self.pods if matches(self.selector, labels[name])}
        owned = {name for name, state in self.pods.items() if state.get("owner") == self.target}
        mine = matched & owned
        ending = {name for name in mine if _ending(self.pods[name])}
        turn = Turn(
            at,
            self.wanted,
            tuple(sorted(matched)),
            tuple(sorted(mine - ending)),
            tuple(sorted(ending)),
            tuple(sorted(name for name in mine - self._mine if name in self._strangers)),
            tuple(sorted(name for name in self._mine - matched if name in self.pods)),
            tuple(self._did),
        )
        self._strangers = {name for name, state in self.pods.items() if not state.get("owner")}
        self._mine = mine
        if self.turns and _same(self.turns[-1], turn):
            return None
        self._did.clear()
        self.turns.append(turn)
        return turn

    def __post_init__(self) -> None:
        self._strangers: set[str] = set()


def _ending(state: Mapping[str, Any]) -> bool:
    return bool(state.get("terminating")) or state.get("phase") in ENDED


def _same(before: Turn, after: Turn) -> bool:
    """Whether nothing has changed that a controller looks at."""
    return not after.adopted and (before.wanted, before.matched, before.own, before.ending) == (
        after.wanted,
        after.matched,
        after.own,
        after.ending,
    )
