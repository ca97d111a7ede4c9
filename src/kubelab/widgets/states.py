"""The course's one visual language for states: the same shape, word and colour in every lab.

Shape and word carry the meaning; the colour, in frame.css, only repeats it. What a state is called is what
`kubectl get pods` or `get nodes` says.
"""

from __future__ import annotations

from typing import Any

from kubelab.course import pods as podstatus

STATES = {  # name -> its shape, and its word where nothing says more
    "pending": {"shape": "○", "label": "Pending"},
    "running": {"shape": "◐", "label": "Running, not ready"},
    "ready": {"shape": "●", "label": "Ready"},
    "crashloop": {"shape": "↻", "label": "CrashLoopBackOff"},
    "failed": {"shape": "✕", "label": "Failed"},
    "done": {"shape": "✓", "label": "Completed"},
    "terminating": {"shape": "▽", "label": "Terminating"},
    "notready": {"shape": "◇", "label": "NotReady"},
    "gone": {"shape": "–", "label": "gone"},
}
WAITING = ("Pending", "ContainerCreating", "PodInitializing", "SchedulingGated")


def shape(state: str) -> str:
    return STATES[state]["shape"]


def of_pod(pod: podstatus.Pod) -> str:
    """The state of a pod, an object as in YAML."""
    return of_words(podstatus.status(pod), podstatus.is_ready(pod), podstatus.is_terminating(pod))


def of_words(status: str, ready: bool, terminating: bool = False) -> str:
    """The state behind a STATUS column, such as a recording keeps it."""
    if terminating or status == "Terminating":
        return "terminating"
    if status in ("Completed", "Succeeded"):
        return "done"
    if status == "Running":
        return "ready" if ready else "running"
    if status == "CrashLoopBackOff":
        return "crashloop"
    return "pending" if status in WAITING or status.startswith("Init:") else "failed"


def of_node(ready: bool) -> str:
    return "ready" if ready else "notready"


def in_words(name: str, status: str = "") -> str:
    """ "● Ready", "✕ OOMKilled": as text twins write it."""
    return f"{shape(name)} {status or STATES[name]['label']}"


def for_page() -> dict[str, Any]:
    """What the scripts draw with: see stateMark in frame.js."""
    return STATES
