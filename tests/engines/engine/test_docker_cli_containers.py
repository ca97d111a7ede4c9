"""The unchanged docker CLI on containers, as students type it; and an engine that is started again takes them back."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from engines.engine.conftest import SETTINGS, Running, component
from engines.engine.levels import isolated
from harness import eventually, levels_here
from kubelab.home import Home
from kubelab.runtime.api import Level

pytestmark = pytest.mark.requires("docker")
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(running: Running, tmp_path: Path) -> Iterator[Cli]:
    """Run the CLI to its end; afterwards no container is left. `terminal=True` gives it one."""
    env = os.environ | {"DOCKER_HOST": running.host, "DOCKER_CONFIG": str(tmp_path / "config"), "SHELL": "/bin/sh"}

    def run(*args: str, stdin: str = "", terminal: bool = False) -> subprocess.CompletedProcess[str]:
        argv = ["docker", *args]
        if terminal:
            argv = ["script", "-qec", shlex.join(argv), "/dev/null"]
        return subprocess.run(argv, env=env, input=stdin, capture_output=True, text=True, timeout=40, cwd=tmp_path)

    yield run
    if left := run("ps", "-aq").stdout.split():
        run("rm", "-f", *left)


def test_run_says_what_the_program_says(cli: Cli):
    done = cli("run", "--rm", "kubelab/python", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert cli("ps", "-aq").stdout == ""


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("kubelab/python", "nonesuch"), 127),
        (("kubelab/python", "/etc"), 126),
        (("--privileged", "kubelab/python"), 125),
    ],
)
def test_run_says_why_it_cannot(cli: Cli, options: tuple[str, ...], code: int):
    done = cli("run", "--rm", *options)
    assert done.returncode == code
    assert "Error response from daemon" in done.stderr
    assert cli("ps", "-aq").stdout == ""


def test_run_passes_stdin_to_its_end(cli: Cli):
    assert cli("run", "-i", "--rm", "kubelab/python", "cat", stdin="through\n").stdout == "through\n"


@pytest.mark.requires("script")
def test_run_with_a_terminal(cli: Cli):
    done = cli("run", "-it", "--rm", "kubelab/python", "sh", stdin="echo $((40 + 2))\nexit 3\n", terminal=True)
    assert done.returncode == 3
    assert "42" in done.stdout


def test_options_reach_the_program(cli: Cli):
    script = "import os; print(os.environ['OF'], os.path.basename(os.getcwd()))"
    options = ("-e", "OF=option", "-w", "/srv", "--entrypoint", "python3", "--name", "opted", "-l", "a=b")
    assert cli("run", *options, "kubelab/python", "-c", script).stdout == "option srv\n"
    shown = cli("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.Config.Labels.a}} {{.Name}}", "opted").stdout
    assert shown == "exited 0 b /opted\n"


def test_a_background_container_is_seen_entered_and_removed(cli: Cli):
    serve = ("kubelab/python", "python3", "-m", "http.server", "8000")
    identifier = cli("run", "-d", "--name", "web", "-p", "8000", "-w", "/srv", *serve)
    assert len(identifier.stdout.strip()) == 64
    line = cli("ps", "--format", "{{.Names}} {{.State}} {{.Ports}}").stdout
    assert line.startswith("web running 127.0.0.1:")
    assert line.endswith("->8000/tcp\n")
    address = cli("port", "web", "8000").stdout.splitlines()[0]
    eventually(lambda: _serves(address), "it serves")
    assert "GET / HTTP/1.1" in cli("logs", "web").stderr
    assert cli("exec", "web", "sh", "-c", "exit 5").returncode == 5
    assert "http.server" in cli("top", "web").stdout
    assert "web" in cli("stats", "--no-stream", "web").stdout
    assert cli("stop", "-t", "0", "web").stdout == "web\n"
    assert cli("ps", "-a", "--format", "{{.Status}}").stdout.startswith("Exited (")
    assert cli("rm", "web").stdout == "web\n"


@isolated
def test_cp_and_diff(cli: Cli, tmp_path: Path):
    (tmp_path / "given").mkdir()
    (tmp_path / "given/file").write_text("there and back")
    cli("run", "-d", "--name", "files", "kubelab/python", "sleep", "100")
    assert cli("cp", "given", "files:/srv/").returncode == 0
    assert cli("exec", "files", "cat", "/srv/given/file").stdout == "there and back"
    assert cli("cp", "files:/srv/given/file", "back").returncode == 0
    assert (tmp_path / "back").read_text() == "there and back"
    assert "A /srv/given/file" in cli("diff", "files").stdout
    missing = cli("cp", "files:/nonesuch", "back")
    assert "Could not find the file /nonesuch in container files" in missing.stderr


def test_an_engine_started_again_takes_running_containers_back(images: Path):
    level = Level(levels_here()[0])
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        home = Home(Path(folder)).ensure()
        home.images.rmdir()
        home.images.symlink_to(images)
        home.component_config("engine").write_text(json.dumps(SETTINGS[level]))
        with component(home, "kubelab.runtime", level):
            with component(home, "kubelab.engine", level):
                sdk = docker.DockerClient(base_url=f"unix://{home.docker_socket}")
                serve = ["python3", "-m", "http.server", "8000"]
                kept = sdk.containers.run(
                    "kubelab/python", serve, detach=True, ports={"8000/tcp": None}, working_dir="/srv"
                )
                ends = sdk.containers.run("kubelab/python", ["sleep", "1000"], detach=True)
                policies = {"killed": "unless-stopped", "stopped": "unless-stopped", "always": "always"}
                for name, policy in policies.items():
                    options = {"detach": True, "restart_policy": {"Name": policy}}
                    sdk.containers.run("kubelab/python", ["sleep", "1000"], name=name, **options)
                sdk.containers.get("stopped").stop(timeout=0)
                sdk.containers.get("always").stop(timeout=0)
                pids = [sdk.containers.get(each).attrs["State"]["Pid"] for each in (ends.id, "killed")]
            for pid in pids:
                os.kill(pid, 9)
            with component(home, "kubelab.engine", level):
                sdk = docker.DockerClient(base_url=f"unix://{home.docker_socket}")
                back = sdk.containers.get(kept.id)
                assert (back.status, back.name) == ("running", kept.name)
                port = back.ports["8000/tcp"][0]["HostPort"]
                eventually(lambda: _serves(f"127.0.0.1:{port}"), "its port is served again")
                assert sdk.containers.get(ends.id).wait()["StatusCode"] == 137
                for name in ("killed", "always"):
                    eventually(lambda name=name: sdk.containers.get(name).status == "running", f"{name} runs again")
                assert sdk.containers.get("killed").attrs["State"]["Pid"] not in pids
                assert sdk.containers.get("stopped").status == "exited"


def _serves(address: str) -> bool:
    try:
        return urllib.request.urlopen(f"http://{address}/", timeout=5).status == 200
    except OSError:
        return False
