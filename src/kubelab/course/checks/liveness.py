"""Whether a pod's liveness probe does what it is for: a deadlock is caused, and the records say what came of it.

A deadlock makes a probe time out, for the kernel still takes connections. So a probe that fails otherwise, and often
enough for a restart, fails on a program that is well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubelab.course import faults, waiting
from kubelab.course import pods as podstatus
from kubelab.course.errors import LabError, NotInTime
from kubelab.course.exercise import Finding, Object

if TYPE_CHECKING:
    from kubelab.course.lab import Lab

START = 20.0  # seconds that a pod may need until it is ready
SPARE = 3.0  # seconds for the records to follow
TIMED_OUT = "deadline exceeded"
NO_SUCH_PATH = re.compile(r"^Liveness probe failed: HTTP probe failed with statuscode: 4\d\d")
BY_LIVENESS = "failed liveness probe"
GRACE = 30  # seconds; upstream's default of terminationGracePeriodSeconds


def leaves_the_healthy_alone(lab: Lab, pod: Object) -> Finding:
    """Watched for one round of the probe, from when the pod is ready."""
    name, probe = podstatus.name(pod), pod["spec"]["containers"][0]["livenessProbe"]
    ready = _reached(lab, name, podstatus.is_ready, START)
    delays = (
        (probe.get("initialDelaySeconds") or 0),
        probe.get("periodSeconds") or 10,
        probe.get("timeoutSeconds") or 1,
    )
    harmed = ready and _harmed(lab, pod, sum(delays))
    now = lab.read(f"pod/{name}")
    state = f"{podstatus.status(now)}, ready {podstatus.ready_containers(now)}, restarts {podstatus.restarts(now)}"
    return Finding(
        ready and not harmed,
        "while it is well, the probe leaves it alone",
        f"the probe fails on a healthy program ({state})" if harmed else state,
        "Running, ready 1/1, and no liveness probe that failed",
        "a probe that fails on a healthy program does harm: is its path right, and does it wait until the program "
        "listens?",
    )


def restarts_a_deadlock(lab: Lab, pod: Object, seconds: float) -> Finding:
    """Cause one, and watch for as long as it may take to be found and the container to end."""
    name, before = podstatus.name(pod), podstatus.restarts(pod)
    grace = pod["spec"].get("terminationGracePeriodSeconds", GRACE)
    try:
        faults.cause(lab, "deadlock", name)
        restarted = _reached(lab, name, lambda now: podstatus.restarts(now) > before, seconds + grace + SPARE)
        found = "no restart" if not restarted else "restarted"
    except LabError as error:
        restarted, found = False, str(error)
    return Finding(
        restarted and not _harmed(lab, pod, 0),
        "a deadlock, caused just now, is found and the container restarted",
        found if not restarted else "the probe fails on a healthy program, too",
        f"a restart within {seconds:g} seconds, and {grace} for its end",
        "does the probe reach the program? `kubectl get events` says what it was answered.",
    )


def _reached(lab: Lab, name: str, condition: object, timeout: float) -> bool:
    try:
        waiting.until(
            lab.core.list_namespaced_pod,
            lab.namespace,
            condition=lambda found: bool(found) and condition(found[0]),  # type: ignore[operator]
            what=f"pod/{name}",
            timeout=timeout,
            field_selector=f"metadata.name={name}",
        )
    except NotInTime:
        return False
    return True


def _harmed(lab: Lab, pod: Object, seconds: float) -> bool:
    """Whether the pod's events tell, now or within so many seconds, of a probe that failed on a healthy program."""
    try:
        waiting.until(
            lab.core.list_namespaced_event,
            lab.namespace,
            condition=harm,
            what="an event",
            timeout=max(seconds, 0.5),
            field_selector=f"involvedObject.uid={pod['metadata']['uid']}",
        )
    except NotInTime:
        return False
    return True


def harm(events: list[Object]) -> bool:
    """Whether a liveness probe asked for what is not there, or made the kubelet end a container without timing out."""
    messages = [event.get("message", "") for event in events if event.get("reason") in ("Unhealthy", "Killing")]
    killed = any(BY_LIVENESS in message for message in messages)
    timed_out = any(TIMED_OUT in message for message in messages)
    return any(map(NO_SUCH_PATH.match, messages)) or (killed and not timed_out)
