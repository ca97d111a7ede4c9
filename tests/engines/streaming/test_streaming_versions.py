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

import kubectls
from engines.streaming.conftest import NAMESPACE, Lab, container, pod


@pytest.fixture(params=kubectls.VERSIONS)
def old_and_new(request: pytest.FixtureRequest, lab: Lab) -> Lab:
    return replace(lab, program=kubectls.program(request.param))


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
    kubectl, name = old_and_new.kubectl, "talks-" + Path(old_and_new.program).name.replace(".", "-")
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
    name = "once-" + Path(old_and_new.program).name.replace(".", "-")
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
