"""The failure panel: pick a pod, press a failure, and see pods, requests and events move.

A button does what `panel.press("deadlock", "with-probe")` does, and shows the Python and the kubectl command that do it
without the panel. It unlocks once a prediction is given, `panel.predict("deadlock", "restarted", "with-probe")`, which
is scored when the records decide it. `panel.text()` is the picture in words.
"""

from __future__ import annotations

from typing import Any

import traitlets

from kubelab.course import pods as podstatus
from kubelab.course.errors import LabError
from kubelab.course.faults import FAULTS, NODE_FAULTS, SpecFault, able, cause, cause_on_node
from kubelab.course.lab import Lab
from kubelab.course.predictions import Trial, label, question_data
from kubelab.course.tables import first_seen
from kubelab.course.waiting import has_condition

from . import states
from .feed import Feed, View
from .frame import LabWidget, script, style

EVENTS_SHOWN = 8
OF_FAULTY = ("unready", "disk-full", *(name for name, fault in FAULTS.items() if isinstance(fault, SpecFault)))


class FailurePanel(LabWidget):
    """lab: the chapter's lab · selector: which pods to show, as in `kubectl get -l` · feature: of the shop, whose
    faults are those of one feature, "" for others · failures: names of `kubelab.course.faults.FAULTS`, in the order of
    the buttons; by default all that the app can take · predict: whether buttons are locked until a prediction is given.
    """

    _esm = script("failure_panel")
    _css = style("failure_panel")

    failures = traitlets.List().tag(
        sync=True
    )  # {"name", "label", "effect", "python", "kubectl"}; POD stands for the pod
    pods = traitlets.List().tag(sync=True)  # {"name", "state", "shape", "status", "ready", "restarts", "node", "last"}
    events = traitlets.List().tag(sync=True)  # {"reason", "about", "message", "warning"}, newest first
    answers = traitlets.List().tag(sync=True)  # true for each request that was answered, oldest first
    nodes = traitlets.List().tag(sync=True)  # {"name", "ready", "shape", "status"}; "ready" false: known or about to be
    questions = traitlets.Dict().tag(sync=True)  # failure -> {"failure", "question", "options": [{"key", "text"}]}
    given = traitlets.Dict().tag(sync=True)  # "failure/pod" -> the answer's key: what unlocks the button for that pod
    verdict = traitlets.Dict().tag(sync=True)  # the newest score: `kubelab.course.predictions.Score.document`
    limits = traitlets.Unicode().tag(sync=True)  # which failures these engines can do
    chosen = traitlets.Unicode().tag(sync=True)  # the pod that failures and requests go to

    def __init__(
        self,
        lab: Lab,
        selector: str = "",
        feature: str = "",
        failures: tuple[str, ...] | None = None,
        predict: bool = True,
    ) -> None:
        self.feature = feature
        self._trials: list[Trial] = []
        names = failures or [name for name in (*FAULTS, *NODE_FAULTS) if not (feature and name in OF_FAULTY)]
        unable = {name: able(lab, name) for name in names}
        buttons = [button(name, lab.namespace, feature, not unable[name]) for name in names]
        self._feed = Feed(lab.engines.api_client(), lab.namespace, selector, self._show)
        super().__init__(
            lab,
            f"Failure panel · {lab.namespace}",
            selector,
            failures=buttons,
            questions={name: found for name in names if predict and (found := question_data(name))},
            limits=limits(unable),
        )
        self.observe(lambda change: self._feed.ask(change.new), "chosen")
        self._feed.start()

    def press(self, failure: str, pod: str = "", **_: Any) -> None:
        """Cause a failure, in the chosen pod unless another is named; "node-lost" takes that pod's node, "node-back"
        brings back every node that is away. LabError: it was not taken."""
        if pod:
            self.chosen = pod
        if failure == "node-back":
            self.said = "; ".join(cause_on_node(self.lab, failure, node) for node in self._nodes_for(failure))
            return
        if not self.chosen:
            raise LabError("no pod is chosen. Next: name one, `panel.press('crash', 'NAME')`.")
        with self.lab.trial(failure, self.lab.read(f"pod/{self.chosen}")) as trial:
            if failure in NODE_FAULTS:
                self.said = "; ".join(cause_on_node(self.lab, failure, node) for node in self._nodes_for(failure))
            else:
                self.said = cause(self.lab, failure, self.chosen, self.feature)
        self._trials += [trial] if trial else []

    def predict(self, failure: str, answer: str, pod: str = "") -> None:
        """Commit to what a failure will do to a pod, by default the chosen one. LabError: there is no such answer."""
        self.chosen = pod or self.chosen
        self.lab.predictions.give(failure, {"outcome": answer})
        self.lab.recorder  # noqa: B018 - it starts now, so that it knows how things stood before the press
        self.given = {**self.given, f"{failure}/{self.chosen}": answer}
        self.said = f"Prediction noted. {label(failure)} is unlocked for {self.chosen}."

    def _nodes_for(self, failure: str) -> list[str]:
        if failure == "node-back":
            found = [node["name"] for node in self.nodes if not node["ready"]]
        else:
            found = [row["node"] for row in self.pods if row["name"] == self.chosen and row["node"]]
        if not found:
            raise LabError("no node is away." if failure == "node-back" else "choose a pod that has a node.")
        return found

    def from_page(self, content: dict[str, Any]) -> None:
        if "predict" in content:
            self.predict(content["predict"], content.get("answer", ""), content.get("pod", ""))
        elif self.locked(content.get("press", ""), content.get("pod", "")):
            self.said = "First say what will happen; then the button is unlocked."
        else:
            super().from_page(content)

    def locked(self, failure: str, pod: str) -> bool:
        """Whether a prediction is still due."""
        return failure in self.questions and f"{failure}/{pod}" not in self.given

    def _settle(self) -> None:
        """Score what the records have decided by now."""
        for trial in [found for found in self._trials if found.settled(found.recorder.now())]:
            self._trials.remove(trial)
            self.verdict = self.lab.keep(trial.score()).document()

    def _show(self, view: View) -> None:
        """Called by the feed, from its thread: set traits, nothing else."""
        rows = [pod_row(view.pods[name]) for name in sorted(view.pods)]
        news = announcement(self.pods, rows)
        self._settle()
        with self.hold_sync():
            self.pods, self.events = rows, event_rows(list(view.events.values()), set(view.pods))
            self.answers, self.trouble = list(view.answers), view.trouble
            self.nodes = [node_row(view.nodes[name], self.lab.nodes.off) for name in sorted(view.nodes)]
            if news:
                self.said = news
            if rows and self.chosen not in view.pods:
                self.chosen = rows[0]["name"]
            self.words = self.text()
        if view.ended:
            self.stop("the namespace was deleted")

    def text(self) -> str:
        """The picture in words: one line a pod, one for the requests, and what is wrong if something is."""
        wrong = f"stopped, {self.ended}" if self.ended else self.trouble
        lines = [f"Failure panel of {self.lab.namespace}" + (f": {wrong}" if wrong else "")]
        for row in self.pods:
            mark = ">" if row["name"] == self.chosen else " "
            lines.append(
                f"{mark} {row['shape']} {row['name']} {row['status']}, ready {row['ready']}, restarts {row['restarts']}"
            )
        lines += [f"  {node['shape']} {node['name']} {node['status']}" for node in self.nodes]
        answered = sum(self.answers)
        lines.append(
            f"  requests to {self.chosen or 'no pod'}: {answered} answered, {len(self.answers) - answered} not"
        )
        lines += [self.verdict["text"]] if self.verdict else []
        return "\n".join(lines)

    def stop(self, why: str = "stop() was called") -> None:
        self._feed.close()
        super().stop(why)


def limits(unable: dict[str, str]) -> str:
    """Which failures the chosen engines cannot do, and why. `unable`: name -> why not, "" where they can."""
    reasons = dict.fromkeys(filter(None, unable.values()))
    missing = {why: [label(name) for name, found in unable.items() if found == why] for why in reasons}
    if not missing:
        return "These engines can do all of them."
    return " ".join(f"Not here: {', '.join(names)} ({why})." for why, names in missing.items())


def button(name: str, namespace: str, feature: str, able: bool) -> dict[str, Any]:
    """What the panel shows of a failure. In its twins POD and NODE stand for the chosen ones."""
    if name in NODE_FAULTS:
        fault, twins = NODE_FAULTS[name], (NODE_FAULTS[name].python("NODE"), NODE_FAULTS[name].command("NODE"))
        needs = "lost" if fault.action == "start" else "node"
    elif name in FAULTS:
        fault, needs = FAULTS[name], "pod"
        twins = (fault.python("POD", feature), fault.kubectl(namespace, "POD", feature))
    else:
        raise LabError(f"there is no failure {name!r}; there are {', '.join((*FAULTS, *NODE_FAULTS))}.")
    return {
        "name": name,
        "label": fault.label,
        "effect": fault.effect,
        "python": twins[0],
        "terminal": twins[1],
        "needs": needs,
        "able": able,
    }


def node_row(node: dict[str, Any], off: set[str]) -> dict[str, Any]:
    """What the panel shows of a node. The cluster learns only later that one was switched off."""
    ready, name = has_condition({"spec": {}, **node}, "Ready"), node["metadata"]["name"]
    status = "Ready" if ready else "NotReady"
    return {
        "name": name,
        "ready": ready and name not in off,
        "state": states.of_node(ready),
        "shape": states.shape(states.of_node(ready)),
        "status": f"{status}, switched off" if name in off else status,
    }


def pod_row(pod: podstatus.Pod) -> dict[str, Any]:
    """What the panel shows of a pod: its state by shape and by word."""
    state = states.of_pod(pod)
    return {
        "name": podstatus.name(pod),
        "state": state,
        "shape": states.shape(state),
        "status": podstatus.status(pod),
        "ready": podstatus.ready_containers(pod),
        "restarts": podstatus.restarts(pod),
        "node": podstatus.node(pod),
        "last": podstatus.last_exit(pod),
    }


def announcement(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str:
    """What a listener should hear of a change: restarts and new states, "" where there is nothing to say."""
    known = {row["name"]: row for row in before}
    news = []
    for row in after:
        old = known.pop(row["name"], None)
        if old is None:
            news += [f"{row['name']} is new"] if before else []
        elif row["restarts"] > old["restarts"]:
            news.append(f"{row['name']} was restarted, {row['restarts']} in all: {row['last']}".removesuffix(": "))
        elif row["status"] != old["status"]:
            news.append(f"{row['name']}: {row['status']}")
    news += [f"{name} is gone" for name in known]
    return "; ".join(news)


def _last_seen(event: dict[str, Any]) -> tuple[str, int]:
    """Events carry whole seconds; among those of one second the revision, which only grows, tells the newer."""
    revision = event["metadata"].get("resourceVersion", "")
    return event.get("lastTimestamp") or first_seen(event), int(revision) if revision.isdigit() else 0


def event_rows(events: list[dict[str, Any]], pods: set[str]) -> list[dict[str, Any]]:
    """The newest events about the shown pods and their owners, newest first."""
    newest = sorted(events, key=_last_seen, reverse=True)
    rows = [
        {
            "reason": event["reason"],
            "about": event["involvedObject"].get("name", ""),
            "message": event.get("message", ""),
            "count": event.get("count") or 1,
            "warning": event.get("type") == "Warning",
        }
        for event in newest
        if event["involvedObject"]["kind"] != "Pod" or event["involvedObject"]["name"] in pods
    ]
    return rows[:EVENTS_SHOWN]
