"""kubectl logs, exec, attach, run -i, cp and port-forward, on the whole lab."""

from __future__ import annotations

import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engines.streaming.conftest import ASK_TERMINAL, NAMESPACE, Lab, container, pod
from harness import eventually

pytestmark = pytest.mark.requires("kubectl")


def test_exec(lab: Lab) -> None:
    done = lab.kubectl("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 7\n"
    assert lab.kubectl("exec", "-i", "web", "--", "cat", stdin="through\n").stdout == "through\n"
    missing = lab.kubectl("exec", "web", "--", "nonesuch", check=False)
    assert "executable file not found in $PATH" in missing.stderr


@pytest.mark.requires("script")
def test_exec_with_a_terminal(lab: Lab) -> None:
    assert "True 97" in lab.in_terminal("exec", "-it", "web", "--", "python3", "-c", ASK_TERMINAL, columns=97)


def test_logs(lab: Lab) -> None:
    lab.core.create_namespaced_pod(
        NAMESPACE,
        pod("talks", container("main", "sh", "-c", "echo one; echo two; echo three; sleep 100")),
    )
    lab.ready("talks")
    eventually(lambda: "three" in lab.log("talks"), "all is logged")
    assert lab.kubectl("logs", "talks", "--tail=2").stdout == "two\nthree\n"
    assert re.fullmatch(r"\d{4}\S+Z three\n", lab.kubectl("logs", "talks", "--tail=1", "--timestamps").stdout)
    assert lab.kubectl("logs", "talks", "--since=1h").stdout == "one\ntwo\nthree\n"
    assert lab.kubectl("logs", "-l", "app=talks").stdout == "one\ntwo\nthree\n"


def test_logs_follow_and_previous(lab: Lab) -> None:
    lab.core.create_namespaced_pod(
        NAMESPACE,
        pod("ends", container("main", "sh", "-c", "echo first; sleep 1; echo last; exit 3"), restartPolicy="OnFailure"),
    )
    lab.ready("ends")
    assert lab.kubectl("logs", "-f", "ends").stdout == "first\nlast\n"

    def previous() -> bool:
        return lab.kubectl("logs", "-p", "ends", check=False).stdout == "first\nlast\n"

    eventually(previous, "the container before can be read")
    never = lab.kubectl("logs", "-p", "web", check=False)
    assert 'previous terminated container "main" in pod "web" not found' in never.stderr


def test_a_container_must_be_named_where_there_are_two(lab: Lab) -> None:
    both = pod("two", container("a", "sleep", "100"), container("b", "sh", "-c", "echo from b; sleep 100"))
    lab.core.create_namespaced_pod(NAMESPACE, both)
    lab.ready("two")
    assert lab.kubectl("logs", "two", "-c", "b").stdout == "from b\n"
    unnamed = lab.kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/two/log", check=False)
    assert "a container name must be specified for pod two, choose one of: [a b]" in unnamed.stderr
    unknown = lab.kubectl("exec", "two", "-c", "c", "--", "true", check=False)
    assert "container c is not valid for pod two" in unknown.stderr or "container not found" in unknown.stderr


def test_a_container_that_waits_has_no_log(lab: Lab) -> None:
    lab.core.create_namespaced_pod(NAMESPACE, pod("waits", {**container("main", "true"), "image": "nonesuch:1"}))

    def says_why() -> bool:
        told = lab.kubectl("logs", "waits", check=False).stderr
        return 'container "main" in pod "waits" is waiting to start' in told

    eventually(says_why, "the log says what the container waits for")


def test_run_attached(lab: Lab) -> None:
    run = ("run", "answers", "-i", "--rm", "--quiet", "--restart=Never", "--image=kubelab/python")
    done = lab.kubectl(*run, "--image-pull-policy=IfNotPresent", "--", "cat", stdin="echoed\n")
    assert "echoed\n" in done.stdout


def test_attach_shows_what_comes(lab: Lab) -> None:
    words = "import itertools, time\nfor n in itertools.count():\n print(n, flush=True); time.sleep(0.1)"
    lab.core.create_namespaced_pod(NAMESPACE, pod("counts", container("main", "python3", "-c", words)))
    lab.ready("counts")
    attached = subprocess.Popen(
        ["kubectl", "-n", NAMESPACE, "attach", "counts"],
        env={**os.environ, "KUBECONFIG": str(lab.home.kubeconfig)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        first, second = int(attached.stdout.readline()), int(attached.stdout.readline())
        assert second == first + 1
    finally:
        attached.kill()
        attached.wait()


def test_cp_where_the_image_has_tar(lab: Lab, file, tmp_path) -> None:
    if lab.kubectl("exec", "web", "--", "tar", "--version", check=False).returncode:
        failed = lab.kubectl("cp", str(file), "web:/srv/given", check=False)
        assert '"tar": executable file not found' in failed.stderr
        return
    lab.kubectl("cp", "--no-preserve", str(file), "web:given")  # an ordinary user's pods have one owner only
    lab.kubectl("cp", "web:given", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "from the host\n"


@contextmanager
def port_forward(lab: Lab, target: str, port: int) -> Iterator[int]:
    """kubectl port-forward; the local port."""
    forwarding = subprocess.Popen(
        ["kubectl", "-n", NAMESPACE, "port-forward", "--address=127.0.0.1", target, f":{port}"],
        env={**os.environ, "KUBECONFIG": str(lab.home.kubeconfig)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        said = forwarding.stdout.readline()
        yield int(re.search(r"127\.0\.0\.1:(\d+)", said)[1])
    finally:
        forwarding.kill()
        forwarding.wait()


@pytest.mark.parametrize(("target", "port"), [("pod/web", 8000), ("service/web", 80)])
def test_port_forward(lab: Lab, target: str, port: int) -> None:
    with port_forward(lab, target, port) as local:
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{local}/", timeout=10) as answer:
                assert answer.status == 200


def test_proxy(lab: Lab) -> None:
    base = f"/api/v1/namespaces/{NAMESPACE}"
    for path in ("pods/web:8000/proxy/", "pods/web/proxy/", "services/web/proxy/", "services/web:80/proxy/"):
        assert "Directory listing" in lab.kubectl("get", "--raw", f"{base}/{path}").stdout
    assert lab.kubectl("get", "--raw", "/api/v1/nodes/node-1/proxy/healthz").stdout == "ok"
    lab.core.create_namespaced_service(
        NAMESPACE, {"metadata": {"name": "lonely"}, "spec": {"selector": {"app": "nobody"}, "ports": [{"port": 80}]}}
    )
    nobody = lab.kubectl("get", "--raw", f"{base}/services/lonely/proxy/", check=False)
    assert 'no endpoints available for service "lonely"' in nobody.stderr
    unknown = lab.kubectl("get", "--raw", f"{base}/services/web:81/proxy/", check=False)
    assert 'no service port 81 found for service "web"' in unknown.stderr
    refused = lab.kubectl("get", "--raw", f"{base}/pods/web:8001/proxy/", check=False)
    assert "connect: connection refused" in refused.stderr
