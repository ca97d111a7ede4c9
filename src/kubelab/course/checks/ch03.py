"""Exercises of chapter 3: a pod described, two containers that do not collide, labels, nodes, pods that are split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubelab.course import endpoints, manifest
from kubelab.course import pods as podstatus
from kubelab.course.exercise import Exercise, Finding, Object, all_ready, equal, is_there, named, staying

if TYPE_CHECKING:
    from kubelab.course.lab import Lab

DISK = "kubelab.dev/exercise-disk"


def _ready(pod: Object, hint: str) -> Finding:
    name = podstatus.name(pod)
    return Finding(podstatus.is_ready(pod), f"{name} is Ready", podstatus.status(pod), "Running, and Ready", hint)


def check_first_pod(lab: Lab) -> Iterator[Finding]:
    yield is_there(lab.objects("pod"), "Pod", "greeter")
    pod = named(lab.objects("pod"), "greeter")
    yield equal(
        "it runs the course's program", pod["spec"]["containers"][0]["image"], "kubelab/faulty:1", "image: names it."
    )
    yield _ready(pod, "`kubectl describe pod greeter` says at its end why a pod does not start.")
    label = (pod["metadata"].get("labels") or {}).get("app")
    yield equal("it carries the label app=greeter", label, "greeter", "labels are in metadata.labels, not in spec.")
    ports = [(port.get("name"), port["containerPort"]) for port in pod["spec"]["containers"][0].get("ports", [])]
    yield Finding(
        ("http", 8080) in ports,
        "its port 8080 has the name http",
        ", ".join(f"{name}: {port}" for name, port in ports) or "no ports",
        "http: 8080",
        "a container's ports are a list under `ports`, each with `name` and `containerPort`.",
    )


def check_two_ports(lab: Lab) -> Iterator[Finding]:
    yield is_there(lab.objects("pod"), "Pod", "port-clash")
    pod = named(lab.objects("pod"), "port-clash")
    yield equal(
        "it has both containers",
        sorted(container["name"] for container in pod["spec"]["containers"]),
        ["first", "second"],
        "nothing is won by leaving one out: both programs are wanted.",
    )
    yield Finding(
        podstatus.is_ready(pod),
        "both containers run",
        f"{podstatus.status(pod)}, ready {podstatus.ready_containers(pod)}",
        "Running, ready 2/2",
        "they share one network, so that only one can listen on 8080: the program reads its port from the variable "
        "PORT.",
    )
    yield equal(
        "neither has been restarted", podstatus.restarts(pod), 0, "an older attempt? Delete the pod and make it anew."
    )


def check_labels(lab: Lab) -> Iterator[Finding]:
    pods = lab.objects("pod")
    for name in ("catalog-prod", "orders-prod"):
        yield is_there(pods, "Pod", name, "delete by the label env=test, not all: `kubectl delete pods -l env=test`.")
    yield equal(
        "the pods of env=test are gone",
        [podstatus.name(pod) for pod in pods if podstatus.name(pod).endswith("-test")],
        [],
        "a changed label deletes nothing. Which selector matches the pods that are to go?",
    )
    for name in ("catalog-prod", "orders-prod"):
        found = named(pods, name)["metadata"]["labels"]
        yield equal(
            f"{name} has the label tier=live", found.get("tier"), "live", "`kubectl label pods -l env=prod tier=live`."
        )
        yield equal(f"{name} keeps env=prod", found.get("env"), "prod", "a label is added by its own key; others stay.")


def check_fast_disk(lab: Lab) -> Iterator[Finding]:
    yield is_there(lab.objects("pod"), "Pod", "cache")
    pod = named(lab.objects("pod"), "cache")
    fast = [node.metadata.name for node in lab.core.list_node(label_selector=f"{DISK}=fast").items]
    selector = pod["spec"].get("nodeSelector") or {}
    if "nodeName" in pod["spec"] and not selector:
        yield Finding(
            False,
            "it is the scheduler that chose the node",
            f"no nodeSelector; the pod is on {podstatus.node(pod)}",
            f"nodeSelector: {{{DISK}: fast}}",
            "nodeName ties the pod to one machine, whatever becomes of it. Say what the pod needs: nodeSelector.",
        )
    yield equal(
        "it asks for a fast disk",
        selector,
        {DISK: "fast"},
        "`kubectl get nodes --show-labels` shows the keys and values that a nodeSelector can ask for.",
    )
    yield _ready(pod, "`kubectl describe pod cache` says why no node was found.")
    yield Finding(
        podstatus.node(pod) in fast, "it runs there", podstatus.node(pod), " or ".join(fast), "run the check again."
    )


def check_split(lab: Lab) -> Iterator[Finding]:
    for app in ("web", "worker"):
        pods = lab.objects("pod", f"app={app}")
        yield all_ready(
            pods,
            f"one pod with the label app={app}",
            1,
            "two pods, each with a label of its own: app=web and app=worker.",
        )
        containers = [container["name"] for container in pods[0]["spec"]["containers"]]
        yield Finding(
            len(containers) == 1,
            f"it runs one program, {app}",
            " and ".join(containers),
            "one container",
            "what scales, fails and is released on its own belongs into a pod of its own.",
        )
    there = [found.metadata.name for found in lab.core.list_namespaced_service(lab.namespace).items]
    yield Finding(
        "web" in there, "there is a Service web", ", ".join(there) or "none", "web", "it stands between the two."
    )
    behind = [row[0] for row in endpoints.table(lab, "web").rows if row[1] == "true"]
    web = [podstatus.name(pod) for pod in lab.objects("pod", "app=web")]
    yield Finding(
        behind == web,
        "it leads to the web pod, and only there",
        ", ".join(behind) or "no pod",
        ", ".join(web),
        "a Service finds its pods by spec.selector: whose labels does it match?",
    )
    log = lab.core.read_namespaced_pod_log(
        podstatus.name(lab.objects("pod", "app=worker")[0]), lab.namespace, tail_lines=3
    )
    yield Finding(
        "200" in log,
        "the worker reaches the web pod through it",
        (log.strip().splitlines() or ["its log is empty"])[-1],
        "web answers 200",
        "in a pod of its own it finds nobody at localhost: the variable TARGET has to name the Service, http://web.",
    )


WORKER = """
import os, signal, sys, time, urllib.request
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    try:
        with urllib.request.urlopen(os.environ["TARGET"], timeout=1) as answer:
            print("web answers", answer.status)
    except OSError as error:
        print("no answer:", error)
    time.sleep(0.5)
"""
TOGETHER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "together", "labels": {"app": "together"}},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {"name": "web", "image": "kubelab/faulty:1", "imagePullPolicy": "IfNotPresent"},
            {
                "name": "worker",
                "image": "kubelab/faulty:1",
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-u", "-c", WORKER],
                "env": [{"name": "TARGET", "value": "http://localhost:8080"}],
            },
        ],
    },
}


def _begin_with(lab: Lab, source: str | Object) -> None:
    lab.apply(staying(manifest.read(source, lab.manifests)))


def _label_a_node(lab: Lab) -> None:
    """The last node gets the label; on a cluster of one node, that one."""
    lab.core.patch_node(lab.nodes.names()[-1], {"metadata": {"labels": {DISK: "fast"}}})


def _take_label(lab: Lab) -> None:
    for node in lab.core.list_node(label_selector=DISK).items:
        lab.core.patch_node(node.metadata.name, {"metadata": {"labels": {DISK: None}}})


EXERCISES = [
    Exercise(
        "3.1",
        check_first_pod,
    ),
    Exercise(
        "3.2",
        check_two_ports,
        lambda lab: _begin_with(lab, "port_clash.yaml"),
    ),
    Exercise(
        "3.3",
        check_labels,
        lambda lab: _begin_with(lab, "labelled.yaml"),
    ),
    Exercise(
        "3.4",
        check_fast_disk,
        _label_a_node,
        clean_up=_take_label,
    ),
    Exercise(
        "3.5",
        check_split,
        lambda lab: _begin_with(lab, TOGETHER),
    ),
]
