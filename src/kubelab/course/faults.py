"""The failures that a student can cause, each with its Python and its kubectl twin.

Four sorts, by what they touch: a request to the app in the pod (`Fault`), the pod's deletion (a `Fault` without one),
the pod's description (`SpecFault`: it is made anew with one thing changed), and a node's machine (`NodeFault`). All but
the last are calls of the Kubernetes API and work on any cluster; which the chosen engines can do, `able` says.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubernetes.client.rest import ApiException

from . import remaking
from .api import listening
from .errors import LabError
from .manifest import message

if TYPE_CHECKING:
    from .lab import Lab


@dataclass(frozen=True)
class Fault:
    """One failure. `request` is what is posted to the app; "" where it is the pod that is deleted."""

    name: str
    label: str
    effect: str
    request: str = ""

    def path(self, feature: str) -> str:
        """Below the app's root; the shop's faults are those of one feature."""
        return f"fault/{feature}/{self.request}" if feature else f"fault/{self.request}"

    def python(self, pod: str, feature: str = "") -> str:
        if not self.request:
            return f'lab.core.delete_namespaced_pod("{pod}", lab.namespace)'
        return f'lab.request("pod/{pod}", "{self.path(feature)}", method="POST")'

    def kubectl(self, namespace: str, pod: str, feature: str = "") -> str:
        if not self.request:
            return f"kubectl -n {namespace} delete pod {pod}"
        url = f"/api/v1/namespaces/{namespace}/pods/{pod}/proxy/{self.path(feature)}"
        return f"kubectl create --raw '{url}' -f /dev/null"


@dataclass(frozen=True)
class SpecFault:
    """A wrong description. `change` gives, for a container's name, the change to it as a strategic merge patch."""

    name: str
    label: str
    effect: str
    change: Callable[[], dict[str, Any]]

    def patch(self, container: str) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": container, **self.change()}]}}

    def python(self, pod: str, feature: str = "") -> str:
        return f'lab.remake("{pod}", {self.patch("CONTAINER")!r})'

    def kubectl(self, namespace: str, pod: str, feature: str = "") -> str:
        """Of a pod without an owner; one that a Deployment made is changed by the same patch of its template."""
        patch = self.patch("CONTAINER")
        patch["spec"]["nodeName"] = None  # else it would go to its old node without asking the scheduler
        return (
            f"kubectl -n {namespace} get pod {pod} -o json"
            f" | kubectl patch --local -f - -p '{json.dumps(patch)}' -o json | kubectl replace --force -f -"
        )


FAULTS: dict[str, Fault | SpecFault] = {
    fault.name: fault
    for fault in (
        Fault("crash", "Crash", "the process ends with exit code 1", "crash"),
        Fault("deadlock", "Deadlock", "the process runs on and answers nobody", "deadlock"),
        Fault("error", "Exception", "every request ends in an error, status 500", "error"),
        Fault("slow", "Slow", "every request takes 3 seconds", "slow?seconds=3"),
        SpecFault(
            "slow-start",
            "Slow start",
            "a new pod, which works for 6 seconds before it listens",
            lambda: {"env": [{"name": "START_DELAY", "value": "6"}]},
        ),
        Fault("leak", "Memory leak", "memory grows until the limit, if there is one", "leak?mebibytes=256"),
        Fault("disk-full", "Disk full", "no space is left in its data folder, and requests fail for it", "fill"),
        SpecFault(
            "wrong-image",
            "Wrong image",
            "a new pod, whose image has a tag that does not exist",
            lambda: {"image": "kubelab/faulty:no-such-tag", "imagePullPolicy": "IfNotPresent"},
        ),
        SpecFault(
            "wrong-probe",
            "Wrong probe path",
            "a new pod, whose liveness probe asks for a page that the app lacks",
            lambda: {
                "livenessProbe": {
                    "httpGet": {"path": "/no-such-page", "port": 8080},
                    "initialDelaySeconds": 1,
                    "periodSeconds": 1,
                    "failureThreshold": 2,
                }
            },
        ),
        SpecFault(
            "no-memory",
            "No memory",
            "a new pod, which requests more memory than any node has",
            lambda: {"resources": {"requests": {"memory": "1Ti"}, "limits": {"memory": "1Ti"}}},
        ),
        Fault("unready", "Not ready", "alive, but it asks for no requests: /readyz answers 503", "unready"),
        Fault("recover", "Recover", "error, slow and not ready are over", "recover"),
        Fault("delete", "Delete pod", "the pod is deleted, as by an operator"),
    )
}


@dataclass(frozen=True)
class NodeFault:
    """One of a whole node. Possible only where `lab.nodes.can_be_lost`."""

    name: str
    label: str
    effect: str
    action: str  # of `kubelab node`, and of `lab.nodes`

    def python(self, node: str) -> str:
        return f'lab.nodes.{self.action}("{node}")'

    def command(self, node: str) -> str:
        return f"kubelab node {self.action} {node}"


NODE_FAULTS = {
    fault.name: fault
    for fault in (
        NodeFault("node-lost", "Lose node", "the node's power is cut, and nobody tells the cluster", "stop"),
        NodeFault("node-cut", "Cut off node", "the node's network is cut; its programs run on, unseen", "cut"),
        NodeFault("node-back", "Node back", "the lost node is switched on again", "start"),
    )
}


def cause_on_node(lab: Lab, name: str, node: str) -> str:
    """Switch a node off or on and say what that does. LabError: these machines are not the course's."""
    fault = NODE_FAULTS[name]
    getattr(lab.nodes, fault.action)(node)
    return f"{fault.label} → {node}: {fault.effect}"


def able(lab: Lab, name: str) -> str:
    """Why the chosen engines cannot do a failure; "" where they can. Whether an app takes it, only asking tells."""
    if name in NODE_FAULTS:
        return lab.nodes.unable(NODE_FAULTS[name].action)
    return ""


def cause(lab: Lab, name: str, pod: str, feature: str = "") -> str:
    """Cause a failure and say what it does. LabError: there is no such failure or pod, or the app did not take it."""
    fault = FAULTS.get(name)
    if fault is None:
        raise LabError(f"there is no failure {name!r}; there are {', '.join(FAULTS)}.")
    if isinstance(fault, SpecFault):
        remaking.change(lab, pod, fault.patch(remaking.first_container(lab, pod)))
    elif fault.request:
        _ask_for(lab, fault, pod, feature)
    else:
        _delete(lab, pod)
    return f"{fault.label} → {pod}: {fault.effect}"


def _delete(lab: Lab, pod: str) -> None:
    try:
        lab.core.delete_namespaced_pod(pod, lab.namespace)
    except ApiException as error:
        raise LabError(f"{pod} was not deleted: {message(error)}") from error


def _ask_for(lab: Lab, fault: Fault, pod: str, feature: str) -> None:
    try:
        answer = listening(lambda: lab.request(f"pod/{pod}", fault.path(feature), method="POST"))
    except TimeoutError as error:
        raise LabError(
            f"{pod} does not take {fault.name}: it answers nobody any more. Delete it, or wait for its restart."
        ) from error
    if not answer.ok:
        raise LabError(f"{pod} did not take {fault.name}: {answer}")
