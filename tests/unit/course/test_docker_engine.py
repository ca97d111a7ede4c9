"""Which Docker Engine is used: the variable, the picker, the default; and where a real one is looked for."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

from kubelab.home import Home
from kubelab.settings import docker_engine
from kubelab.settings.docker_engine import Address, Choice, NoEngine


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class Pong(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answer = b'{"ApiVersion": "1.41"}' if self.path == "/version" else b"OK"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def address_string(self) -> str:
        return ""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def real(tmp_path: Path):
    """A socket on which something answers as the SDK needs it."""
    path = tmp_path / "real.sock"
    with Server(str(path), Pong) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{path}"
        server.shutdown()


@pytest.fixture
def state(tmp_path: Path) -> Home:
    return Home(tmp_path / "state").ensure()


@pytest.fixture(autouse=True)
def no_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(docker_engine, "SOCKETS", ())
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


def test_the_variable_goes_before_the_picker_and_that_before_the_default(state: Home):
    assert docker_engine.chosen(state, {}).choice is Choice.EMBEDDED
    assert docker_engine.chosen(state, {"KUBELAB_CONTEXT": "mine"}).choice is Choice.HOST
    docker_engine.choose(state, Choice.AUTO)
    assert str(docker_engine.chosen(state, {})) == "auto (picked on the first page)"
    assert docker_engine.chosen(state, {"KUBELAB_DOCKER": "host"}).choice is Choice.HOST
    with pytest.raises(NoEngine, match="KUBELAB_DOCKER=real is none of auto, embedded, host"):
        docker_engine.chosen(state, {"KUBELAB_DOCKER": "real"})


def test_auto_takes_a_real_one_where_it_answers_and_host_insists(state: Home, real: str, tmp_path: Path):
    assert docker_engine.resolve(state, Choice.AUTO, {"DOCKER_HOST": real}) == Address(real, "DOCKER_HOST")
    away = {"DOCKER_HOST": f"unix://{tmp_path}/away.sock"}
    assert docker_engine.resolve(state, Choice.AUTO, away) == docker_engine.embedded(state)
    with pytest.raises(NoEngine, match=r"away\.sock \(DOCKER_HOST\): no such file or directory\. Next: start it"):
        docker_engine.resolve(state, Choice.HOST, away)
    with pytest.raises(NoEngine, match="neither DOCKER_HOST nor a socket in the usual places"):
        docker_engine.resolve(state, Choice.HOST, {})


def test_an_engine_that_accepts_and_is_silent_is_given_up(state: Home, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(docker_engine, "PING_TIMEOUT", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        address = Address(f"unix://{tmp_path}/silent.sock")
        assert docker_engine.answers(address) == "timed out"


def test_a_docker_host_is_the_only_place_and_the_lab_s_own_is_none(state: Home, real: str, monkeypatch, tmp_path: Path):
    (tmp_path / "usual.sock").touch()
    with socket.socket(socket.AF_UNIX) as usual:
        (tmp_path / "usual.sock").unlink()
        usual.bind(str(tmp_path / "usual.sock"))
        monkeypatch.setattr(docker_engine, "SOCKETS", ("$RUN/usual.sock",))
        found = list(docker_engine.places(state, {"DOCKER_HOST": real, "RUN": str(tmp_path)}))
        assert [each.url for each in found] == [real]
        ours = docker_engine.embedded(state).url
        found = list(docker_engine.places(state, {"DOCKER_HOST": ours, "RUN": str(tmp_path)}))
        assert [each.url for each in found] == [f"unix://{tmp_path}/usual.sock"]
        kept = {"DOCKER_HOST": ours, docker_engine.KEPT_HOST: real}
        assert [each.url for each in docker_engine.places(state, kept)] == [real]


def test_tls_of_docker_host_is_respected(state: Home):
    environ = {"DOCKER_HOST": "tcp://far:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certificates"}
    assert list(docker_engine.places(state, environ)) == [Address("tcp://far:2376", "DOCKER_HOST", "/certificates")]


def test_shells_get_the_engine_that_is_chosen_and_keep_the_user_s(state: Home, real: str):
    ours = docker_engine.embedded(state).url
    found = docker_engine.shell_variables(state, {"DOCKER_HOST": real})
    assert (found["DOCKER_HOST"], found[docker_engine.KEPT_HOST]) == (ours, real)
    docker_engine.choose(state, Choice.HOST)
    assert docker_engine.shell_variables(state, {**found, "DOCKER_HOST": ours})["DOCKER_HOST"] == real


def test_what_was_used_is_remembered_once_beside_the_choice(state: Home, real: str):
    for _ in range(2):
        docker_engine.note_use(state, Address(real))
    docker_engine.choose(state, Choice.HOST)
    assert docker_engine.used(state) == [Address(real)]
    (state.config / "docker.json").write_text("not json")
    assert (docker_engine.used(state), docker_engine.chosen(state, {}).choice) == ([], Choice.EMBEDDED)
