"""The failures that a student can cause in a pod, each with its Python and its kubectl twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubernetes.client.rest import ApiException

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


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("crash", "Crash", "the process ends with exit code 1", "crash"),
        Fault("deadlock", "Deadlock", "the process runs on and answers nobody", "deadlock"),
        Fault("error", "Exception", "every request ends in an error, status 500", "error"),
        Fault("slow", "Slow", "every request takes 3 seconds", "slow?seconds=3"),
        Fault("leak", "Memory leak", "memory grows until the limit, if there is one", "leak?mebibytes=256"),
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
    action: str  # "stop" or "start"

    def python(self, node: str) -> str:
        return f'lab.nodes.{self.action}("{node}")'

    def command(self, node: str) -> str:
        return f"kubelab node {self.action} {node}"


NODE_FAULTS = {
    fault.name: fault
    for fault in (
        NodeFault("node-lost", "Lose node", "the node's power is cut, and nobody tells the cluster", "stop"),
        NodeFault("node-back", "Node back", "the lost node is switched on again", "start"),
    )
}


def cause_on_node(lab: Lab, name: str, node: str) -> str:
    """Switch a node off or on and say what that does. LabError: these machines are not the course's."""
    fault = NODE_FAULTS[name]
    getattr(lab.nodes, fault.action)(node)
    return f"{fault.label} → {node}: {fault.effect}"


def cause(lab: Lab, name: str, pod: str, feature: str = "") -> str:
    """Cause a failure and say what it does. LabError: there is no such failure or pod, or the app did not take it."""
    fault = FAULTS.get(name)
    if fault is None:
        raise LabError(f"there is no failure {name!r}; there are {', '.join(FAULTS)}.")
    if not fault.request:
        try:
            lab.core.delete_namespaced_pod(pod, lab.namespace)
        except ApiException as error:
            raise LabError(f"{pod} was not deleted: {message(error)}") from error
        return f"{fault.label} → {pod}: {fault.effect}"
    try:
        answer = listening(lambda: lab.request(f"pod/{pod}", fault.path(feature), method="POST"))
    except TimeoutError as error:
        raise LabError(
            f"{pod} does not take {name}: it answers nobody any more. Delete it, or wait for its restart."
        ) from error
    if not answer.ok:
        raise LabError(f"{pod} did not take {name}: {answer}")
    return f"{fault.label} → {pod}: {fault.effect}"
