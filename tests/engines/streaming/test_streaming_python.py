"""The kubernetes client's stream and portforward modules, and logs as it watches them."""

from __future__ import annotations

import itertools

import pytest
from kubernetes import client, watch
from kubernetes.stream import portforward, stream

from engines.streaming.conftest import NAMESPACE, Lab


def exec_in(lab: Lab, command: list[str], **options):
    call = lab.core.connect_get_namespaced_pod_exec
    return stream(call, "web", NAMESPACE, command=command, stdout=True, stderr=True, tty=False, **options)


def test_exec_returns_the_output(lab: Lab) -> None:
    assert sorted(exec_in(lab, ["sh", "-c", "echo out; echo err >&2"], stdin=False).split()) == ["err", "out"]


def test_exec_talks_and_tells_the_exit_code(lab: Lab) -> None:
    session = exec_in(lab, ["sh"], stdin=True, _preload_content=False)
    session.write_stdin("echo talked\n")
    assert session.readline_stdout(timeout=10) == "talked"
    session.write_stdin("echo why >&2; exit 9\n")
    session.run_forever(timeout=10)
    assert session.read_stderr() == "why\n"
    assert session.returncode == 9


def test_exec_of_what_does_not_run(lab: Lab) -> None:
    with pytest.raises(client.ApiException) as refused:
        stream(lab.core.connect_get_namespaced_pod_exec, "nonesuch", NAMESPACE, command=["true"], stdout=True)
    assert refused.value.status in (0, 404)
    assert "404" in str(refused.value)


def test_port_forward_carries_and_tells_what_fails(lab: Lab) -> None:
    call = lab.core.connect_get_namespaced_pod_portforward
    forwarded = portforward(call, "web", NAMESPACE, ports="8000")
    connection = forwarded.socket(8000)
    connection.setblocking(True)
    connection.settimeout(10)
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.0 200 OK")
    assert forwarded.error(8000) is None
    closed = portforward(call, "web", NAMESPACE, ports="8001")
    nothing = closed.socket(8001)
    nothing.setblocking(True)
    nothing.settimeout(10)
    assert nothing.recv(1) == b""
    assert "connection refused" in closed.error(8001)


def test_logs_are_watched(lab: Lab) -> None:
    lines = watch.Watch().stream(lab.core.read_namespaced_pod_log, "web", NAMESPACE)
    assert next(itertools.islice(lines, 1)).startswith("Serving HTTP on")


def test_proxy_reads_a_path(lab: Lab) -> None:
    exec_in(lab, ["sh", "-c", "mkdir -p sub; echo found > sub/file.txt"], stdin=False)
    found = lab.core.connect_get_namespaced_pod_proxy_with_path("web:8000", NAMESPACE, "sub/file.txt")
    assert found == "found\n"
