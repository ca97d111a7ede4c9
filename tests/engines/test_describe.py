"""`kubectl describe` in full, beside texts that were looked through for values that are missing or odd.

Those of pods and volumes were held against upstream's describe.go. The golden texts are tests/golden/describe/KIND.txt,
of the objects in objects.yaml beside them. What differs from run to run (ages, addresses, IDs, the machine) is replaced
by a word in angle brackets, and the padding of columns goes.
Write them anew with KUBELAB_GOLDEN=write, and look at the difference: a value that has become `<none>` is a field that
got lost.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kubectls
from harness import eventually
from kubelab.home import Home

pytestmark = pytest.mark.timeout(180)

FOLDER = Path(__file__).parents[1] / "golden" / "describe"
NAMESPACE = "described"
DESCRIBED = {
    **{"pod": "pod full", "deployment": "deploy web", "replicaset": "rs -l app=web", "service": "service web"},
    **{"job": "job once", "cronjob": "cronjob nightly", "daemonset": "daemonset everywhere"},
    **{
        "resourcequota": "quota few",
        "limitrange": "limits sizes",
        "namespace": f"ns {NAMESPACE}",
        "node": "node node-1",
    },
}
Kubectl = Callable[..., str]
VARIES = (
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<time>"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uid>"),
    (r"\b[0-9a-f]{32}([0-9a-f]{32})?\b", "<id>"),
    (r"\b(kube-api-access|once|everywhere)-[a-z0-9]{5}\b", r"\1-<suffix>"),
    (r"\bweb-[a-f0-9]{8,10}\b(-[a-z0-9]{5}\b)?", lambda found: "web-<hash>" + ("-<suffix>" if found[1] else "")),
    (r"pod-template-hash=\w+", "pod-template-hash=<hash>"),
    (r"(Image ID: +)\S+", r"\1sha256:<id>"),  # by a digest where an earlier test had pushed the image
    (r"\b\d+\.\d+\.\d+\.\d+\b", "<address>"),
    (r"\bnode-[12]\b", "<node>"),
    (r"(?m)^(  (?:Normal|Warning) +\w+ +)\S+( \(x\d+ over \S+\))?", r"\1<age>"),
    (r"(Duration: +)\d+s", r"\1<age>"),
)
MACHINE = (
    (r"(?m)^(  (?:cpu|memory|ephemeral-storage): +)\d+(Ki)?$", r"\1<amount>"),
    (r"(?m)^  hugepages-\w+ *:? .*\n", ""),  # the sizes are the processor's; kubelet/test_kubelet_node.py has them
    (r"(?m)^(  (?:Kernel Version|OS Image|Architecture|System UUID|Machine ID|Boot ID): +).+", r"\1<machine's>"),
    (r"(?m)^    (kubernetes.io|beta.kubernetes.io)/arch=.*\n", ""),
    (r"(kubelab.dev/kubelet-endpoint: ).*", r"\1<endpoint>"),
    (r"(?m)(/arch=).*", r"\1<architecture>"),
    (r"\(\d+ in total\)", "(<number> in total)"),
    (r"(?m)^(  (?:cpu|memory|ephemeral-storage) +)\S+ \(\d+%\) +\S+ \(\d+%\)$", r"\1<amount> <amount>"),
    (r"\(\d+%\)", "(<share>)"),
    (r"(?m)\b(\d+[smh])+$", "<age>"),
)


@pytest.fixture(scope="module")
def kubectl(best_engines: Home) -> Iterator[Kubectl]:
    """kubectl 1.33 in a namespace with one object of each kind, all of them where they want to be."""
    program = kubectls.program("1.33")

    def run(line: str) -> str:
        command = [program, "--kubeconfig", str(best_engines.kubeconfig), "-n", NAMESPACE, *line.split()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, f"kubectl {line}: {done.stderr}"
        return done.stdout

    run(f"create namespace {NAMESPACE}")
    try:
        run(f"apply -f {FOLDER / 'objects.yaml'}")
        for what in ("condition=Ready pod/full", "condition=Complete job/once", "condition=Available deploy/web"):
            run(f"wait --timeout=60s --for={what}")
        run("rollout status --timeout=60s daemonset/everywhere")
        run("rollout status --timeout=60s deploy/web")
        _counted(run)
        yield run
    finally:
        run(f"delete namespace {NAMESPACE}")


def _counted(run: Kubectl) -> None:
    """The finished job's pod has left the quota, and the deployment says that its new set is there."""
    eventually(lambda: run("get quota few -o jsonpath={.status.used.pods}") == "5", "the quota counts five pods")
    available = "{.status.conditions[?(@.type=='Progressing')].reason}"
    said = f"get deploy web -o jsonpath={available}"
    eventually(lambda: run(said) == "NewReplicaSetAvailable", "the deployment has done its work")


@pytest.mark.parametrize("kind", DESCRIBED)
def test_describe(kubectl: Kubectl, kind: str):
    said = normal(kubectl(f"describe {DESCRIBED[kind]}"), kind)
    golden = FOLDER / f"{kind}.txt"
    if os.environ.get("KUBELAB_GOLDEN") == "write":
        golden.write_text(said)
    assert said == golden.read_text()


def normal(text: str, kind: str) -> str:
    """The text without what varies."""
    if kind == "node":
        text = _of_node(text)
    for pattern, word in VARIES + (MACHINE if kind == "node" else ()):
        text = re.sub(pattern, word, text)
    lines = [re.sub(r"(?<=\S) {2,}", "  ", line).rstrip() for line in text.splitlines()]
    if kind in ("limitrange", "namespace"):  # kubectl goes through a limit range's maps, in any order
        lines = _sorted_rows(lines)
    return "\n".join(lines) + "\n"


def _sorted_rows(lines: list[str]) -> list[str]:
    rows = iter(sorted(line for line in lines if _LIMIT.match(line)))
    return [next(rows) if _LIMIT.match(line) else line for line in lines]


_LIMIT = re.compile(r" ?(Container|Pod)  ")


def _of_node(text: str) -> str:
    """Without pods of other tests and the events of the node's life until now."""
    head, _, rest = text.partition("Non-terminated Pods:")
    pods, _, rest = rest.partition("Allocated resources:\n")
    total, *lines = pods.splitlines()
    kept = [line for line in lines if _NO_OTHERS.match(line)]
    return "\n".join([f"{head}Non-terminated Pods:{total}", *kept, "Allocated resources:", _before_events(rest)])


def _before_events(text: str) -> str:
    return text.partition("Events:")[0]


_NO_OTHERS = re.compile(rf"  (Namespace|-+|{NAMESPACE} +everywhere-)")
