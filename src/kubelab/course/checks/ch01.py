"""Exercises of chapter 1: one feature scaled, a release that loses nothing, a shop that survives."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubelab.course import pods as podstatus
from kubelab.course.errors import LabError
from kubelab.course.exercise import Exercise, Finding, Object, equal, is_there, named

if TYPE_CHECKING:
    from kubelab.course.lab import Lab

APPS = ("catalog", "orders", "payments")


def _shop(lab: Lab) -> None:
    lab.apply("microservices.yaml")


def _monolith(lab: Lab) -> None:
    lab.apply("monolith.yaml")


def _copies(lab: Lab, app: str) -> tuple[int, int]:
    """Wanted, and ready."""
    found = lab.read(f"deployment/{app}")
    return found["spec"].get("replicas", 1), found["status"].get("readyReplicas", 0)


def check_scaled(lab: Lab) -> Iterator[Finding]:
    for app in APPS:
        yield is_there(lab.objects("deployment"), "Deployment", app)
    wanted, ready = _copies(lab, "payments")
    yield equal("payments has three copies", wanted, 3, "a Deployment's number of copies is spec.replicas.")
    for app in ("catalog", "orders"):
        yield equal(
            f"{app} has one copy, as before",
            _copies(lab, app)[0],
            1,
            "only payments is the bottleneck: what is more than needed costs memory. Scale one Deployment by its name.",
        )
    yield equal("all three copies of payments are ready", ready, 3, "they may need a moment: run the check again.")


def check_release(lab: Lab) -> Iterator[Finding]:
    yield is_there(lab.objects("deployment"), "Deployment", "shop")
    shop = lab.read("deployment/shop")
    strategy = shop["spec"]["strategy"]
    yield equal(
        "the new pod is made before the old one goes",
        strategy["type"],
        "RollingUpdate",
        "Recreate stops the old pods first, and until the new ones are up nobody answers. See spec.strategy.type.",
    )
    rolling = strategy.get("rollingUpdate", {})
    yield Finding(
        _share(rolling.get("maxUnavailable", "25%"), shop["spec"]["replicas"]) == 0,
        "none of the copies may be missing during a release",
        f"maxUnavailable {rolling.get('maxUnavailable')}",
        "maxUnavailable 0",
        "how many copies may be missing is strategy.rollingUpdate.maxUnavailable; a share is rounded down, an absolute "
        "number is what it says.",
    )
    yield _asks_readiness(shop)
    status = shop["status"]
    done = status.get("updatedReplicas", 0) == status.get("readyReplicas", 0) == shop["spec"]["replicas"]
    yield Finding(done, "the release is done", "it is under way", "all copies new and ready", "run the check again.")
    yield equal(
        "version 2 runs",
        _variable(shop, "RELEASE"),
        "2",
        "release something by it: set the variable RELEASE of the container to \"2\".",
    )  # fmt: skip


def _share(value: int | str, replicas: int) -> int:
    """maxUnavailable in pods; a share is rounded down. Upstream: pkg/controller/deployment/util, MaxUnavailable."""
    return int(value[:-1]) * replicas // 100 if isinstance(value, str) and value.endswith("%") else int(value)


def _variable(deployment: Object, name: str) -> str:
    env = deployment["spec"]["template"]["spec"]["containers"][0].get("env") or []
    return next((each["value"] for each in env if each["name"] == name), "not set")


def _asks_readiness(deployment: Object) -> Finding:
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return Finding(
        "readinessProbe" in container,
        f"{deployment['metadata']['name']}: a new pod gets requests only when it is ready for them",
        "no readinessProbe",
        "a readinessProbe",
        "without one a container counts as ready as soon as it runs, before the program listens.",
    )


def check_survives(lab: Lab) -> Iterator[Finding]:
    for app in APPS:
        wanted, ready = _copies(lab, app)
        yield Finding(
            wanted >= 2,
            f"{app} has copies to spare",
            f"{wanted}",
            "2 or more",
            f"whoever needs {app} waits while its only pod is being replaced.",
        )
        yield _asks_readiness(lab.read(f"deployment/{app}"))
        yield Finding(ready >= 2, f"the copies of {app} are ready", f"{ready}", "2 or more", "run the check again.")
    failed, asked = _ask_while_pods_go(lab)
    yield Finding(
        failed == 0 and asked > 10,
        "one pod of each was deleted, and every customer got an answer",
        f"{failed} of {asked} requests failed",
        "none failed",
        "is each pod ready only when it listens, and does it finish its work when it is told to end?",
    )


def _ask_while_pods_go(lab: Lab) -> tuple[int, int]:
    """Ask the catalogue through its service while one pod of each app is deleted: (failed, asked)."""
    over, results = threading.Event(), []

    def customer() -> None:
        while not over.is_set():
            try:
                results.append(lab.request("service/catalog:http", "/catalog", timeout=3).ok)
            except (TimeoutError, LabError):
                results.append(False)
            over.wait(0.02)

    asking = threading.Thread(target=customer, daemon=True)
    asking.start()
    try:
        for app in APPS:
            lab.core.delete_namespaced_pod(podstatus.name(_a_pod(lab, app)), lab.namespace)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not all(_copies(lab, app)[1] >= 2 for app in APPS):
            over.wait(0.2)
        over.wait(1)  # the deleted pods are gone by now, too
    finally:
        over.set()
        asking.join(5)
    return results.count(False), len(results)


def _a_pod(lab: Lab, app: str) -> Object:
    pods = lab.objects("pod", f"app={app}")
    return named(pods, min(podstatus.name(pod) for pod in pods if podstatus.is_ready(pod)))


EXERCISES = [
    Exercise(
        "1.1",
        check_scaled,
        _shop,
    ),
    Exercise(
        "1.2",
        check_release,
        _monolith,
    ),
    Exercise(
        "1.3",
        check_survives,
        _shop,
    ),
]
