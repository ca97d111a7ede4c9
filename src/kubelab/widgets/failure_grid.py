"""The failure × policy grid: 25 pods, each with its failure and its policy, run at once; every cell is a live run.

grid = FailureGrid(lab)
grid.guess("deadlock", "no probe", "failed")     # what the student thinks, before the run
grid.run(); grid.wait()                          # about half a minute
print(grid.text())
"""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

import traitlets

from kubelab.course import manifest, namespace
from kubelab.course.api import listening, proxy_path, request
from kubelab.course.errors import LabError
from kubelab.course.failure_grid import FAILURES, POLICIES, Cell, Outcome, cells, verdict
from kubelab.course.lab import Lab
from kubelab.course.tables import Table

from . import states
from .frame import LabWidget, script, style

WATCHED = 22.0  # seconds after the failures: each cell has settled by then at the timings of profile `class`
START = 60.0  # seconds for all pods to run
AT_ONCE = 4  # requests
LIVE = 0.4  # seconds between looks
ASK = 1.5  # seconds for the last request
GUESSES = {"ready": "it comes back", "crashloop": "again and again", "failed": "it stays broken"}


class FailureGrid(LabWidget):
    """lab: its neighbour `lab.beside("grid")` is used, so that the chapter's own pods are not in the way."""

    _esm = script("failure_grid")
    _css = style("failure_grid")

    failures = traitlets.List(list(FAILURES)).tag(sync=True)
    policies = traitlets.List(list(POLICIES)).tag(sync=True)
    cells = traitlets.Dict().tag(
        sync=True
    )  # name of a cell -> {"failure", "policy", "state", "words", "over", "guess"}
    guesses = traitlets.Dict(GUESSES).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)

    def __init__(self, lab: Lab) -> None:
        self._grid = {cell.name: cell for cell in cells()}
        blank = {"state": "", "words": "", "over": False, "guess": ""}
        start = {name: {"failure": each.failure, "policy": each.policy, **blank} for name, each in self._grid.items()}
        super().__init__(lab, f"Failure × policy · {lab.namespace}", cells=start)
        self._put_in_words()

    def press(self, action: str, failure: str = "", policy: str = "", guess: str = "", **_: Any) -> None:
        if action == "run":
            self.run()
        elif action == "guess":
            self.guess(failure, policy, guess)
        else:
            super().press(action)

    def guess(self, failure: str, policy: str, guess: str) -> None:
        """What will become of a cell: "ready" (it comes back), "crashloop" (again and again), "failed"."""
        name = Cell(failure, policy).name
        if name not in self.cells or guess not in GUESSES:
            raise LabError(f"no such guess; failures are {', '.join(FAILURES)}, guesses {', '.join(GUESSES)}.")
        if self.cells[name]["over"]:
            raise LabError(f"{failure}, {policy}: it is known by now: {self.cells[name]['words']}.")
        self._set(name, guess=guess)
        self._put_in_words()

    def run(self) -> None:
        """Begin the run of all cells; `wait()` blocks until it is over."""
        self.begin(self._run)

    def table(self) -> Table:
        """A row a failure, a column a policy: the verdicts, the same in every run."""
        rows = [
            [failure, *(self.cells[Cell(failure, policy).name]["words"] or "?" for policy in POLICIES)]
            for failure in FAILURES
        ]
        return Table(["", *POLICIES], rows)

    def _run(self) -> None:
        self.busy = True
        lab = self.lab.beside("grid")
        try:
            outcomes = {name: Outcome() for name in self._grid}
            recorder, since = lab.recorder, len(lab.recorder.recording)
            with self.doing("starting 25 pods", 0.0):
                for cell in self._grid.values():
                    manifest.apply(lab.k8s, lab.namespace, cell.manifest())
                self._until_running(lab, outcomes, since)
            with self.doing("causing the failures", 0.3):
                self._break(lab, outcomes)
            self._watch(lab, outcomes, since)
            with self.doing("asking each of them for an answer", 0.97):
                self._ask(lab, outcomes)
            for name, cell in self._grid.items():
                state, words = verdict(cell, outcomes[name])
                self._set(name, state=state, words=words, over=True)
            self.said = self._score()
            self._put_in_words()
            recorder.stop("the grid is done")
        finally:
            namespace.remove(lab.core, lab.namespace)
            self.busy = False

    def _until_running(self, lab: Lab, outcomes: dict[str, Outcome], since: int) -> None:
        deadline = time.monotonic() + START
        while not all(each.phase == "Running" for each in outcomes.values()):
            if time.monotonic() > deadline or self.over.is_set():
                waiting = [name for name, each in outcomes.items() if each.phase != "Running"]
                raise LabError(f"{len(waiting)} pods do not run after {START:g} s, among them {waiting[0]}.")
            since = self._take(lab, outcomes, since)
            running = sum(each.phase == "Running" for each in outcomes.values())
            self.progress = {
                "share": 0.3 * running / len(outcomes),
                "text": f"starting: {running} of {len(outcomes)} run",
            }
            self.over.wait(LIVE)

    def _break(self, lab: Lab, outcomes: dict[str, Outcome]) -> None:
        def one(name: str) -> None:
            cell, pod = self._grid[name], outcomes[name].pod
            if cell.path:
                listening(lambda: lab.request(f"pod/{pod}", cell.path, method="POST"))

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, self._grid))

    def _watch(self, lab: Lab, outcomes: dict[str, Outcome], since: int) -> None:
        began = time.monotonic()
        while (passed := time.monotonic() - began) < WATCHED and not self.over.is_set():
            since = self._take(lab, outcomes, since)
            share = 0.35 + 0.6 * passed / WATCHED
            self.progress = {"share": share, "text": f"watching what becomes of them: {WATCHED - passed:.0f} s more"}
            self.over.wait(LIVE)

    def _take(self, lab: Lab, outcomes: dict[str, Outcome], since: int) -> int:
        """Bring outcomes and picture up to date with what was recorded; the number of the next record."""
        records = lab.recorder.recording.after(since)
        for record in records:
            name = record.state.get("labels", {}).get("grid", "") if record.kind == "Pod" else ""
            if name in outcomes and record.what != "DELETED":
                outcomes[name].take(record)
        fresh = dict(self.cells)
        for name, outcome in outcomes.items():
            if outcome.pod:
                state = states.of_words(outcome.status, outcome.ready)
                words = outcome.status + (f", restarts {outcome.restarts}" if outcome.restarts else "")
                fresh[name] = {**fresh[name], "state": state, "words": words, "over": False}
        self.cells = fresh
        return since + len(records)

    def _ask(self, lab: Lab, outcomes: dict[str, Outcome]) -> None:
        def one(outcome: Outcome) -> None:
            try:
                path = proxy_path(lab.namespace, f"pod/{outcome.pod}", "/")
                outcome.answer = request(lab.k8s, "GET", path, timeout=ASK).status
            except TimeoutError:
                outcome.answer = 0

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, (each for each in outcomes.values() if each.phase == "Running")))

    def _set(self, name: str, **values: Any) -> None:
        self.cells = {**self.cells, name: {**self.cells[name], **values}}

    def _score(self) -> str:
        given = [each for each in self.cells.values() if each["guess"]]
        right = sum(each["guess"] == each["state"] for each in given)
        return f"done; {right} of {len(given)} predictions were right" if given else "done"

    def _put_in_words(self) -> None:
        lines = [
            f"{each['failure']:12} {each['policy']:20} {states.in_words(each['state'], each['words'])}"
            + (f"   (predicted: {GUESSES[each['guess']]})" if each["guess"] else "")
            for each in self.cells.values()
            if each["state"]
        ]
        self.words = "\n".join(lines) or "Not run yet."
