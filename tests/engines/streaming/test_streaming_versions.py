"""What reaches into containers, with each version of kubectl: 1.20 speaks SPDY, the newer ones WebSocket."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kubernetes.client import AppsV1Api

import kubectls
from engines.streaming.conftest import ASK_TERMINAL, NAMESPACE, Lab, container, pod
from harness import eventually

LIVES = ("sh", "-c", "sleep 600")


@pytest.fixture(params=kubectls.VERSIONS)
def old_and_new(request: pytest.FixtureRequest, lab: Lab) -> Lab:
    return replace(lab, program=kubectls.program(request.param))


def named(lab: Lab, word: str) -> str:
    """A name that tests of the other versions do not use."""
    return f"{word}-{Path(lab.program).name.replace('.', '-')}"


def test_exec_and_its_code(old_and_new: Lab) -> None:
    kubectl = old_and_new.kubectl
    done = kubectl("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 7\n"
    assert kubectl("exec", "-i", "web", "--", "cat", stdin="through\n").stdout == "through\n"


def test_copy_there_and_back(old_and_new: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("from the host\n")
    name = f"/tmp/{secrets.token_hex(8)}"  # of nobody else: at the level process it is the host's /tmp
    # A user namespace of one user has no other owner to give a file to.
    whose = () if os.geteuid() == 0 else ("--no-preserve",)
    try:
        old_and_new.kubectl("cp", *whose, str(folder), f"{NAMESPACE}/web:{name}")
        assert old_and_new.kubectl("exec", "web", "--", "cat", f"{name}/deep/file").stdout == "from the host\n"
        old_and_new.kubectl("cp", f"{NAMESPACE}/web:{name}", str(tmp_path / "back"))
        assert (tmp_path / "back" / "deep" / "file").read_text() == "from the host\n"
    finally:
        old_and_new.kubectl("exec", "web", "--", "rm", "-rf", name)


def test_logs(old_and_new: Lab) -> None:
    kubectl, name = old_and_new.kubectl, named(old_and_new, "talks")
    two = (container("a", "sh", "-c", "echo one; echo two; sleep 600"), container("b", "sh", "-c", "echo b; sleep 600"))
    old_and_new.core.create_namespaced_pod(NAMESPACE, pod(name, *two))
    try:
        old_and_new.ready(name)
        assert kubectl("logs", name, "-c", "a").stdout == "one\ntwo\n"
        assert kubectl("logs", name, "-c", "a", "--tail=1").stdout == "two\n"
        assert re.fullmatch(r"\d{4}-\S+ b\n", kubectl("logs", name, "-c", "b", "--timestamps").stdout)
        assert kubectl("logs", name, "-c", "a", "--since=1h").stdout == "one\ntwo\n"
        prefixed = kubectl("logs", "-l", f"app={name}", "--all-containers", "--prefix").stdout
        assert f"[pod/{name}/b] b\n" in prefixed
    finally:
        kubectl("delete", "pod", name, "--force", "--grace-period=0")


@pytest.fixture
def forwarded(old_and_new: Lab) -> Iterator[int]:
    command = [old_and_new.program, "-n", NAMESPACE, "port-forward", "--address=127.0.0.1", "service/web", ":80"]
    environment = {**os.environ, "KUBECONFIG": str(old_and_new.home.kubeconfig)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as forwarding:
        try:
            assert forwarding.stdout is not None
            said = re.search(r"127\.0\.0\.1:(\d+)", forwarding.stdout.readline())
            assert said is not None
            yield int(said[1])
        finally:
            forwarding.kill()


def test_port_forward(forwarded: int) -> None:
    for _ in range(2):
        with urllib.request.urlopen(f"http://127.0.0.1:{forwarded}/", timeout=10) as answer:
            assert answer.status == 200


def test_run_to_its_end(old_and_new: Lab) -> None:
    name = named(old_and_new, "once")
    options = ("--image=kubelab/python", "--image-pull-policy=IfNotPresent", "--restart=Never", "--rm", "-i", "--quiet")
    done = old_and_new.kubectl("run", name, *options, "--command", "--", "cat", stdin="hello\n")
    assert "hello\n" in done.stdout


def test_drain_moves_nothing_that_has_no_owner(old_and_new: Lab) -> None:
    node = old_and_new.core.read_namespaced_pod("web", NAMESPACE).spec.node_name
    refused = old_and_new.kubectl("drain", node, "--ignore-daemonsets", check=False)
    try:
        assert refused.returncode == 1
        assert "cannot delete Pods" in refused.stderr
        assert f"{NAMESPACE}/web" in refused.stderr
    finally:
        old_and_new.kubectl("uncordon", node)


@pytest.mark.requires("script")
def test_exec_with_a_terminal(old_and_new: Lab) -> None:
    argv = ("exec", "-it", "web", "--", "python3", "-c", ASK_TERMINAL)
    assert "True 97" in old_and_new.in_terminal(*argv, columns=97)


def test_attach(old_and_new: Lab) -> None:
    name = named(old_and_new, "counts")
    words = "import itertools, time\nfor n in itertools.count():\n print(n, flush=True); time.sleep(0.1)"
    old_and_new.core.create_namespaced_pod(NAMESPACE, pod(name, container("main", "python3", "-c", words)))
    old_and_new.ready(name)
    command = [old_and_new.program, "-n", NAMESPACE, "attach", name]
    environment = {**os.environ, "KUBECONFIG": str(old_and_new.home.kubeconfig)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as attached:
        try:
            first, second = int(attached.stdout.readline()), int(attached.stdout.readline())
            assert second == first + 1
        finally:
            attached.kill()


def test_logs_that_go_on_and_those_of_the_run_before(old_and_new: Lab) -> None:
    name, kubectl = named(old_and_new, "ends"), old_and_new.kubectl
    script = "echo first; sleep 1; echo last; exit 3"
    old_and_new.core.create_namespaced_pod(
        NAMESPACE, pod(name, container("main", "sh", "-c", script), restartPolicy="OnFailure")
    )
    old_and_new.ready(name)
    assert kubectl("logs", "-f", name).stdout == "first\nlast\n"
    before = lambda *more: kubectl("logs", "-p", name, *more, check=False).stdout  # noqa: E731
    eventually(lambda: before() == "first\nlast\n", "the container before can be read")
    moment = before("--timestamps").splitlines()[1].split()[0]
    assert before(f"--since-time={moment}") == "last\n"


def test_rollout_history_and_undo(old_and_new: Lab) -> None:
    name, kubectl = named(old_and_new, "rolls"), old_and_new.kubectl
    try:
        body = {
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": pod(name, container("main", *LIVES))["spec"],
                },
            },
        }
        AppsV1Api(old_and_new.core.api_client).create_namespaced_deployment(NAMESPACE, body)
        kubectl("rollout", "status", f"deploy/{name}")
        kubectl("set", "env", f"deploy/{name}", "LEVEL=2")
        assert "successfully rolled out" in kubectl("rollout", "status", f"deploy/{name}").stdout
        told = kubectl("rollout", "history", f"deploy/{name}").stdout.splitlines()
        assert [line.split()[0] for line in told if line[:1].isdigit()] == ["1", "2"]
        assert "LEVEL:\t2" in kubectl("rollout", "history", f"deploy/{name}", "--revision=2").stdout
        assert "rolled back" in kubectl("rollout", "undo", f"deploy/{name}").stdout
        kubectl("rollout", "status", f"deploy/{name}")
        told = kubectl("rollout", "history", f"deploy/{name}").stdout.splitlines()
        assert [line.split()[0] for line in told if line[:1].isdigit()] == ["2", "3"]
        assert "LEVEL" not in kubectl("get", "deploy", name, "-o", "jsonpath={.spec.template}").stdout
        skipped = kubectl("rollout", "undo", f"deploy/{name}", "--to-revision=3").stdout
        assert "skipped rollback (current template already matches revision 3)" in skipped
    finally:
        kubectl("delete", "deploy", name)


def test_top(old_and_new: Lab) -> None:
    """metrics.k8s.io has figures once the kubelets have been asked."""
    kubectl = old_and_new.kubectl
    eventually(lambda: kubectl("top", "pod", "web", check=False).returncode == 0, "there are figures", 40)
    head, line = kubectl("top", "pod", "web").stdout.splitlines()
    assert head.split() == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert re.fullmatch(r"web +\d+m +\d+Mi *", line)
    assert kubectl("top", "node").stdout.splitlines()[0].split()[:2] == ["NAME", "CPU(cores)"]


def test_debug_beside_and_in_a_copy(old_and_new: Lab) -> None:
    if old_and_new.program.endswith("1.20"):
        pytest.skip("kubectl 1.20 asks for ephemeral containers in a way that Kubernetes 1.22 took away")
    name, kubectl = named(old_and_new, "looked-at"), old_and_new.kubectl
    old_and_new.core.create_namespaced_pod(NAMESPACE, pod(name, container("main", *LIVES)))
    old_and_new.ready(name)
    image = ("--image=kubelab/python", "--image-pull-policy=IfNotPresent", "--profile=general")
    told = kubectl("debug", name, "-i", *image, "--target=main", "-c", "dbg", "--", "sh", "-c", "echo from inside")
    assert "from inside" in told.stdout
    status = old_and_new.core.read_namespaced_pod(name, NAMESPACE).status
    assert [each.name for each in status.ephemeral_container_statuses] == ["dbg"]
    kubectl("debug", name, *image, f"--copy-to={name}-copy", "-c", "dbg", "--", *LIVES)
    copied = old_and_new.core.read_namespaced_pod(f"{name}-copy", NAMESPACE)
    assert sorted(each.name for each in copied.spec.containers) == ["dbg", "main"]
    kubectl("delete", "pod", name, f"{name}-copy", "--wait=false")
