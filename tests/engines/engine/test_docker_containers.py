"""Containers through the unchanged docker SDK: life, output, exec, ports, copies, and what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator

import docker
import pytest
import requests
from docker.models.containers import Container

from engines.engine.conftest import Running
from engines.engine.levels import REAL, isolated

IMAGE = "kubelab/python"
DEADLINE = 15.0  # seconds
embedded_only = pytest.mark.skipif(bool(REAL), reason="a real dockerd serves this")


@pytest.fixture
def containers(client: docker.DockerClient) -> Iterator[docker.models.containers.ContainerCollection]:
    """Those of the engine; afterwards none is left."""
    yield client.containers
    for container in client.containers.list(all=True):
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True)


def eventually(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE} s: {what}"
        time.sleep(0.02)


def run(containers, *argv: str, **options) -> Container:
    return containers.run(IMAGE, list(argv), detach=True, **options)


# -- life


def test_run_returns_output_and_an_exit_code_is_an_error(containers):
    assert containers.run(IMAGE, ["echo", "hello"], remove=True) == b"hello\n"
    with pytest.raises(docker.errors.ContainerError) as failed:
        containers.run(IMAGE, ["sh", "-c", "echo why >&2; exit 7"], remove=True)
    assert (failed.value.exit_status, failed.value.stderr) == (7, b"why\n")


def test_inspect_follows_a_container_through_its_life(containers):
    container = containers.create(IMAGE, ["sleep", "100"], name="lived", labels={"a": "b"})
    assert (container.status, container.attrs["Name"], container.labels["a"]) == ("created", "/lived", "b")
    container.start()
    container.reload()
    state = container.attrs["State"]
    assert (state["Status"], state["Running"]) == ("running", True)
    assert state["Pid"] > 0
    assert container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    container.kill()
    container.reload()
    assert (container.status, container.attrs["State"]["ExitCode"]) == ("exited", 137)
    container.remove()
    with pytest.raises(docker.errors.NotFound, match="No such container: lived"):
        containers.get("lived")


@pytest.mark.parametrize(
    ("program", "code", "why"),
    [("nonesuch", 127, "executable file not found"), ("/etc", 126, "is a directory|permission denied")],
)
def test_a_program_that_cannot_be_started(containers, program: str, code: int, why: str):
    container = containers.create(IMAGE, [program])
    with pytest.raises(docker.errors.APIError, match=why) as refused:
        container.start()
    assert refused.value.status_code == 400
    container.reload()
    assert (container.status, container.attrs["State"]["ExitCode"]) == ("created", code)


def test_stop_sends_the_stop_signal_then_kills(containers):
    polite = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); print('up', flush=True); "
        "[signal.pause() for _ in iter(int, 1)]"
    )
    container = run(containers, "python3", "-c", polite)
    eventually(lambda: container.logs() == b"up\n", "the handler is there")
    container.stop(timeout=10)
    assert container.wait()["StatusCode"] == 3
    stubborn = run(containers, "python3", "-c", polite.replace("sys.exit(3)", "print('no')"))
    eventually(lambda: stubborn.logs() == b"up\n", "the handler is there")
    stubborn.stop(timeout=0)
    assert stubborn.wait()["StatusCode"] == 137


def test_wait_is_answered_at_the_next_end(containers, client):
    container = containers.create(IMAGE, ["sh", "-c", "exit 5"])
    found: list[int] = []
    waiting = threading.Thread(target=lambda: found.append(container.wait(condition="next-exit")["StatusCode"]))
    waiting.start()
    eventually(lambda: container.status == "created" and waiting.is_alive(), "somebody waits")
    container.start()
    waiting.join(DEADLINE)
    assert found in ([5], [])
    assert container.wait()["StatusCode"] == 5


def test_a_stopped_container_starts_again_with_its_files(containers):
    container = run(containers, "sh", "-c", "cat kept 2>/dev/null; echo was here > kept", working_dir="/srv")
    container.wait()
    assert container.logs() == b""
    container.start()
    container.wait()
    assert container.logs() == b"was here\n"


def test_auto_remove(containers):
    container = run(containers, "true", auto_remove=True)
    with contextlib.suppress(docker.errors.NotFound):
        container.wait(condition="removed")
    eventually(lambda: not containers.list(all=True), "it has removed itself")


def test_a_running_container_is_removed_by_force_only(containers):
    container = run(containers, "sleep", "100")
    with pytest.raises(docker.errors.APIError, match="running") as refused:
        container.remove()
    assert refused.value.status_code == 409
    container.remove(force=True)
    assert containers.list(all=True) == []


def test_a_name_is_taken_once_and_can_be_changed(containers):
    container = containers.create(IMAGE, ["true"], name="one")
    with pytest.raises(docker.errors.APIError, match='The container name "/one" is already in use') as conflict:
        containers.create(IMAGE, ["true"], name="one")
    assert conflict.value.status_code == 409
    container.rename("two")
    assert containers.get("two").id == container.id
    assert containers.get(container.id[:8]).id == container.id
    assert "_" in containers.create(IMAGE, ["true"]).name


def test_kill_wants_a_running_container(containers):
    container = containers.create(IMAGE, ["true"])
    with pytest.raises(docker.errors.APIError, match="is not running") as refused:
        container.kill()
    assert refused.value.status_code == 409


# -- ps


def test_ps_filters(containers, client):
    running = run(containers, "sleep", "100", name="up", labels={"tier": "web"})
    ended = run(containers, "sh", "-c", "exit 3", name="down")
    ended.wait()
    eventually(lambda: containers.get("down").status == "exited", "it has ended")

    def names(**options) -> set[str]:
        return {container.name for container in containers.list(**options)}

    assert names() == {"up"}
    assert names(all=True) == {"up", "down"}
    assert names(filters={"status": "exited"}) == {"down"}
    assert names(all=True, filters={"label": "tier=web"}) == {"up"}
    assert names(all=True, filters={"id": running.short_id}) == {"up"}
    assert names(all=True, filters={"name": "ow"}) == {"down"}
    assert names(all=True, filters={"ancestor": IMAGE}) == {"up", "down"}
    assert names(all=True, filters={"exited": "3"}) == {"down"}
    assert names(limit=1, all=True) == {"down"}
    lines = {line["Names"][0]: line for line in client.api.containers(all=True)}
    assert lines["/down"]["Status"].startswith("Exited (3) ")
    assert lines["/up"]["Status"].startswith("Up ")


# -- output and input


def test_logs_tell_streams_and_lines(containers):
    container = run(containers, "sh", "-c", "echo out; echo err >&2; printf unfinished")
    container.wait()
    assert container.logs(stderr=False) == b"out\nunfinished"
    assert container.logs(stdout=False) == b"err\n"
    assert container.logs(stderr=False, tail=1) == b"unfinished"
    stamped = container.logs(stdout=False, timestamps=True).decode()
    assert stamped.endswith("Z err\n")
    assert container.logs(since=int(time.time()) + 100) == b""


def test_logs_follow_to_the_end(containers):
    container = run(containers, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done")
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"


def test_attach_gives_stdin_and_its_end(containers, client):
    container = containers.create(IMAGE, ["cat"], stdin_open=True)
    attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    raw = attached._sock
    raw.settimeout(DEADLINE)
    raw.sendall(b"through\n")
    assert _frame(raw) == (1, b"through\n")
    container.kill()
    attached.close()


def test_a_terminal_is_one_stream(containers):
    container = run(containers, "python3", "-c", "import os, sys; print(sys.stdin.isatty(), os.isatty(2))", tty=True)
    container.wait()
    assert container.logs() == b"True True\r\n"


def _frame(raw: socket.socket) -> tuple[int, bytes]:
    head = _exactly(raw, 8)
    return head[0], _exactly(raw, int.from_bytes(head[4:], "big"))


def _exactly(raw: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = raw.recv(count - len(data))
        assert more, f"the stream ended after {data!r}"
        data += more
    return data


# -- exec


def test_exec_keeps_streams_and_exit_code_apart(containers):
    container = run(containers, "sleep", "100", environment={"OF": "container"})
    done = container.exec_run(
        ["sh", "-c", "echo $OF $MORE; echo err >&2; exit 3"], environment={"MORE": "exec"}, demux=True
    )
    assert (done.exit_code, done.output) == (3, (b"container exec\n", b"err\n"))


def test_exec_in_the_background_and_of_nothing(containers, client):
    container = run(containers, "sleep", "100", working_dir="/srv")
    container.exec_run(["sh", "-c", "echo made > made"], detach=True)
    eventually(lambda: container.exec_run(["cat", "made"]).output == b"made\n", "the file is there")
    missing = container.exec_run(["nonesuch"])
    assert missing.exit_code in ((126, 127) if REAL else (127,))  # dockerd said 126 until version 23
    assert b"executable file not found in $PATH" in missing.output
    container.kill()
    with pytest.raises(docker.errors.APIError, match="is not running") as refused:
        container.exec_run(["true"])
    assert refused.value.status_code == 409


def test_exec_gets_stdin_and_its_end(containers, client):
    container = run(containers, "sleep", "100")
    made = client.api.exec_create(container.id, ["cat"], stdin=True)["Id"]
    attached = client.api.exec_start(made, socket=True)
    raw = attached._sock
    raw.settimeout(DEADLINE)
    raw.sendall(b"to and fro")
    raw.shutdown(socket.SHUT_WR)
    assert _frame(raw) == (1, b"to and fro")
    assert raw.recv(1) == b""
    attached.close()
    assert client.api.exec_inspect(made)["ExitCode"] == 0


# -- looking inside


def test_top_and_stats(containers):
    container = run(containers, "sleep", "100")
    top = container.top()
    assert top["Titles"][1] == "PID"
    assert top["Processes"][0][-1] == "sleep 100"
    stats = container.stats(stream=False)
    assert stats["memory_stats"]["usage"] > 0
    assert stats["cpu_stats"]["online_cpus"] > 0
    assert stats["precpu_stats"]["system_cpu_usage"] <= stats["cpu_stats"]["system_cpu_usage"]


@isolated
def test_diff_tells_added_changed_deleted(containers):
    container = run(containers, "sh", "-c", "echo x > /added; echo y >> /etc/passwd; rm /etc/group")
    container.wait()
    assert sorted(container.diff(), key=lambda change: change["Path"]) == [
        {"Path": "/added", "Kind": 1},
        {"Path": "/etc", "Kind": 0},
        {"Path": "/etc/group", "Kind": 2},
        {"Path": "/etc/passwd", "Kind": 0},
    ]


@isolated
@pytest.mark.parametrize("start", [True, False], ids=["running", "created"])
def test_files_are_copied_in_and_out(containers, start: bool):
    container = containers.create(IMAGE, ["sleep", "100"])
    if start:
        container.start()
    assert container.put_archive("/tmp", _tar("given", b"from outside"))
    if start:
        assert container.exec_run(["cat", "/tmp/given"]).output == b"from outside"
    stream, described = container.get_archive("/tmp/given")
    assert (described["name"], described["size"]) == ("given", 12)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        assert tar.extractfile("given").read() == b"from outside"
    with pytest.raises(docker.errors.NotFound, match="Could not find the file /nonesuch"):
        container.get_archive("/nonesuch")


def _tar(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


@isolated
def test_a_folder_is_bound(containers, tmp_path):
    (tmp_path / "given").write_text("from the host")
    bound = {str(tmp_path): {"bind": "/bound", "mode": "ro"}}
    assert containers.run(IMAGE, ["cat", "/bound/given"], volumes=bound, remove=True) == b"from the host"
    with pytest.raises(docker.errors.ContainerError, match=r"(?i)read-only file system"):
        containers.run(IMAGE, ["sh", "-c", "echo x > /bound/new"], volumes=bound, remove=True)


def test_a_memory_limit_ends_in_oomkilled(containers):
    hungry = "import time; held = bytearray(100 << 20); time.sleep(60)"
    container = run(containers, "python3", "-c", hungry, mem_limit="32m")
    assert container.wait(timeout=DEADLINE)["StatusCode"] == 137
    container.reload()
    assert container.attrs["State"]["OOMKilled"] is True


# -- the network


def test_a_published_port_is_served_on_the_loopback(containers):
    container = run(containers, "python3", "-m", "http.server", "8000", ports={"8000/tcp": None}, working_dir="/srv")
    container.reload()
    binding = container.ports["8000/tcp"][0]
    port = int(binding["HostPort"])
    eventually(lambda: _answers(port), "the server answers")
    with pytest.raises(docker.errors.APIError, match="port is already allocated"):
        run(containers, "sleep", "100", ports={"8000/tcp": port})
    container.kill()
    eventually(lambda: not _answers(port), "the port is closed")


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return answer.status == 200
    except (OSError, ValueError):
        return False


# -- events, refusals, restarts


def test_events_tell_a_containers_life(containers, client):
    since = time.time() - 1
    container = run(containers, "sh", "-c", "exit 4", name="eventful")
    container.wait()
    eventually(lambda: containers.get("eventful").status == "exited", "it has ended")
    container.remove()
    seen = [
        event
        for event in client.events(since=since, until=time.time() + 1, decode=True)
        if event.get("id") == container.id
    ]
    actions = [event["Action"] for event in seen]
    assert [action for action in actions if action in ("create", "start", "die", "destroy")] == [
        "create",
        "start",
        "die",
        "destroy",
    ]
    die = seen[actions.index("die")]
    assert die["Actor"]["Attributes"]["exitCode"] == "4"


@embedded_only
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"privileged": True}, "HostConfig.Privileged is not supported"),
        ({"devices": ["/dev/null:/dev/x"]}, "HostConfig.Devices is not supported"),
        ({"pid_mode": "host"}, "HostConfig.PidMode is not supported"),
        ({"volumes": {"/etc": {"bind": "/x"}}}, "cannot bind /etc: this engine binds only what is below"),
        ({"ports": {"53/sctp": 5353}}, "publishes TCP and UDP ports only"),
        ({"ports": {"80/tcp": ("192.0.2.1", 8080)}}, "the loopback only"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_not_served_is_refused_by_name(containers, options: dict, words: str):
    with pytest.raises(docker.errors.APIError, match=words) as refused:
        containers.create(IMAGE, ["true"], **options)
    assert refused.value.status_code == 400
    assert containers.list(all=True) == []


def test_an_image_that_is_not_there(client, running: Running):
    # as the API answers: the SDK and the CLI would go and pull it
    with pytest.raises(docker.errors.ImageNotFound, match="No such image: nonesuch:latest"):
        client.api.create_container("nonesuch", ["true"])


def test_prune_removes_what_does_not_run(containers, client):
    kept = run(containers, "sleep", "100")
    ended = run(containers, "true")
    ended.wait()
    eventually(lambda: containers.get(ended.id).status == "exited", "it has ended")
    assert client.containers.prune()["ContainersDeleted"] == [ended.id]
    assert [container.id for container in containers.list(all=True)] == [kept.id]


def test_the_body_of_a_request_must_be_json(client):
    answer = requests.Session.post(client.api, client.api._url("/containers/create"), data="no json", timeout=DEADLINE)
    assert answer.status_code == 400
    assert "message" in json.loads(answer.text)
