"""The lab of one chapter: its clients, its namespace, and short ways to say what the chapters say often.

Everything here can be done with the `kubernetes` and `docker` clients alone, which the lab hands out as they are.
"""

from __future__ import annotations

import http
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import urllib3
from kubernetes import client
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream

from kubelab.settings import docker_engine
from kubelab.settings.docker_engine import Address, Choice

from . import api, delivery, faults, images, kind, manifest, namespace, predictions, remaking, tables, waiting
from . import pods as podstatus
from .engines import Engines
from .errors import LabError, NotInTime
from .nodes import EmbeddedPlug, Nodes, NoPlug, Plug
from .progress import Progress
from .recorder import Recorder
from .study import Study

LISTS = {
    "pod": ("core", "list_namespaced_pod"),
    "replicationcontroller": ("core", "list_namespaced_replication_controller"),
    "replicaset": ("apps", "list_namespaced_replica_set"),
    "deployment": ("apps", "list_namespaced_deployment"),
    "daemonset": ("apps", "list_namespaced_daemon_set"),
    "job": ("batch", "list_namespaced_job"),
    "cronjob": ("batch", "list_namespaced_cron_job"),
}


class Lab(Study):
    """What a notebook holds.

    chapter: "04" · namespace: "kubelab-04" · k8s: kubernetes.client.ApiClient · core, apps, batch: its CoreV1Api,
    AppsV1Api and BatchV1Api · docker: docker.DockerClient · nodes: Nodes · root: the course's folder, with apps/ and
    manifests/ in it.
    """

    def __init__(self, chapter: str, engines: Engines, k8s: client.ApiClient, root: Path, suffix: str = "") -> None:
        self.chapter, self.engines, self.k8s, self.root = chapter, engines, k8s, root
        self.namespace = f"kubelab-{chapter}" + (f"-{suffix}" if suffix else "")
        self.core, self.apps, self.batch = client.CoreV1Api(k8s), client.AppsV1Api(k8s), client.BatchV1Api(k8s)
        self.nodes = Nodes(self.core, self._plug())
        self.predictions, self.progress = predictions.Predictions(), Progress()
        self._restarts: dict[str, int] = {}  # of the pods in which a failure was caused, just before it

    def __repr__(self) -> str:
        return f"Lab of chapter {self.chapter}, namespace {self.namespace}"

    def _plug(self) -> Plug:
        if self.engines.embedded:
            return EmbeddedPlug()
        return kind.KindPlug(lambda: self.host_docker, self.engines.kind) if self.engines.kind else NoPlug()

    @cached_property
    def docker(self) -> docker.DockerClient:
        """The Docker Engine that was chosen. LabError where it does not answer."""
        return images.connect(self.docker_address, self.engines.home)

    @cached_property
    def docker_address(self) -> Address:
        """Where it is, and whether it is a real one. LabError where none answers that was to."""
        return self.engines.docker_address()

    @cached_property
    def embedded_docker(self) -> docker.DockerClient:
        """The course's own Docker Engine, whichever was chosen. LabError where it does not answer."""
        return images.connect(docker_engine.embedded(self.engines.home), self.engines.home)

    @cached_property
    def host_docker(self) -> docker.DockerClient:
        """A Docker Engine of the student's own, whichever was chosen. LabError where none answers."""
        if self.docker_address.real:
            return self.docker
        return images.connect(self.engines.docker_address(Choice.HOST), self.engines.home)

    def choose_docker(self, choice: str) -> None:
        """Use "embedded", "host" or "auto" from now on, in this notebook and the next. LabError: none answers."""
        address = self.engines.docker_address(Choice(choice))
        images.connect(address, self.engines.home).close()
        docker_engine.choose(self.engines.home, Choice(choice))
        for name in ("docker", "docker_address", "host_docker", "_delivers"):
            self.__dict__.pop(name, None)

    def describe_docker(self) -> str:
        """The Docker Engine in a line."""
        return f"Docker Engine: {images.describe(self.docker, self.docker_address)}"

    @property
    def registry(self) -> str:
        """`localhost:PORT` of the lab's own registry, which every engine on this computer reaches. LabError: none."""
        if address := self.engines.home.registry_address:
            return address
        raise LabError("the lab's registry is not there. Next: `kubelab up`.")

    def runtime_level(self) -> str:
        """How well the cluster's containers are kept apart: "namespaces" or "process" on the embedded one."""
        if not self.engines.embedded:
            return "a cluster of your own"
        return dict(self.embedded_docker.info()["DriverStatus"])["Runtime level"]

    def deliver(self, *names: str) -> list[str]:
        """Bring images to the cluster where the Docker Engine's are not seen there. `apply` does it by itself."""
        return delivery.deliver(self.docker, delivery.targets(self), names) if self._delivers else []

    @cached_property
    def _delivers(self) -> bool:
        return bool(self.engines.kind) or (self.engines.embedded and self.docker_address.real)

    @cached_property
    def recorder(self) -> Recorder:
        """Records every watch event of the namespace from its first use on: `lab.recorder.recording`."""
        return Recorder(self.engines.api_client(), self.namespace).start()

    def beside(self, suffix: str) -> Lab:
        """A second lab of the chapter, in the namespace "kubelab-CHAPTER-SUFFIX", made and empty."""
        other = Lab(self.chapter, self.engines, self.k8s, self.root, suffix)
        namespace.ensure(self.core, other.namespace)
        namespace.clear(self.k8s, other.namespace)
        return other

    def remove(self) -> None:
        """Delete the lab's namespace with everything in it, and wait until it is gone."""
        namespace.remove(self.core, self.namespace)
        print(f"namespace/{self.namespace} deleted")

    @property
    def labels(self) -> dict[str, str]:
        """For containers run through `docker`: those that carry them are removed when the chapter is started again."""
        return images.labels(self.chapter)

    @property
    def manifests(self) -> Path:
        """The chapter's folder below manifests/."""
        return next(iter(sorted((self.root / "manifests").glob(f"{self.chapter}_*"))), self.root / "manifests")

    def apply(self, source: str | Path | dict[str, Any] | list[dict[str, Any]]) -> None:
        """Create or update what a manifest describes: a file of the chapter, YAML text, or dicts. LabError: refused."""
        if isinstance(source, (str, Path)) and "\n" not in str(source):
            print(f"$ kubectl -n {self.namespace} apply -f {(self.manifests / source).relative_to(self.root)}")
        documents = list(manifest.read(source, self.manifests))
        self.deliver(*delivery.names(documents))
        for document in documents:
            print(manifest.apply(self.k8s, self.namespace, document))

    def request(
        self, target: str, path: str = "/", method: str = "GET", body: Any = None, timeout: float = 5
    ) -> api.Answer:
        """An HTTP request to "pod/NAME" or "service/NAME" by way of the API server. TimeoutError after `timeout` s."""
        return api.request(self.k8s, method, api.proxy_path(self.namespace, target, path), body, timeout)

    def ask(self, target: str, path: str = "/", timeout: float = 2) -> None:
        """Send one request and print in a line how it ended. A program that does not listen yet is asked again."""
        try:
            answer = api.listening(lambda: self.request(target, path, timeout=timeout))
        except TimeoutError:
            print(f"{target}: no answer")
            return
        print(f"{target}: {answer.status} {http.HTTPStatus(answer.status).phrase}")

    def exec(self, pod: str, command: Sequence[str], container: str = "") -> str:
        """What a command in a container prints, both streams. `container` may be left out where there is only one."""
        core = client.CoreV1Api(self.engines.api_client())  # of its own: stream() rewires the client it is given
        options = {"container": container} if container else {}
        try:
            return stream(
                core.connect_get_namespaced_pod_exec,
                pod,
                self.namespace,
                command=list(command),
                stdout=True,
                stderr=True,
                stdin=False,
                tty=False,
                **options,
            )
        except ApiException as error:
            raise LabError(f"no command could be run in {pod}: {error.reason}") from error
        finally:
            core.api_client.close()

    def logs(self, pod: str, container: str = "", lines: int = 5, previous: bool = False) -> None:
        """Print the last lines that a container wrote; with `previous`, the container before the last restart."""
        options = {"container": container} if container else {}
        try:
            answer = self.core.read_namespaced_pod_log(
                pod, self.namespace, tail_lines=lines, previous=previous, _preload_content=False, **options
            )
        except ApiException as error:
            raise LabError(f"no logs of {pod}: {manifest.message(error)}") from error
        command = f"kubectl -n {self.namespace} logs {pod}" + (f" -c {container}" if container else "")
        print(f"$ {command} --tail={lines}" + (" --previous" if previous else ""))
        print(answer.data.decode(errors="replace").rstrip())

    def follow_logs(self, pod: str, container: str = "", *, until: str, timeout: float = 20) -> None:
        """Follow a log until a line contains `until`, and print that line. NotInTime after `timeout` seconds."""
        options = {"container": container} if container else {}
        answer = self.core.read_namespaced_pod_log(
            pod, self.namespace, follow=True, _preload_content=False, _request_timeout=timeout, **options
        )
        command = f"kubectl -n {self.namespace} logs -f {pod}" + (f" -c {container}" if container else "")
        try:
            for line in answer:
                if until in (text := line.decode(errors="replace")):
                    print(f"$ {command}\n{text.rstrip()}")
                    return
        except urllib3.exceptions.ReadTimeoutError:
            pass
        finally:
            answer.close()
        raise NotInTime(f"no line of {pod} said {until!r} within {timeout:g} s.")

    def predict(self, failure: str, answer: str = "", **more: str) -> None:
        """Commit to what a failure will do, before it is caused; without an answer, print what is asked.

        `more` answers the further questions, by their names. LabError: there is no such failure, question or answer.
        """
        if not answer:
            print(predictions.question_text(failure))
            return
        given = self.predictions.give(failure, {"outcome": answer, **more})
        self.recorder  # noqa: B018 - it starts now, so that it knows how things stood before the press
        for question in predictions.ask(failure):
            if question.key in given.answers:
                print(f"{predictions.label(failure)}: you say {question.options[given.answers[question.key]]}")

    def press(self, fault: str, pod: str, feature: str = "") -> None:
        """Cause a failure in a pod: a name of `course.faults.FAULTS`, or in its node: one of NODE_FAULTS.

        If it was predicted, the records count from here on: see `score`. LabError: it was not taken.
        """
        found = self.read(f"pod/{pod}")
        self._restarts[pod] = podstatus.restarts(found)
        with self.trial(fault, found):
            if fault in faults.NODE_FAULTS:
                print(faults.cause_on_node(self, fault, podstatus.node(found)))
            else:
                print(faults.cause(self, fault, pod, feature))

    @contextmanager
    def trial(self, failure: str, pod: dict[str, Any]) -> Iterator[predictions.Trial | None]:
        """What is caused in the body is scored afterwards, if it was predicted; `None` if it was not."""
        begun = self.predictions.press(failure, pod, self.recorder) if failure in self.predictions.given else None
        try:
            yield begun
        except LabError:
            if begun:
                self.predictions.withdraw(begun)
            raise

    def score(self) -> None:
        """Watch until the newest trial is decided, and print what happened, who was right, and why."""
        if self.predictions.trial is None:
            raise LabError("nothing was predicted and then caused. Next: `lab.predict(…)`, then `lab.press(…)`.")
        print(self.keep(self.predictions.trial.wait()).text())

    def keep(self, score: predictions.Score) -> predictions.Score:
        """Enter a score in the student's progress."""
        self.progress.predicted(f"{self.chapter}/{score.failure}/{score.pod}", score.right)
        return score

    def remake(self, pod: str, patch: dict[str, Any]) -> None:
        """Change a pod by a strategic merge patch: it is made anew, or its owner's template is changed."""
        remaking.change(self, pod, patch)

    def objects(self, kind: str = "pod", selector: str = "") -> list[dict[str, Any]]:
        """The namespace's objects of a kind, dicts like in YAML, sorted by name. `selector` as in `kubectl get -l`."""
        answer = self._lister(kind)(self.namespace, label_selector=selector, _preload_content=False)
        return sorted(json.loads(answer.data)["items"], key=podstatus.name)

    def read(self, target: str) -> dict[str, Any]:
        """One object, "pod/NAME" or "deployment/NAME", as a dict like in YAML. LabError: it is not there."""
        kind, _, name = target.partition("/")
        for found in self.objects(kind):
            if found["metadata"]["name"] == name:
                return found
        raise LabError(f"there is no {target} in {self.namespace}.")

    def pods(self, selector: str = "", labels: Sequence[str] = (), nodes: bool = False) -> tables.Table:
        """A table of the pods, as `kubectl get pods` shows them, without their ages."""
        command = f"kubectl -n {self.namespace} get pods"
        command += f" -l '{selector}'" if selector else ""
        command += f" -L {','.join(labels)}" if labels else ""
        command += " -o wide" if nodes else ""
        return tables.pod_table(self.objects("pod", selector), command, labels, nodes)

    def events(self, target: str = "") -> tables.Table:
        """What was recorded about one object, "pod/NAME", or about all: each different event once, in order."""
        # By uid: an earlier object of the same name has left events, too.
        fields = f"involvedObject.uid={self.read(target)['metadata']['uid']}" if target else ""
        answer = self.core.list_namespaced_event(self.namespace, field_selector=fields, _preload_content=False)
        events = json.loads(answer.data)["items"]
        command = f"kubectl -n {self.namespace} events" + (f" --for {target}" if target else "")
        return tables.event_table(events, command, objects=not target)

    def wait_for(
        self,
        target: str,
        condition: str | Callable[..., bool] = "Ready",
        *,
        restarts: int | None = None,
        selector: str = "",
        what: str = "",
        timeout: float = 30,
    ) -> None:
        """Watch until something is true; NotInTime after `timeout` seconds, with what it was like then.

        target "pod/NAME", "deployment/NAME", …: `condition` is one of its conditions, or "complete" (all copies are of
        the newest template and available), "deleted", or a function of the object. `restarts=N`: restarted N times and
        running; "restarted": since the last `press`, however often before.
        target "pods": `condition` is a function of the list of pods that `selector` matches, put in words by `what`.
        """
        kind, _, name = target.partition("/")
        if condition == "restarted":
            test, words = _condition("", self._restarts.get(name, 0) + 1, name)[0], "restarted, running again"
        else:
            test, words = _condition(condition, restarts, name)
        waiting.until(
            self._lister(kind.removesuffix("s") if not name else kind),
            self.namespace,
            condition=test,
            what=f"{target} {what or words}",
            timeout=timeout,
            **({"field_selector": f"metadata.name={name}"} if name else {"label_selector": selector}),
        )
        print(f"{target}: {what or words}")

    def _lister(self, kind: str) -> Callable[..., Any]:
        if kind not in LISTS:
            raise LabError(f"{kind!r} is not a kind that the lab lists; those are {', '.join(LISTS)}.")
        owner, method = LISTS[kind]
        return getattr(getattr(self, owner), method)

    def patch(self, target: str, change: dict[str, Any]) -> None:
        """Merge a change into an object, "pod/NAME" or "replicaset/NAME". LabError: refused."""
        kind, _, name = target.partition("/")
        owner, method = LISTS[kind]
        self.deliver(*delivery.names(change))
        try:
            getattr(getattr(self, owner), method.replace("list_", "patch_"))(name, self.namespace, change)
        except ApiException as error:
            raise LabError(f"{target} was not changed: {manifest.message(error)}") from error


def _condition(condition: str | Callable[..., bool], restarts: int | None, name: str) -> tuple[waiting.Condition, str]:
    """The test of a list of objects that the words stand for, and the words."""
    if restarts is not None:
        often = {1: "once", 2: "twice"}.get(restarts, f"{restarts} times")
        return lambda found: bool(found) and waiting.restarted(found[0], restarts), f"restarted {often}, running again"
    if condition == "deleted":
        return lambda found: not found, "deleted"
    if condition == "complete":
        return lambda found: bool(found) and waiting.up_to_date(found[0]), "complete"
    if isinstance(condition, str):
        return lambda found: bool(found) and waiting.has_condition(found[0], condition), condition
    if name:
        return lambda found: bool(found) and condition(found[0]), "as it should be"
    return condition, "as they should be"
