"""Which pods stand behind a service, and when to look again: what Endpoints and EndpointSlices have in common.

Upstream: pkg/controller/endpoint/endpoints_controller.go, staging/src/k8s.io/endpointslice/util/controller_utils.go.
"""

from __future__ import annotations

from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.informer import key_of
from kubelab.cluster.pods import is_terminal, is_terminating
from kubelab.cluster.resources import PODS, SERVICES
from kubelab.cluster.selectors import map_matches

HEADLESS_LABEL = "service.kubernetes.io/headless"


class ServiceController(Controller):
    """A controller whose keys are services, and that looks again when a pod that a service selects changes."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.services, self.pods = context.informers.of(SERVICES), context.informers.of(PODS)
        self.services.add_handler(self.enqueue, lambda old, new: self.enqueue(new), self.enqueue)
        self.pods.add_handler(self._pod_changed, self._pod_updated, self._pod_changed)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if (old["metadata"].get("labels") or {}) != (new["metadata"].get("labels") or {}):
            self._pod_changed(old)
        self._pod_changed(new)

    def _pod_changed(self, pod: Object) -> None:
        labels = pod["metadata"].get("labels")
        for service in self.services.list(pod["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            if selector and map_matches(selector, labels):
                self.queue.add(key_of(service))

    def selected_pods(self, service: Object, *, include_terminating: bool) -> list[Object]:
        """Pods that the service selects, that have an address and have not finished, by name."""
        selector = service["spec"]["selector"]
        found = [
            pod
            for pod in self.pods.list(service["metadata"]["namespace"])
            if map_matches(selector, pod["metadata"].get("labels"))
            and pod.get("status", {}).get("podIP")
            and not is_terminal(pod)
            and (include_terminating or not is_terminating(pod))
        ]
        return sorted(found, key=lambda pod: pod["metadata"]["name"])


def endpoint_ports(service: Object, pod: Object) -> list[Object]:
    """The service's ports as this pod serves them; a named target port that the pod does not have is left out."""
    ports = []
    for port in service["spec"].get("ports") or ():
        number = target_port(port, pod)
        if number is None:
            continue
        found = {"name": port.get("name") or "", "port": number, "protocol": port.get("protocol") or "TCP"}
        if port.get("appProtocol"):
            found["appProtocol"] = port["appProtocol"]
        ports.append(found)
    return ports


def target_port(port: Object, pod: Object) -> int | None:
    """The number of the pod's port that a service's port leads to; a name is looked up among the containers' ports."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target or port["port"]
    for container in pod["spec"].get("containers") or ():
        for candidate in container.get("ports") or ():
            same_protocol = (candidate.get("protocol") or "TCP") == (port.get("protocol") or "TCP")
            if candidate.get("name") == target and same_protocol:
                return candidate["containerPort"]
    return None


def target_reference(pod: Object) -> Object:
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def service_labels(service: Object) -> dict[str, str]:
    """The service's own labels, and one that says whether it is headless."""
    labels = dict(service["metadata"].get("labels") or {})
    labels.pop(HEADLESS_LABEL, None)
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS_LABEL] = ""
    return labels


def hostname_in(service: Object, pod: Object) -> str:
    """The pod's name within a headless service's domain, where it asked for one."""
    spec = pod["spec"]
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        return spec["hostname"]
    return ""
