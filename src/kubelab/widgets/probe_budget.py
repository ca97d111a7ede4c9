"""The probe budget: four sliders say how soon a probe finds a failure; a button measures it on a real pod.

budget = ProbeBudget(lab)
budget.choose(period=1, threshold=2)     # what the sliders do
budget.measure(); budget.wait()          # a pod with this probe is made, broken, and watched
print(budget.text())
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import traitlets

from kubelab.course import faults
from kubelab.course.budget import FAILURES, FAULTS, SLACK, Budget
from kubelab.course.errors import LabError
from kubelab.course.lab import Lab
from kubelab.course.recording import Record

from .frame import LabWidget, script, style

POD = "probe-budget"
LIMITS = {"delay": (0, 20), "period": (1, 10), "timeout": (1, 10), "threshold": (1, 6)}
LABELS = {
    "delay": "initialDelaySeconds",
    "period": "periodSeconds",
    "timeout": "timeoutSeconds",
    "threshold": "failureThreshold",
}
START, LOOKS = 30, 30  # seconds for the pod to start, and beyond the prediction to look on
SHOWN = 6  # measurements in the picture


class ProbeBudget(LabWidget):
    """lab: the pod is made in its namespace, of the image kubelab/faulty:1."""

    _esm = script("probe_budget")
    _css = style("probe_budget")

    sliders = traitlets.List().tag(sync=True)  # {"name", "label", "min", "max", "unit"}
    chosen = traitlets.Dict().tag(sync=True)  # name -> number
    failure = traitlets.Unicode("deadlock").tag(sync=True)
    failures = traitlets.List(list(FAILURES)).tag(sync=True)
    soonest = traitlets.Float().tag(sync=True)  # seconds after the failure
    latest = traitlets.Float().tag(sync=True)
    measured = traitlets.List().tag(
        sync=True
    )  # {"found", "unhealthy": [s, …], "soonest", "latest", "failure", "probe"}
    twins = traitlets.Dict().tag(sync=True)  # {"python", "terminal"}

    def __init__(self, lab: Lab, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        sliders = [
            {"name": name, "label": LABELS[name], "min": low, "max": high, "unit": "" if name == "threshold" else " s"}
            for name, (low, high) in LIMITS.items()
        ]
        super().__init__(lab, f"Probe budget · {lab.namespace}", sliders=sliders)
        self._predict()

    def choose(self, failure: str = "", **numbers: int) -> None:
        """Set any of delay, period, timeout, threshold, and the failure, "deadlock" or "exception".

        LabError: there is no such, or it is out of bounds.
        """
        if unknown := sorted(set(numbers) - set(LIMITS)):
            raise LabError(f"a probe has no {unknown[0]!r} here; it has {', '.join(LIMITS)}.")
        for name, number in numbers.items():
            low, high = LIMITS[name]
            if not low <= number <= high:
                raise LabError(f"{LABELS[name]} is {low} to {high} here, not {number}.")
        if failure and failure not in FAILURES:
            raise LabError(f"{failure!r} is none that a probe finds here; those are {', '.join(FAILURES)}.")
        self.budget = replace(self.budget, **numbers)
        self.failure = failure or self.failure
        self._predict()

    def press(self, action: str, **options: Any) -> None:
        if action == "choose":
            self.choose(**options)
        elif action == "measure":
            self.measure()
        else:
            super().press(action)

    def measure(self) -> None:
        """Begin to measure; `wait()` blocks until it is done."""
        budget, failure = self.budget, self.failure
        self.begin(lambda: self._measure(budget, failure))

    def _predict(self) -> None:
        soonest, latest = self.budget.after(self.failure)
        numbers = {name: getattr(self.budget, name) for name in LIMITS}
        with self.hold_sync():
            self.chosen, self.soonest, self.latest = numbers, soonest, latest
            self.twins = {
                "python": f'budget.choose("{self.failure}", '
                + ", ".join(f"{name}={number}" for name, number in numbers.items())
                + "); budget.measure()",
                "terminal": f"kubectl -n {self.lab.namespace} events --for pod/{POD} --watch",
            }
            self.words = self._in_words()

    def _measure(self, budget: Budget, failure: str) -> None:
        """A pod with this probe, the failure in it once it runs, and then the records of what is found."""
        recorder = self.lab.recorder
        with self.doing(f"starting the pod {POD}"):
            self._fresh_pod(budget)
            since = len(recorder.recording)
            self.lab.core.create_namespaced_pod(self.lab.namespace, manifest(budget))
            if not recorder.recording.wait_for(lambda records: _running(records) is not None, START, since):
                raise LabError(f"the pod {POD} does not run after {START} s. Next: `lab.events('pod/{POD}')`.")
            uid = _running(recorder.recording.after(since)).uid
        soonest, latest = budget.detection(failure, 0)
        with self.doing(f"broken by {failure}; found in {soonest:g} to {latest:g} s at the latest"):
            faults.cause(self.lab, FAULTS[failure], POD)
            broken = recorder.now()
            recorder.mark(f"probe budget: {failure} in {POD}")
            found = recorder.recording.wait_for(
                lambda records: _killing(records, uid) is not None, latest + LOOKS, since
            )
        records = recorder.recording.after(since)
        if not found:
            raise LabError(f"nothing was found within {latest + LOOKS:g} s. Next: `lab.events('pod/{POD}')`.")
        self._add(budget, failure, records, uid, broken)
        self._delete_pod()

    def _add(self, budget: Budget, failure: str, records: list[Record], uid: str, broken: float) -> None:
        started = _running(records).at
        soonest, latest = budget.detection(failure, broken - started)
        one = {
            "failure": failure,
            "probe": {name: getattr(budget, name) for name in LIMITS},
            "found": round(_killing(records, uid).at - broken, 2),
            "unhealthy": [round(r.at - broken, 2) for r in records if _is_event(r, uid, "Unhealthy") and r.at > broken],
            "soonest": round(soonest - (broken - started), 2),
            "latest": round(latest - (broken - started), 2),
        }
        with self.hold_sync():
            self.measured = [*self.measured, one][-SHOWN:]
            self.said = f"found after {one['found']:.1f} s: {verdict(one)}"
            self.words = self._in_words()

    def _fresh_pod(self, budget: Budget) -> None:
        if any(pod["metadata"]["name"] == POD for pod in self.lab.objects("pod")):
            self._delete_pod()

    def _delete_pod(self) -> None:
        since = len(self.lab.recorder.recording)
        self.lab.core.delete_namespaced_pod(POD, self.lab.namespace, grace_period_seconds=0)
        self.lab.recorder.recording.wait_for(
            lambda records: any(r.target == f"Pod/{POD}" and r.what == "DELETED" for r in records), START, since
        )

    def _in_words(self) -> str:
        probe = ", ".join(f"{LABELS[name]} {getattr(self.budget, name)}" for name in LIMITS)
        lines = [
            probe,
            f"{self.failure}: found {self.soonest:g} to {self.latest:g} s after it, once the container has run for "
            f"{self.budget.delay} s",
        ]
        lines += [f"measured, {one['failure']}: {verdict(one)}" for one in self.measured]
        return "\n".join(lines)


def verdict(one: dict[str, Any]) -> str:
    """Whether what was measured is what was predicted, start and API taking at most SLACK seconds more."""
    if one["found"] < one["soonest"] - SLACK:
        return "sooner than predicted"
    return "as predicted" if one["found"] <= one["latest"] + SLACK else "later than predicted"


def manifest(budget: Budget) -> dict[str, Any]:
    labels = {"app": POD, "app.kubernetes.io/part-of": "kubelab"}
    container = {
        "name": "faulty",
        "image": "kubelab/faulty:1",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": budget.probe(),
        "resources": {"requests": {"cpu": "20m", "memory": "24Mi"}},
    }
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "labels": labels}, "spec": spec}


def _running(records: list[Record]) -> Record | None:
    """The record that first says that the container runs."""
    for record in records:
        if record.target == f"Pod/{POD}" and record.what != "DELETED":
            containers = record.state["containers"].values()
            if any(each["state"] == "running" for each in containers):
                return record
    return None


def _killing(records: list[Record], uid: str) -> Record | None:
    return next((record for record in records if _is_event(record, uid, "Killing")), None)


def _is_event(record: Record, uid: str, reason: str) -> bool:
    return record.kind == "Event" and record.state.get("uid") == uid and record.state.get("reason") == reason
