"""Tables as text: the same rows in the same order in every run, so that a notebook's saved output stays true.

So they leave out what differs from run to run (ages, counts of repeated events), and sort by what rows say before
they sort by names that end at random.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from . import pods as podstatus

# The order in which a container's life produces events: the tie-break for those of one second.
LIFE = ("Scheduled", "FailedScheduling", "Pulling", "Pulled", "Created", "Started", "Unhealthy", "Killing", "BackOff")


class Table:
    """Rows under a header. `command` is the `kubectl` or `docker` command that shows the same."""

    def __init__(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]], command: str = "", empty: str = "(none)"
    ) -> None:
        self.columns = list(columns)
        self.rows = [[str(cell) for cell in row] for row in rows]
        self.command, self.empty = command, empty

    def __repr__(self) -> str:
        lines = [f"$ {self.command}"] if self.command else []
        if not self.rows:
            return "\n".join([*lines, self.empty])
        widths = [max(len(row[i]) for row in [self.columns, *self.rows]) for i in range(len(self.columns))]
        for row in [self.columns, *self.rows]:
            lines.append("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return "\n".join(lines)


def pod_table(pods: Iterable[podstatus.Pod], command: str, labels: Sequence[str] = (), node: bool = False) -> Table:
    """NAME, READY, STATUS, RESTARTS as `kubectl get pods`, then the labels asked for as with `-L`, then the node."""
    rows = []
    for pod in pods:
        row = [podstatus.name(pod), podstatus.ready_containers(pod), podstatus.status(pod), podstatus.restarts(pod)]
        row += [(pod["metadata"].get("labels") or {}).get(label, "") for label in labels]
        rows.append(row + ([podstatus.node(pod) or "<none>"] if node else []))
    rows.sort(key=lambda row: (_stem(row[0]), [str(cell) for cell in row[1:]], row[0]))
    columns = ["NAME", "READY", "STATUS", "RESTARTS", *(label.rpartition("/")[2].upper() for label in labels)]
    return Table(columns + (["NODE"] if node else []), rows, command, empty="No resources found")


def event_table(events: Iterable[dict[str, Any]], command: str, objects: bool) -> Table:
    """Each different event once, in the order in which it first happened: TYPE, REASON, OBJECT (if asked), MESSAGE."""
    ordered = sorted(events, key=lambda event: (first_seen(event), _place(event["reason"]), event.get("message", "")))
    rows: list[list[str]] = []
    for event in ordered:
        about = event["involvedObject"]
        row = [
            event.get("type", ""),
            event["reason"],
            f"{about['kind'].lower()}/{about['name']}",
            event.get("message", "").strip(),
        ]
        row = row if objects else row[:2] + row[3:]
        if row not in rows:
            rows.append(row)
    return Table(
        ["TYPE", "REASON", *(["OBJECT"] if objects else []), "MESSAGE"], rows, command, empty="No events found"
    )


def first_seen(event: dict[str, Any]) -> str:
    return event.get("firstTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""


def _place(reason: str) -> int:
    return LIFE.index(reason) if reason in LIFE else len(LIFE)


def _stem(name: str) -> str:
    """A name without the part that a controller chose at random, so that the pods of one owner stand together."""
    return name.rpartition("-")[0] or name
