"""Pod anatomy: the containers of a pod drawn from their real namespaces: one bar where they share, two where not.

anatomy = PodAnatomy(lab, "pair", beside="web")
anatomy.look()                 # read the links again, /proc/self/ns/KIND in each container
anatomy.press("break")         # two containers of one pod that want one port
print(anatomy.text())
"""

from __future__ import annotations

from typing import Any

import traitlets

from kubelab.course import manifest
from kubelab.course import pods as podstatus
from kubelab.course.anatomy import KINDS, namespaces
from kubelab.course.errors import LabError
from kubelab.course.lab import Lab

from . import states
from .frame import LabWidget, script, style

CLASH = "port_clash.yaml"
CLASH_POD, CLASH_CONTAINER = "port-clash", "second"
TIMEOUT = 30  # seconds for the clash


class PodAnatomy(LabWidget):
    """lab: the chapter's lab · pod: whose containers are drawn · beside: another pod, to compare; "" for none."""

    _esm = script("pod_anatomy")
    _css = style("pod_anatomy")

    pods = traitlets.List().tag(sync=True)  # {"name", "node", "ip", "containers": [name, …]}
    kinds = traitlets.List().tag(sync=True)  # {"kind", "meaning", "bars": [{"from", "to", "link", "shared"}]}
    clash = traitlets.List().tag(sync=True)  # {"name", "state", "status", "log"}: the containers of the broken pod
    twins = traitlets.Dict().tag(sync=True)

    def __init__(self, lab: Lab, pod: str, beside: str = "") -> None:
        self.names = [pod, *([beside] if beside else [])]
        super().__init__(
            lab,
            f"Pod anatomy · {pod}",
            pod,
            twins={
                "python": f'anatomy.namespaces(lab, "{pod}")',
                "terminal": f"kubectl -n {lab.namespace} exec {pod} -c CONTAINER -- readlink /proc/self/ns/net",
            },
        )
        self.look()

    def press(self, action: str, **_: Any) -> None:
        if action == "look":
            self.look()
        elif action == "break":
            self.begin(self._break)
        else:
            super().press(action)

    def look(self) -> None:
        """Read the namespaces of every container again. LabError: a container does not run."""
        found = {name: namespaces(self.lab, name) for name in self.names}
        with self.hold_sync():
            self.pods = [self._pod(name, list(found[name])) for name in self.names]
            links = [links for pod in found.values() for links in pod.values()]
            self.kinds = [
                {"kind": kind, "meaning": meaning, "bars": bars([each[kind] for each in links])}
                for kind, meaning in KINDS.items()
            ]
            self.words = self._in_words(found)
            self.said = "read from inside each container"

    def _pod(self, name: str, containers: list[str]) -> dict[str, Any]:
        pod = self.lab.read(f"pod/{name}")
        return {
            "name": name,
            "node": podstatus.node(pod),
            "ip": pod["status"].get("podIP", ""),
            "containers": containers,
        }

    def _in_words(self, found: dict[str, dict[str, dict[str, str]]]) -> str:
        """What is shared, without the numbers, which differ from run to run."""
        lines = []
        for kind, meaning in KINDS.items():
            parts = []
            for pod, containers in found.items():
                count = len({links[kind] for links in containers.values()})
                shared = "one for all" if count == 1 else "one each"
                parts.append(f"{pod}: {shared}" if len(containers) > 1 else f"{pod}: its own")
            lines.append(f"{kind:4} {'; '.join(parts):36} {meaning}")
        return "\n".join(lines)

    def _break(self) -> None:
        """Start two containers on one port, and tell what becomes of each."""
        with self.doing(f"starting {CLASH_POD}: two containers, one port"):
            for document in manifest.read(CLASH, self.lab.manifests):
                manifest.apply(self.lab.k8s, self.lab.namespace, document)
            ended = f"the second container of {CLASH_POD} did not end within {TIMEOUT} s. Next: `lab.pods()`."
            if not self.lab.recorder.recording.wait_for(_has_ended, TIMEOUT):
                raise LabError(ended)
        self.clash = [
            self._container(status) for status in self.lab.read(f"pod/{CLASH_POD}")["status"]["containerStatuses"]
        ]
        self.said = "; ".join(f"{each['name']}: {each['status']}" for each in self.clash)

    def _container(self, status: dict[str, Any]) -> dict[str, Any]:
        state = next(iter(status.get("state") or {"waiting": {}}))
        reason = (status["state"].get(state) or {}).get("reason") or state.capitalize()
        previous = status.get("restartCount", 0) > 0 and state == "waiting"
        return {
            "name": status["name"],
            "state": "ready" if status.get("ready") else states.of_words(reason, False),
            "status": reason,
            "log": self._last_line(status["name"], previous),
        }

    def _last_line(self, container: str, previous: bool) -> str:
        log = self.lab.core.read_namespaced_pod_log(
            CLASH_POD, self.lab.namespace, container=container, tail_lines=1, previous=previous
        )
        return str(log).strip()


def bars(links: list[str]) -> list[dict[str, Any]]:
    """Neighbours with the same link are one bar: {"from", "to"} count containers, from 0."""
    found: list[dict[str, Any]] = []
    for number, link in enumerate(links):
        if found and found[-1]["link"] == link:
            found[-1].update(to=number, shared=True)
        else:
            found.append({"from": number, "to": number, "link": link, "shared": False})
    return found


def _has_ended(records: list[Any]) -> bool:
    for record in reversed(records):
        if record.target == f"Pod/{CLASH_POD}":
            second = record.state["containers"].get(CLASH_CONTAINER, {})
            return second.get("restarts", 0) >= 1 and second["state"] == "waiting"
    return False
