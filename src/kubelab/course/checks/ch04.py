"""Exercises of chapter 4: probes that find what they should, copies, a job, a service that survives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubernetes import client

from kubelab.course import pods as podstatus
from kubelab.course.exercise import Exercise, Finding, Object, all_ready, equal, is_there, named, staying
from kubelab.course.predictions import budget

from . import liveness

if TYPE_CHECKING:
    from kubelab.course.lab import Lab

UNREACHABLE = "node.kubernetes.io/unreachable"


def _pod(name: str, **container: object) -> Object:
    """A pod of the course's faulty program."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "faulty",
                    "image": "kubelab/faulty:1",
                    "imagePullPolicy": "IfNotPresent",
                    "ports": [{"name": "http", "containerPort": 8080}],
                    **container,
                }
            ],
        },
    }


def _asks_http(container: Object, probe: str) -> Finding:
    """Whether the liveness probe sends a request, which alone notices a deadlock from outside."""
    found = container.get(probe) or {}
    how = next((way for way in ("httpGet", "tcpSocket", "exec", "grpc") if way in found), "nothing")
    hint = {
        "tcpSocket": "a deadlocked program still accepts connections: the kernel does it for it. Ask for an answer.",
        "exec": "a command in the container says little about whether requests are answered. Ask as a customer does.",
        "nothing": "only a liveness probe makes the kubelet restart a container"
        + (
            ": a readiness probe takes the pod out of its services, and that is all."
            if "readinessProbe" in container
            else "."
        ),
    }.get(how, "")
    return Finding(how == "httpGet", "the kubelet asks it by HTTP whether it is alive", how, f"{probe}.httpGet", hint)


def _soon(probe: Object, seconds: int) -> Finding:
    worst = budget(probe) - (probe.get("initialDelaySeconds") or 0)
    return Finding(
        worst <= seconds,
        f"a deadlock is found within {seconds} seconds",
        f"after {worst:g} seconds at the latest",
        f"{seconds} or fewer",
        "failureThreshold times periodSeconds, and one timeoutSeconds: upstream's defaults are 3, 10 and 1.",
    )


def check_liveness(lab: Lab) -> Iterator[Finding]:
    yield is_there(lab.objects("pod"), "Pod", "healer", "a probe cannot be added to a running pod: make it anew.")
    pod = named(lab.objects("pod"), "healer")
    container = pod["spec"]["containers"][0]
    yield _asks_http(container, "livenessProbe")
    yield _soon(container["livenessProbe"], 10)
    yield liveness.leaves_the_healthy_alone(lab, pod)
    yield liveness.restarts_a_deadlock(lab, lab.read("pod/healer"), 10)


def check_slow_start(lab: Lab) -> Iterator[Finding]:
    yield is_there(lab.objects("pod"), "Pod", "sleepyhead")
    pod = named(lab.objects("pod"), "sleepyhead")
    container = pod["spec"]["containers"][0]
    delay = next((each["value"] for each in container.get("env", []) if each["name"] == "START_DELAY"), "0")
    yield equal("it still needs its 8 seconds", delay, "8", "the program is as it is: START_DELAY stays 8.")
    yield _asks_http(container, "livenessProbe")
    yield _soon(container["livenessProbe"], 5)
    late = container["livenessProbe"].get("initialDelaySeconds", 0)
    yield Finding(
        late < 5 or "startupProbe" in container,
        "it need not guess how long the start takes",
        f"initialDelaySeconds {late}",
        "a startupProbe",
        "a delay is always too long or, one day, too short. A startup probe waits as long as needed, and no longer.",
    )
    yield liveness.leaves_the_healthy_alone(lab, pod)
    yield liveness.restarts_a_deadlock(lab, lab.read("pod/sleepyhead"), 5)


def check_out_of_scope(lab: Lab) -> Iterator[Finding]:
    yield is_there(lab.objects("replicaset"), "ReplicaSet", "web")
    pods = lab.objects("pod")
    yield equal(
        "the ReplicaSet still wants three",
        lab.read("replicaset/web")["spec"]["replicas"],
        3,
        "scaling was not asked for.",
    )
    owned = [pod for pod in pods if pod["metadata"].get("ownerReferences")]
    yield all_ready(owned, "it has three pods", 3, "they may need a moment: run the check again.")
    free = [pod for pod in pods if not pod["metadata"].get("ownerReferences")]
    ours = [pod for pod in free if podstatus.name(pod).startswith("web-")]
    yield Finding(
        len(ours) == 1,
        "one pod that it once made runs on without it",
        ", ".join(podstatus.name(pod) for pod in free) or "every pod has an owner",
        "one of the ReplicaSet's own pods",
        "a new pod is not the one with the error. A ReplicaSet owns what its selector matches: change the pod's label."
        if free or len(pods) == 3
        else "a pod leaves when the selector no longer matches its labels: change one that the selector asks for.",
    )
    label = (ours[0]["metadata"].get("labels") or {}).get("app")
    yield equal("it has the label app=patient", label, "patient", "`kubectl label pod NAME app=patient --overwrite`.")


def check_job(lab: Lab) -> Iterator[Finding]:
    jobs = _list(client.BatchV1Api(lab.k8s).list_namespaced_job, lab)
    others = lab.objects("deployment")
    yield is_there(
        jobs,
        "Job",
        "sum",
        "a Deployment starts its pods again for ever, also when they end well. Work that ends is a Job's."
        if others
        else "kind: Job, apiVersion: batch/v1.",
    )
    job = named(jobs, "sum")
    spec, status = job["spec"], job.get("status", {})
    yield equal(
        "it is done five times", spec.get("completions"), 5, "how often the work has to succeed is spec.completions."
    )
    yield equal("two at a time", spec.get("parallelism"), 2, "how many pods may run at once is spec.parallelism.")
    yield equal("it gives up after one failure", spec.get("backoffLimit"), 1, "spec.backoffLimit; its default is 6.")
    failed = any(each["type"] == "Failed" and each["status"] == "True" for each in status.get("conditions") or [])
    yield Finding(
        status.get("succeeded") == 5,
        "all five have succeeded",
        "the job has failed" if failed else f"{status.get('succeeded', 0)} of 5, {status.get('active', 0)} under way",
        "5",
        "`kubectl logs job/sum` says why." if failed else "they may need a moment: run the check again.",
    )


def check_survives(lab: Lab) -> Iterator[Finding]:
    yield is_there(lab.objects("deployment"), "Deployment", "web")
    web = lab.read("deployment/web")
    template = web["spec"]["template"]["spec"]
    container = template["containers"][0]
    yield Finding(
        web["spec"]["replicas"] >= 2,
        "it has copies to spare",
        f"{web['spec']['replicas']}",
        "2 or more",
        "with one copy, every loss is an outage: nothing else answers while its successor starts.",
    )
    yield _asks_http(container, "livenessProbe")
    yield Finding(
        "readinessProbe" in container,
        "a copy that cannot answer gets no requests",
        "no readinessProbe",
        "a readinessProbe",
        "until the liveness probe has restarted it, and while it starts, only a readiness probe keeps requests away.",
    )
    pods = lab.objects("pod", "app=web")
    yield all_ready(pods, "all copies are ready", web["spec"]["replicas"], "run the check again.")
    nodes = sorted({podstatus.node(pod) for pod in pods})
    yield Finding(
        len(nodes) >= 2 or len(lab.nodes.names()) < 2,
        "they are on more than one node",
        f"all on {nodes[0]}",
        "two nodes",
        "the scheduler spreads copies if nothing speaks against it: is there a nodeSelector or a nodeName?",
    )
    patience = max(_patience(template, key) for key in (UNREACHABLE, "node.kubernetes.io/not-ready"))
    yield Finding(
        patience <= 10,
        "those of a lost node are replaced soon",
        f"after {patience} seconds",
        "10 seconds at most after the node is found to be lost",
        "pods tolerate a lost node for 300 seconds by default, whatever the cluster sets. Say it in their tolerations.",
    )
    yield liveness.restarts_a_deadlock(lab, pods[0], budget(container["livenessProbe"]))
    others = [pod for pod in lab.objects("pod", "app=web") if podstatus.name(pod) != podstatus.name(pods[0])]
    yield all_ready(others, "the other copies stayed ready meanwhile", len(pods) - 1, "run the check again.")


def _patience(template: Object, key: str) -> int:
    """Seconds that pods of a template stay on a node with a taint. Upstream's default: 300."""
    found = [each for each in template.get("tolerations") or [] if each.get("key") == key]
    return min((each.get("tolerationSeconds", 10**6) for each in found), default=300)


def _list(method: object, lab: Lab) -> list[Object]:
    return json.loads(method(lab.namespace, _preload_content=False).data)["items"]


def _sleepyhead() -> Object:
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 3}
    return _pod("sleepyhead", env=[{"name": "START_DELAY", "value": "8"}], livenessProbe=probe)


def _replicaset(lab: Lab) -> None:
    template = _pod("web")
    lab.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": template["spec"]},
            },
        }
    )


def _lonely(lab: Lab) -> None:
    """One copy, no probes, and tied to one node."""
    spec = {**_pod("web")["spec"], "nodeSelector": {"kubernetes.io/hostname": lab.nodes.names()[0]}}
    lab.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec},
            },
        }
    )


EXERCISES = [
    Exercise(
        "4.1",
        check_liveness,
        lambda lab: lab.apply(staying([_pod("healer")])),
    ),
    Exercise(
        "4.2",
        check_slow_start,
        lambda lab: lab.apply(staying([_sleepyhead()])),
    ),
    Exercise(
        "4.3",
        check_out_of_scope,
        _replicaset,
    ),
    Exercise(
        "4.4",
        check_job,
    ),
    Exercise(
        "4.5",
        check_survives,
        _lonely,
    ),
]
