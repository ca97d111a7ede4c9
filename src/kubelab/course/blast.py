"""Blast radius: the same fault in the same module of both shops, or the same release, under the same load.

blow = Blow(lab, "deadlock", "payments"); blow.run(seconds=7); blow.verdicts()
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import faults, pods, waiting
from .errors import LabError
from .load import Load, Request

if TYPE_CHECKING:
    from .lab import Lab

MUG = {"sku": "mug", "quantity": 2}
MODULES = ("catalog", "orders", "payments")
FORMS = {  # form -> feature, as its customers call it -> what they ask for
    "monolith": {
        "browse": Request("service/shop:http", "/catalog"),
        "order": Request("service/shop:http", "/orders", "POST", MUG),
        "receipts": Request("service/shop:http", "/payments"),
    },
    "microservices": {
        "browse": Request("service/catalog:http", "/catalog"),
        "order": Request("service/orders:http", "/orders", "POST", MUG),
        "receipts": Request("service/payments:http", "/payments"),
    },
}
FAULTS = {"deadlock": 7.0, "crash": 4.0, "error": 3.0, "slow": 6.0}  # -> seconds to watch what comes of it
CALM, AFTER = 1.0, 2.0  # seconds of load before a blow, and after a release is done
REPAIR, RELEASE = 30.0, 60.0  # seconds at most
MIB = 1024 * 1024
RESTARTED = "kubectl.kubernetes.io/restartedAt"  # what `kubectl rollout restart` changes in a template


def app_of(form: str, module: str) -> str:
    """The Deployment that the module lives in."""
    return "shop" if form == "monolith" else module


class Blow:
    """lab: with both shops running · what: a name of FAULTS, or "release" · module: which of the shop's three."""

    def __init__(self, lab: Lab, what: str, module: str) -> None:
        if what not in (*FAULTS, "release") or module not in MODULES:
            raise LabError(
                f"there are {', '.join(FAULTS)} and release, in {', '.join(MODULES)}; not {what} in {module}."
            )
        self.lab, self.what, self.module = lab, what, module
        self.loads = {form: Load(lab, features) for form, features in FORMS.items()}
        self.seconds: dict[str, float] = {}  # of a release: form -> how long it took

    def run(self, watch: Callable[[], None] = lambda: None, every: float = 0.25) -> None:
        """Load, blow, load; `watch` is called `every` so many seconds meanwhile. LabError: it could not be dealt."""
        watching = threading.Event()
        watcher = threading.Thread(target=_every, args=(every, watching, watch), daemon=True)
        with self.loads["monolith"] as whole, self.loads["microservices"]:
            watcher.start()
            try:
                whole.keep_on(CALM)
                self._release_both() if self.what == "release" else self._break_both()
                whole.keep_on(AFTER if self.what == "release" else FAULTS[self.what])
            finally:
                watching.set()
                watcher.join()
        watch()

    def verdicts(self) -> dict[str, dict[str, str]]:
        """form -> feature -> what became of its requests, in words."""
        return {form: load.verdicts() for form, load in self.loads.items()}

    def repair(self) -> None:
        """Put both shops in order again: a deadlocked pod is deleted, other faults are taken back."""
        for form in FORMS if self.what != "release" else ():
            app = app_of(form, self.module)
            if self.what == "deadlock":
                self.lab.core.delete_namespaced_pod(self._pod(app), self.lab.namespace)
            elif self.what != "crash":
                faults.cause(self.lab, "recover", self._pod(app), self.module)
            self._until_complete(app, REPAIR)

    def _break_both(self) -> None:
        for form, load in self.loads.items():
            load.mark(self.what)
            faults.cause(self.lab, self.what, self._pod(app_of(form, self.module)), self.module)

    def _release_both(self) -> None:
        """One after the other, as `kubectl rollout restart` does it."""
        for form, load in self.loads.items():
            app, began = app_of(form, self.module), time.monotonic()
            load.mark("release")
            annotations = {RESTARTED: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
            self.lab.patch(f"deployment/{app}", {"spec": {"template": {"metadata": {"annotations": annotations}}}})
            self._until_complete(app, RELEASE)
            load.mark("done")
            self.seconds[form] = time.monotonic() - began

    def _pod(self, app: str) -> str:
        found = [pods.name(pod) for pod in self.lab.objects("pod", f"app={app}") if not pods.is_terminating(pod)]
        if not found:
            raise LabError(f"there is no pod of {app}. Next: apply monolith.yaml and microservices.yaml.")
        return found[0]

    def _until_complete(self, app: str, timeout: float) -> None:
        waiting.until(
            self.lab.apps.list_namespaced_deployment,
            self.lab.namespace,
            condition=lambda found: bool(found) and waiting.up_to_date(found[0]),
            what=f"deployment/{app} complete",
            timeout=timeout,
            field_selector=f"metadata.name={app}",
        )


def memory(lab: Lab) -> dict[str, float]:
    """MiB that the processes of each form hold, by their own account."""
    apps = {"monolith": ("shop",), "microservices": MODULES}
    return {form: sum(_memory(lab, app) for app in names) for form, names in apps.items()}


def _memory(lab: Lab, app: str) -> float:
    answer: dict[str, Any] = lab.request(f"service/{app}:http").json()
    return answer["memory_bytes"] / MIB


def _every(seconds: float, stop: threading.Event, watch: Callable[[], None]) -> None:
    while not stop.wait(seconds):
        watch()
