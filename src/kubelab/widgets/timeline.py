"""The timeline: everything that a watch of the namespace says, live, on one line an object; and back in time.

timeline = Timeline(lab)            # of lab.recorder, or of a recording that was saved: Timeline(lab, recording)
timeline.story("Pod/web")           # the states that one object went through, in words
timeline.standing(12.5)             # how things stood 12.5 s after the recording began
timeline.save("evening.json")       # the recording; `Recording.load` reads it. The picture: the button "Save SVG"
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import traitlets

from kubelab.course.lab import Lab
from kubelab.course.recording import HERE, Record, Recording
from kubelab.course.tables import Table

from . import states
from .frame import LabWidget, script, style

PER_SECOND = 5  # updates of the page at most
WAIT = 1.0  # seconds until it is looked whether the recorder has stopped
LATEST = 12  # records in the text twin
OWNERS = ("Deployment", "ReplicaSet", "ReplicationController", "DaemonSet")
KINDS = (*OWNERS, "Job", "CronJob", "Pod", "Node")  # those that have a line of their own, in this order


class Timeline(LabWidget):
    """lab: whose recorder to show · recording: one that is over, in its place.

    The page keeps the rows that it was sent and asks for those it lacks, so that a long evening costs nothing.
    """

    _esm = script("timeline")
    _css = style("timeline")

    kinds = traitlets.List(list(KINDS)).tag(sync=True)
    known = traitlets.Int().tag(sync=True)  # how many rows there are: the page asks for those that it lacks
    now = traitlets.Float().tag(sync=True)  # seconds since the recording began

    def __init__(self, lab: Lab, recording: Recording | None = None) -> None:
        self._recorder = lab.recorder if recording is None else None
        self.recording = recording or self._recorder.recording
        key = "recorded" if recording else "live"
        super().__init__(lab, f"Timeline · {self.recording.namespace}", key)
        self._show()
        if self._recorder is None:
            self.stop("this is a recording")
        else:
            self.background(self._follow, "follow")

    def _follow(self) -> None:
        """Tell the page that there is more, a few times a second at most."""
        while not self.over.is_set():
            grown = self.recording.wait(self.known, WAIT)
            self._show()
            if not self._recorder.running:
                return self.stop(self._recorder.ended)
            if grown:
                self.over.wait(1 / PER_SECOND)

    def _show(self) -> None:
        recent = self.recording.after(len(self.recording) - LATEST)
        news = [line for record in self.recording.after(self.known) if self.known and (line := _news(record))]
        with self.hold_sync():
            self.words = "\n".join(map(sentence, recent)) or "Nothing has happened yet."
            self.now = self._recorder.now() if self._recorder else (recent[-1].at if recent else 0.0)
            self.trouble = self._recorder.trouble if self._recorder else ""
            if news:
                self.said = "; ".join(news[-3:])
            self.known = len(self.recording)

    def press(self, action: str, number: int = 0, **_: Any) -> None:
        """What the page asks for: "rows" from `number` on, or the whole "document" to save."""
        if action == "rows":
            first = max(number, self.recording.dropped)
            found = self.recording.after(first)
            self.send({"first": first, "rows": [row(each) for each in found]})
        elif action == "document":
            self.send({"document": self.recording.document()})
        else:
            super().press(action)

    def story(self, target: str) -> Table:
        """The states that an object, "Pod/web", went through; each once in a row, without times: the same in every run
        of the same thing."""
        rows: list[list[str]] = []
        for record in self.recording.of(target):
            state, status = look(record)
            line = [states.in_words(state, status)]
            if line not in rows[-1:]:
                rows.append(line)
        return Table([target], rows, empty=f"nothing was recorded of {target}")

    def standing(self, seconds: float) -> Table:
        """How things stood that many seconds after the recording began: the objects that have a line."""
        found = self.recording.at(seconds)
        rows = []
        for target, state in sorted(found.items()):
            kind, _, name = target.partition("/")
            if kind in KINDS:
                rows.append([kind, name, states.in_words(*look(Record(0, 0, "", kind, name, state=state)))])
        return Table(["KIND", "NAME", "STATE"], rows)

    def save(self, path: str | Path) -> None:
        """Write the recording as JSON."""
        self.recording.save(path)


def look(record: Record) -> tuple[str, str]:
    """The state of the record's object in the course's language, and the words that go with it."""
    state, kind = record.state, record.kind
    if record.what == "DELETED":
        return "gone", "deleted"
    if kind == "Pod":
        name = states.of_words(state.get("status", ""), state.get("Ready", False), state.get("terminating", False))
        words = f"{state.get('status', '')} {state.get('ready', '')}"
        return name, words + (f", restarts {state['restarts']}" if state.get("restarts") else "")
    if kind == "Node":
        name = states.of_node(state.get("Ready", False))
        return name, states.STATES[name]["label"] + (", cordoned" if state.get("unschedulable") else "")
    if kind in OWNERS:
        ready, wanted = state.get("readyReplicas", 0), state.get("replicas", 0)
        return "ready" if ready == wanted else "running", f"{ready}/{wanted} ready"
    if kind == "Job":
        done = state.get("condition", "")
        name = {"Complete": "done", "Failed": "failed"}.get(done, "running")
        return name, done or f"{state.get('active', 0)} active, {state.get('succeeded', 0)} succeeded"
    return "ready", ""


def row(record: Record) -> list[Any]:
    """[seconds, what, kind, name, state, words, about]: what the page draws of a record.

    Of an event: its reason and message in `words`, its type in `state`, what it is about in `about`.
    """
    if record.kind == HERE:
        return [round(record.at, 3), record.what, record.kind, record.name, "", record.message, ""]
    if record.kind == "Event":
        found = record.state
        words = f"{found.get('reason', '')}: {found.get('message', '')}"
        return [round(record.at, 3), record.what, "Event", record.name, found.get("type", ""), words, found["about"]]
    state, words = look(record)
    return [round(record.at, 3), record.what, record.kind, record.name, state, words, record.target]


def sentence(record: Record) -> str:
    """A record as a line of text."""
    at, what, kind, name, state, words, about = row(record)
    if kind == HERE:
        return f"{at:8.1f} s  {what.lower()}: {words}"
    if kind == "Event":
        return f"{at:8.1f} s  event about {about}: {words}"
    if kind not in KINDS:
        return f"{at:8.1f} s  {kind}/{name} {what.lower()}"
    return f"{at:8.1f} s  {kind}/{name} {states.in_words(state, words)}"


def _news(record: Record) -> str:
    """What a listener should hear: pods and nodes that change their state, and what was marked."""
    if record.kind == HERE:
        return record.message
    if record.kind not in ("Pod", "Node") or record.what == "PRESENT":
        return ""
    if record.what == "MODIFIED" and not {"status", "restarts", "Ready"} & set(record.changed):
        return ""
    return f"{record.name} {look(record)[1]}"
