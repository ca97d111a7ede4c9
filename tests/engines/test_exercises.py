"""Every exercise on running engines: set up, its check fails; wrong answers are rejected with the right hint; the
solution in notebooks/solutions passes; a reset brings the beginning back."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import eventually
from kubelab import course
from kubelab.course import checks, study, terminal
from kubelab.course.lab import Lab
from kubelab.course.progress import Progress
from kubelab.home import Home

SOLUTIONS = Path(__file__).parents[2] / "notebooks" / "solutions"
Answer = Callable[[Lab], None]


@pytest.fixture(scope="module")
def lab(best_engines: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBELAB_HOME", str(best_engines.path))
        patch.delenv("KUBELAB_CONTEXT", raising=False)
        made = course.start("04")
        made.progress = Progress(tmp_path_factory.mktemp("progress"))
        root = tmp_path_factory.mktemp("course")  # the student's files: not into the repository
        for name in ("apps", "manifests"):
            (root / name).symlink_to(made.root / name)
        made.root = root
        yield made
        made.reset()
        made.k8s.close()


def solution(number: str) -> Path:
    found = list(SOLUTIONS.glob(f"{number.replace('.', '_')}_*"))
    assert len(found) == 1, found
    return found[0]


def objects(number: str) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(solution(number).read_text()) if found]


def apply(documents: list[dict[str, Any]]) -> Answer:
    """As `kubectl replace --force` for pods that are there, as `kubectl apply` for the rest."""

    def answer(lab: Lab) -> None:
        there = {found["metadata"]["name"] for found in lab.objects("pod")}
        for document in documents:
            name = document["metadata"]["name"]
            if document["kind"] == "Pod" and name in there:
                lab.core.delete_namespaced_pod(name, lab.namespace, grace_period_seconds=0)
                lab.wait_for(f"pod/{name}", "deleted")
        lab.apply(copy.deepcopy(documents))

    return answer


def changed(number: str, change: Callable[[list[dict[str, Any]]], object]) -> Answer:
    """The solution with one thing different."""
    documents = objects(number)
    change(documents)
    return apply(documents)


def run(command: str) -> Answer:
    def answer(lab: Lab) -> None:
        subprocess.run(command, shell=True, check=True, env=terminal.environment(lab), capture_output=True)

    return answer


def build(number: str, dockerfile: str, **files: str) -> Answer:
    def answer(lab: Lab) -> None:
        found = checks.find(number)
        folder = study.folder(found, lab)
        for name, text in {"Dockerfile.answer": dockerfile, **files}.items():
            (folder / name).write_text(text)
        lab.docker.images.build(path=str(folder), dockerfile="Dockerfile.answer", tag=found.images[0], rm=True)

    return answer


def solved(number: str) -> Answer:
    path = solution(number)
    if path.suffix == ".yaml":
        return apply(objects(number))
    return run(path.read_text()) if path.suffix == ".sh" else build(number, path.read_text())


def container(documents: list[dict[str, Any]], place: int = 0) -> dict[str, Any]:
    found = documents[place]["spec"]
    return found.get("template", {}).get("spec", found)["containers"][0]


def put(target: dict[str, Any], **values: Any) -> None:
    target.update(values)


def scale(number: str, what: str, count: int) -> Answer:
    namespace = f"kubelab-0{number[0]}-ex{number[2]}"
    return run(f"kubectl -n {namespace} scale {what} --replicas={count}")


BASE = "FROM kubelab/python\nWORKDIR /app\n"
TCP = {"tcpSocket": {"port": "http"}, "initialDelaySeconds": 2, "periodSeconds": 2}
RELABEL = "kubectl -n kubelab-04-ex3 run patient --image=kubelab/faulty:1 --labels=app=patient "
"--image-pull-policy=IfNotPresent"
NO_READINESS = {"readinessProbe": None}
WRONG: list[tuple[str, str, Answer, str]] = [  # number, what is wrong, the answer, a part of the hint
    ("1.1", "the wrong one", scale("1.1", "deployment catalog", 3), "spec.replicas"),
    ("1.1", "all of them", scale("1.1", "deployment catalog orders payments", 3), "Scale one Deployment by its name"),
    (
        "1.2",
        "still Recreate",
        changed("1.2", lambda d: put(d[0]["spec"], strategy={"type": "Recreate"})),
        "Recreate stops the old pods",
    ),
    (
        "1.2",
        "one may be missing",
        changed("1.2", lambda d: put(d[0]["spec"]["strategy"], rollingUpdate={"maxUnavailable": 1})),
        "how many copies may be missing",
    ),
    (
        "1.2",
        "no readiness",
        changed("1.2", lambda d: put(container(d), readinessProbe=None)),
        "before the program listens",
    ),
    ("1.3", "one of three", scale("1.3", "deployment catalog", 2), "whoever needs orders waits"),
    (
        "1.3",
        "no readiness",
        lambda lab: [
            lab.patch(
                f"deployment/{app}",
                {
                    "spec": {
                        "replicas": 2,
                        "template": {"spec": {"containers": [{"name": app, "readinessProbe": None}]}},
                    }
                },
            )
            for app in ("catalog", "orders", "payments")
        ],
        "before the program listens",
    ),
    ("2.1", "no command", build("2.1", BASE + "COPY greet.py .\n"), "CMD says so"),
    ("2.1", "no file", build("2.1", BASE + 'CMD ["echo", "good morning"]\n'), "COPY takes files"),
    (
        "2.2",
        "deleted later",
        build("2.2", BASE + 'COPY . .\nRUN rm secret.txt\nCMD ["python", "greet.py"]\n'),
        "never changed by a later one",
    ),
    ("2.2", "everything", build("2.2", BASE + 'COPY . .\nCMD ["python", "greet.py"]\n'), ".dockerignore."),
    (
        "2.2",
        "ignores too much",
        build("2.2", BASE + 'COPY . .\nCMD ["python", "greet.py"]\n', **{".dockerignore": "*.txt\n"}),
        "does it name too much",
    ),
    (
        "2.3",
        "code first",
        build("2.3", BASE + 'COPY greet.py install.sh ./\nRUN sh install.sh\nCMD ["python", "greet.py"]\n'),
        "What changes often belongs at the end",
    ),
    ("2.3", "not installed", build("2.3", BASE + 'COPY greet.py .\nCMD ["python", "greet.py"]\n'), "makes library.txt"),
    (
        "2.4",
        "deleted later",
        build("2.4", BASE + 'COPY make.py .\nRUN python make.py\nRUN rm big.bin\nCMD ["cat", "result.txt"]\n'),
        "a file that a later layer deletes still weighs",
    ),
    (
        "2.4",
        "kept",
        build("2.4", BASE + 'COPY make.py .\nRUN python make.py\nCMD ["cat", "result.txt"]\n'),
        "which file is large",
    ),
    ("3.1", "label in the wrong place", changed("3.1", lambda d: d[0]["metadata"].pop("labels")), "not in spec"),
    ("3.1", "no port", changed("3.1", lambda d: container(d).pop("ports")), "are a list under `ports`"),
    ("3.1", "another name", changed("3.1", lambda d: put(d[0]["metadata"], name="greet")), "metadata.name"),
    ("3.2", "only one", changed("3.2", lambda d: d[0]["spec"]["containers"].pop()), "both programs are wanted"),
    (
        "3.2",
        "the same port",
        changed("3.2", lambda d: d[0]["spec"]["containers"][1].pop("env")),
        "only one can listen on 8080",
    ),
    ("3.3", "all", run("kubectl -n kubelab-03-ex3 delete pods --all"), "delete by the label env=test"),
    (
        "3.3",
        "relabelled",
        run("kubectl -n kubelab-03-ex3 label pods -l env=test env=prod --overwrite"),
        "a changed label deletes nothing",
    ),
    (
        "3.4",
        "tied to a machine",
        changed("3.4", lambda d: (d[0]["spec"].pop("nodeSelector"), put(d[0]["spec"], nodeName="node-2"))),
        "nodeName ties the pod",
    ),
    (
        "3.4",
        "another value",
        changed("3.4", lambda d: put(d[0]["spec"], nodeSelector={"kubelab.dev/exercise-disk": "quick"})),
        "--show-labels",
    ),
    (
        "3.5",
        "a wrong selector",
        changed("3.5", lambda d: put(d[0]["spec"], selector={"app": "together"})),
        "whose labels does it match",
    ),
    (
        "3.5",
        "still localhost",
        changed("3.5", lambda d: put(container(d, 2), env=[{"name": "TARGET", "value": "http://localhost:8080"}])),
        "nobody at localhost",
    ),
    (
        "4.1",
        "readiness only",
        changed("4.1", lambda d: put(container(d), readinessProbe=container(d).pop("livenessProbe"))),
        "takes the pod out of its services, and that is all",
    ),
    ("4.1", "by TCP", changed("4.1", lambda d: put(container(d), livenessProbe=TCP)), "still accepts connections"),
    (
        "4.1",
        "too slow",
        changed("4.1", lambda d: put(container(d)["livenessProbe"], periodSeconds=10)),
        "failureThreshold times periodSeconds",
    ),
    (
        "4.1",
        "a wrong path",
        changed("4.1", lambda d: put(container(d)["livenessProbe"], httpGet={"path": "/health", "port": "http"})),
        "is its path right",
    ),
    (
        "4.2",
        "a long delay",
        changed(
            "4.2",
            lambda d: (container(d).pop("startupProbe"), put(container(d)["livenessProbe"], initialDelaySeconds=30)),
        ),
        "A startup probe waits as long as needed",
    ),
    (
        "4.2",
        "a high threshold",
        changed(
            "4.2", lambda d: (container(d).pop("startupProbe"), put(container(d)["livenessProbe"], failureThreshold=20))
        ),
        "failureThreshold times periodSeconds",
    ),
    (
        "4.2",
        "another program",
        changed("4.2", lambda d: container(d).pop("env")),
        "START_DELAY stays 8",
    ),
    ("4.3", "a new pod", run(RELABEL), "a new pod is not the one"),
    ("4.3", "scaled", scale("4.3", "replicaset web", 4), "scaling was not asked for"),
    (
        "4.4",
        "a Deployment",
        run("kubectl -n kubelab-04-ex4 create deployment sum --image=kubelab/python"),
        "Work that ends is a Job's",
    ),
    ("4.4", "all at once", changed("4.4", lambda d: put(d[0]["spec"], parallelism=5)), "spec.parallelism"),
    (
        "4.4",
        "a wrong command",
        changed("4.4", lambda d: put(container(d), command=["python", "-c", "print(sum(range))"])),
        "kubectl logs job/sum",
    ),
    ("4.5", "one copy", changed("4.5", lambda d: put(d[0]["spec"], replicas=1)), "every loss is an outage"),
    (
        "4.5",
        "no patience said",
        changed("4.5", lambda d: d[0]["spec"]["template"]["spec"].pop("tolerations")),
        "300 seconds by default",
    ),
    (
        "4.5",
        "tied to a node",
        changed("4.5", lambda d: d[0]["spec"]["template"]["spec"].pop("nodeSelector")),
        "is there a nodeSelector",
    ),
]


@pytest.mark.parametrize("number", checks.EXERCISES)
@pytest.mark.requires("kubectl")
@pytest.mark.timeout(240)
def test_the_check_fails_then_wrong_answers_get_their_hints_then_the_solution_passes(lab: Lab, number: str, capsys):
    own = lab.exercise(number)
    assert number in capsys.readouterr().out
    assert not lab.check(number), capsys.readouterr().out
    assert "Hint:" in capsys.readouterr().out
    wrong = [row for row in WRONG if row[0] == number]
    assert len(wrong) >= 2
    for _, what, answer, hint in wrong:
        answer(own)
        seen: list[str] = []

        def hinted(what: str = what, hint: str = hint, seen: list[str] = seen) -> bool:
            assert not lab.check(number), what
            seen[:] = [capsys.readouterr().out]
            return hint in " ".join(seen[0].split())

        eventually(hinted, f"{number}, {what}: the hint {hint!r}; now {seen or ''}", deadline=25)
        lab.reset(number)
    solved(number)(own)
    eventually(lambda: lab.check(number), f"{number}: the solution passes", deadline=40)
    assert lab.progress.passed(number)
    assert "Passed." in capsys.readouterr().out
    eventually(
        lambda: lab.check(number), f"{number}: it passes again, after what the check itself has caused", deadline=40
    )


def test_an_exercise_that_was_not_begun_says_so(lab: Lab, capsys):
    lab.reset("3")
    assert not lab.check("3.1")
    assert "lab.exercise('3.1')" in capsys.readouterr().out
    with pytest.raises(course.LabError, match=r"there are 1\.1"):
        lab.check("9.9")


def test_begun_again_keeps_what_was_done_and_a_reset_does_not(lab: Lab):
    own = lab.exercise("3.1")
    solved("3.1")(own)
    assert [found["metadata"]["name"] for found in lab.exercise("3.1").objects("pod")] == ["greeter"]
    lab.reset("3.1")
    assert own.objects("pod") == []


@pytest.mark.timeout(120)
def test_what_was_begun_is_there_after_its_node_was_lost(lab: Lab):
    """A pod that no controller made would be deleted with the node: chapter 4 would undo an exercise of chapter 3."""
    own = lab.exercise("3.3")
    eventually(lambda: placed(own), "placed")
    begun = {name(found): found["spec"]["nodeName"] for found in own.objects("pod")}
    lost = "node-2" if "node-2" in begun.values() else "node-1"
    control = copy.deepcopy(objects("3.1")[0])
    control["spec"] |= {"nodeName": lost, "tolerations": []}
    own.apply(control)
    lab.nodes.stop(lost)
    try:
        eventually(
            lambda: "greeter" not in {name(found) for found in own.objects("pod") if not leaves(found)}, "evicted", 60
        )
        assert {name(found) for found in own.objects("pod") if not leaves(found)} == set(begun)
    finally:
        lab.nodes.start(lost)
    lab.reset("3.3")


def placed(own: Lab) -> list[dict[str, Any]]:
    """The pods, once each has a node."""
    pods = own.objects("pod")
    return pods if all(found["spec"].get("nodeName") for found in pods) else []


def name(found: dict[str, Any]) -> str:
    return found["metadata"]["name"]


def leaves(found: dict[str, Any]) -> bool:
    return "deletionTimestamp" in found["metadata"]


def test_a_chapter_is_reset_with_its_exercises_and_no_other(lab: Lab):
    lab.exercise("3.3")
    lab.exercise("4.4")
    lab.reset("03")
    names = {found.metadata.name for found in lab.core.list_namespace().items}
    assert "kubelab-03-ex3" not in names and "kubelab-04-ex4" in names
    lab.reset()
    names = {found.metadata.name for found in lab.core.list_namespace().items}
    assert not [name for name in names if "-ex" in name] and "kubelab-04" in names
