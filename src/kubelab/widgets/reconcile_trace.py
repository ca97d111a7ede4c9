"""The reconcile trace: each turn of a controller's loop as a line: what its selector gave, the difference, what it did.

trace = ReconcileTrace(lab, "replicaset/rs")
trace.press("relabel", pod="rs-x2x9k")   # or "restore", "delete", "more", "fewer": as the buttons do
trace.settle()                           # everything that was written so far is in the picture
print(trace.text(last=2))
"""

from __future__ import annotations

import threading
from typing import Any

import traitlets

from kubelab.course.errors import LabError
from kubelab.course.lab import Lab
from kubelab.course.labelselectors import words as selector_words
from kubelab.course.reconcile import Trace, Turn
from kubelab.course.recording import Record

from . import states
from .frame import LabWidget, script, style

PER_SECOND, WAIT = 5, 1.0  # updates of the picture at most; seconds until it is looked whether the recorder stopped
SHOWN = 40  # turns in the picture
OUT = "gone-its-own-way"  # a value that no selector asks for
KINDS = {"replicaset": "ReplicaSet", "replicationcontroller": "ReplicationController"}


class ReconcileTrace(LabWidget):
    """lab: whose recorder is read · target: "replicaset/NAME" or "replicationcontroller/NAME", which has to be there.

    label: the one that "relabel" changes, by which a pod leaves the selection; by default the selector's first.
    """

    _esm = script("reconcile_trace")
    _css = style("reconcile_trace")

    selector = traitlets.Unicode().tag(sync=True)
    wanted = traitlets.Int(0).tag(sync=True)
    pods = traitlets.List().tag(sync=True)  # {"name", "state", "status", "own", "matched"}
    turns = traitlets.List().tag(
        sync=True
    )  # newest first: {"number", "at", "wanted", "matched", "own", …, "verdict", "did"}
    buttons = traitlets.List().tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)

    def __init__(self, lab: Lab, target: str, label: str = "") -> None:
        kind, _, self.name = target.partition("/")
        if kind not in KINDS:
            raise LabError(f"{kind!r} keeps no copies that this lab follows; it follows {', '.join(KINDS)}.")
        self.target, selector = target, lab.read(target)["spec"]["selector"]
        self.label, self.value = _first_label(selector, label)
        self.trace = Trace(f"{KINDS[kind]}/{self.name}", selector)
        self._seen, self._looking = 0, threading.Lock()
        super().__init__(lab, f"Reconcile trace · {target}", target, selector=selector_words(selector))
        self.observe(lambda _: self._draw_buttons(), "chosen")
        self._look()
        self.background(self._follow, "follow")

    def press(self, action: str, pod: str = "", **_: Any) -> None:
        """ "delete", "relabel" and "restore" a pod, the chosen one unless named; "more" and "fewer" copies by one."""
        pod = pod or self.chosen
        if action in ("more", "fewer"):
            copies = max(0, self.lab.read(self.target)["spec"]["replicas"] + (1 if action == "more" else -1))
            self.lab.patch(self.target, {"spec": {"replicas": copies}})
            self.said = f"wanted: {copies}"
        elif action not in ("delete", "relabel", "restore"):
            super().press(action)
        elif not pod:
            raise LabError("no pod is chosen.")
        elif action == "delete":
            self.lab.core.delete_namespaced_pod(pod, self.lab.namespace)
            self.said = f"{pod} is deleted"
        else:
            value = self.value if action == "restore" else OUT
            self.lab.patch(f"pod/{pod}", {"metadata": {"labels": {self.label: value}}})
            self.said = f"{pod} is now labelled {self.label}={value}"

    def text(self, last: int = SHOWN) -> str:
        """The newest turns, oldest first, without times."""
        return "\n".join(self.words.splitlines()[-last:])

    def settle(self, timeout: float = 10) -> None:
        """Block until the picture holds what the API server has by now. LabError: it does not within `timeout` s."""
        objects = [self.lab.read(self.target), *self.lab.objects("pod")]
        there = {each["metadata"]["uid"]: int(each["metadata"]["resourceVersion"]) for each in objects}
        recording = self.lab.recorder.recording
        if not recording.wait_for(lambda records: holds(records, there), timeout):
            raise LabError(f"the records are behind after {timeout:g} s. Next: `lab.recorder.trouble`.")
        self._look()

    def _follow(self) -> None:
        recorder = self.lab.recorder
        while not self.over.is_set():
            if recorder.recording.wait(self._seen, WAIT):
                self._look()
                self.over.wait(1 / PER_SECOND)
            self.trouble = recorder.trouble
            if not recorder.running:
                return self.stop(recorder.ended)

    def _look(self) -> None:
        """Take in what was recorded since the last look. By one thread at a time: turns are made in order."""
        with self._looking:
            self._take_in()

    def _take_in(self) -> None:
        records = self.lab.recorder.recording.after(self._seen)
        self._seen += len(records)
        # Kinds arrive over connections of their own; the revision tells in which order things were written.
        records.sort(key=lambda record: int(record.version) if record.version.isdigit() else 0)
        news = [turn for record in records if (turn := self.trace.take(record))]
        with self.hold_sync():
            self.wanted = self.trace.wanted or 0
            self.pods = self._chips()
            if self.chosen not in self.trace.pods:
                self.chosen = next((chip["name"] for chip in self.pods if chip["own"]), "")
            count = len(self.trace.turns)
            recent = list(enumerate(self.trace.turns, start=1))[-SHOWN:]
            self.turns = [row(number, turn) for number, turn in reversed(recent)]
            self.words = "\n".join(sentence(turn) for turn in self.trace.turns[-SHOWN:]) or "No turn yet."
            if news:
                self.said = f"turn {count}: {sentence(news[-1])}"
            self._draw_buttons()

    def _chips(self) -> list[dict[str, Any]]:
        last = self.trace.turns[-1] if self.trace.turns else Turn(0, 0, (), ())
        return [
            {
                "name": name,
                "state": states.of_words(state["status"], state["Ready"], state["terminating"]),
                "status": state["status"],
                "own": name in last.own or name in last.ending,
                "matched": name in last.matched,
            }
            for name, state in sorted(self.trace.pods.items())
        ]

    def _draw_buttons(self) -> None:
        pod, copies = self.chosen or "POD", self.trace.wanted or 0
        back = self._label_twins(pod, self.value)
        self.buttons = [
            self._button("delete", "Delete the pod", "the controller sees one too few", *self._delete_twins(pod)),
            self._button("relabel", "Relabel it: out", "it lives on, but counts no more", *self._label_twins(pod, OUT)),
            self._button("restore", "Relabel it: back", "it counts again, and is one too many", *back),
            self._button("more", "One more", "one more copy is wanted", *self._scale_twins(copies + 1)),
            self._button("fewer", "One fewer", "one copy fewer is wanted", *self._scale_twins(max(0, copies - 1))),
        ]

    def _button(self, name: str, label: str, effect: str, python: str, terminal: str) -> dict[str, Any]:
        able = bool(self.chosen) or name in ("more", "fewer")
        terminal = f"kubectl -n {self.lab.namespace} {terminal}"
        return {"name": name, "label": label, "effect": effect, "python": python, "terminal": terminal, "able": able}

    def _delete_twins(self, pod: str) -> tuple[str, str]:
        return f'lab.core.delete_namespaced_pod("{pod}", lab.namespace)', f"delete pod {pod}"

    def _label_twins(self, pod: str, value: str) -> tuple[str, str]:
        change = f'{{"metadata": {{"labels": {{"{self.label}": "{value}"}}}}}}'
        return f'lab.patch("pod/{pod}", {change})', f"label pod {pod} {self.label}={value} --overwrite"

    def _scale_twins(self, copies: int) -> tuple[str, str]:
        change = f'{{"spec": {{"replicas": {copies}}}}}'
        return f'lab.patch("{self.target}", {change})', f"scale {self.target.replace('/', ' ')} --replicas={copies}"


def _first_label(selector: dict[str, Any], label: str) -> tuple[str, str]:
    """A label that the selector asks for, and a value that it takes."""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        pairs = dict(selector)
    else:
        pairs = dict(selector.get("matchLabels") or {})
        for each in selector.get("matchExpressions") or []:
            if each["operator"] == "In":
                pairs.setdefault(each["key"], each["values"][0])
    if not pairs or (label and label not in pairs):
        raise LabError(
            f"the selector asks for no label {label or 'by its value'}; it asks for {', '.join(pairs) or 'none'}."
        )
    label = label or next(iter(pairs))
    return label, pairs[label]


def holds(records: list[Record], there: dict[str, int]) -> bool:
    """Whether the newest record of each object that is there is of its revision or a later one, and no pod too many."""
    newest = {record.uid: record for record in records if record.kind == "Pod" or record.uid in there}
    standing = {uid: int(record.version) for uid, record in newest.items() if record.what != "DELETED"}
    return standing.keys() == there.keys() and all(standing[uid] >= there[uid] for uid in there)


def row(number: int, turn: Turn) -> dict[str, Any]:
    """A turn as the page draws it."""
    return {
        "number": number,
        "at": round(turn.at, 1),
        "wanted": turn.wanted,
        "matched": list(turn.matched),
        "own": len(turn.own),
        "ending": list(turn.ending),
        "left": [*(f"adopted {name}" for name in turn.adopted), *(f"released {name}" for name in turn.released)],
        "difference": turn.difference,
        "verdict": turn.verdict(),
        "did": list(turn.did),
    }


def sentence(turn: Turn) -> str:
    """A turn in words: the numbers, not the names, which differ from run to run."""
    parts = [f"wanted {turn.wanted}, matched {len(turn.matched)}, counted {len(turn.own)}"]
    if turn.ending:
        parts.append(f"{len(turn.ending)} ending")
    if turn.adopted:
        parts.append(f"{len(turn.adopted)} adopted")
    if turn.released:
        parts.append(f"{len(turn.released)} released")
    return "; ".join(parts) + f" → {turn.verdict()}"
