"""Failure × policy: every failure under every way to keep a pod, all run at once, each judged by what became of it.

    for cell in cells(): …               # FAILURES × POLICIES, each with the manifest of its own
    verdict(cell, outcome)                # what came of it, in words that are the same in every run

A cell's outcome is read from the recording and from one last request: does it answer?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .recording import Record

SLOW = 6  # seconds that the slow start takes: longer than its liveness probe waits
FAILURES = {  # name -> what is posted to the app; "" where the failure is in the start
    "crash": "crash",
    "deadlock": "deadlock",
    "exception": "error",
    "slow start": "",
    "memory leak": "leak?mebibytes=256",
}
ASK = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 1}
LIVENESS, STARTUP = {**ASK, "failureThreshold": 3}, {**ASK, "failureThreshold": 60}
POLICIES: dict[str, dict[str, Any]] = {  # name -> what differs from the pod that has none
    "no probe": {},
    "liveness": {"container": {"livenessProbe": LIVENESS}},
    "startup + liveness": {"container": {"startupProbe": STARTUP, "livenessProbe": LIVENESS}},
    "Never + liveness": {"container": {"livenessProbe": LIVENESS}, "spec": {"restartPolicy": "Never"}},
    "ReplicaSet": {"owner": "ReplicaSet"},
}


@dataclass(frozen=True)
class Cell:
    failure: str
    policy: str

    @property
    def name(self) -> str:
        """Of the pod, or of its ReplicaSet."""
        return f"{_slug(self.failure)}-{_slug(self.policy)}"

    @property
    def path(self) -> str:
        return f"fault/{FAILURES[self.failure]}" if FAILURES[self.failure] else ""

    def manifest(self) -> dict[str, Any]:
        change = POLICIES[self.policy]
        labels = {"grid": self.name, "app.kubernetes.io/part-of": "kubelab"}
        env = [{"name": "START_DELAY", "value": str(SLOW)}] if self.failure == "slow start" else []
        container = {
            "name": "faulty",
            "image": "kubelab/faulty:1",
            "imagePullPolicy": "IfNotPresent",
            "ports": [{"name": "http", "containerPort": 8080}],
            "env": env,
            "resources": {"requests": {"cpu": "10m", "memory": "24Mi"}, "limits": {"memory": "64Mi"}},
            **change.get("container", {}),
        }
        spec = {"terminationGracePeriodSeconds": 1, "containers": [container], **change.get("spec", {})}
        if change.get("owner") != "ReplicaSet":
            return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name, "labels": labels}, "spec": spec}
        selector = {"matchLabels": {"grid": self.name}}
        template = {"metadata": {"labels": labels}, "spec": spec}
        whole = {"replicas": 1, "selector": selector, "template": template}
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": self.name, "labels": labels},
            "spec": whole,
        }


@dataclass
class Outcome:
    """What became of a cell's pod. pod: its name, "" before there is one · answer: of the last request: the status,
    0 where nobody answered, None where it was not asked yet."""

    pod: str = ""
    status: str = ""
    ready: bool = False
    restarts: int = 0
    pods: int = 0  # how many there have been: 1 unless one was replaced
    phase: str = "Pending"
    exit: str = ""  # how a container ended last: "OOMKilled", "Error 137"
    answer: int | None = None

    def take(self, record: Record) -> None:
        """Bring it up to date with a record of the cell's pod."""
        state = record.state
        if record.name != self.pod:
            self.pod, self.pods = record.name, self.pods + 1
        self.status, self.ready, self.phase = state["status"], state["Ready"], state["phase"]
        self.restarts = max(self.restarts, state["restarts"])
        for container in state["containers"].values():
            last = container["last"] or (container if container["state"] == "terminated" else None)
            if last:
                self.exit = last["reason"] if last["reason"] != "Error" else f"exit code {last['exitCode']}"


def cells() -> list[Cell]:
    return [Cell(failure, policy) for failure in FAILURES for policy in POLICIES]


def verdict(cell: Cell, outcome: Outcome) -> tuple[str, str]:
    """(state in the course's language, words) of a cell when its time is over."""
    if outcome.phase in ("Failed", "Succeeded"):
        return "failed", f"stays down ({outcome.exit})"
    ok = outcome.answer is not None and 200 <= outcome.answer < 400
    if outcome.pods > 1:
        return ("ready" if ok else "failed"), "replaced by a new pod"
    if cell.failure == "slow start" and outcome.restarts:
        return "crashloop", "killed while it starts, again and again"
    if ok and outcome.restarts:
        return "ready", f"restarted ({outcome.exit}), answers"
    if ok:
        return "ready", "starts in its own time, answers"
    if outcome.status == "CrashLoopBackOff" or outcome.restarts > 1:
        return "crashloop", "restarted again and again"
    return "failed", "runs on and answers with errors" if outcome.answer else "runs on and answers nobody, for ever"


def _slug(text: str) -> str:
    return "-".join(text.lower().replace("+", " ").split())
