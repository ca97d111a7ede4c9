"""The unchanged docker CLI on the embedded engine and on dockerd: the same commands, the same answers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from engines.engine.real_engine import BASE, tidy
from harness import eventually

pytestmark = pytest.mark.requires("docker")
Cli = Callable[..., str]


@pytest.fixture(params=["embedded", pytest.param("host", marks=pytest.mark.requires("dockerd"))])
def cli(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cli]:
    """What the CLI says on one engine after the other; with `fails`, what it says why not, and with which code."""
    host = request.getfixturevalue("embedded_engine" if request.param == "embedded" else "real_engine").host
    env = os.environ | {"DOCKER_HOST": host, "DOCKER_CONFIG": str(tmp_path / "config")}

    def run(*args: str, fails: int = 0) -> str:
        done = subprocess.run(["docker", *args], env=env, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert done.returncode == fails, done
        return (done.stderr if fails else done.stdout).strip()

    yield run
    with contextlib.closing(docker.DockerClient(base_url=host, timeout=60)) as client:
        tidy(client)
        for network in client.networks.list(filters={"type": "custom"}):
            network.remove()
        for volume in client.volumes.list():
            volume.remove(force=True)


def background(cli: Cli, name: str, *options: str, command: tuple[str, ...] = ("sleep", "100")) -> None:
    assert len(cli("run", "-d", "--name", name, *options, BASE, *command)) == 64


def shown(cli: Cli, name: str, field: str) -> str:
    return cli("inspect", "-f", "{{" + field + "}}", name)


# -- volumes, networks


def test_volume(cli: Cli):
    assert cli("volume", "create", "--label", "a=b", "data") == "data"
    assert cli("volume", "ls", "--format", "{{.Driver}} {{.Name}}", "-f", "label=a") == "local data"
    cli("run", "--rm", "-v", "data:/data", BASE, "sh", "-c", "echo kept > /data/file")
    assert cli("run", "--rm", "--mount", "type=volume,src=data,dst=/d,ro", BASE, "cat", "/d/file") == "kept"
    background(cli, "user", "-v", "data:/data")
    assert "volume is in use - [" in cli("volume", "rm", "data", fails=1)
    cli("rm", "-f", "user")
    assert cli("volume", "rm", "data") == "data"
    assert "get data: no such volume" in cli("volume", "inspect", "data", fails=1)


def test_network(cli: Cli):
    assert len(cli("network", "create", "--subnet", "10.79.0.0/24", "own")) == 64
    assert cli("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "own") == "10.79.0.0/24"
    background(cli, "server", "--network", "own", "--ip", "10.79.0.7", "--network-alias", "friend")
    assert shown(cli, "server", ".NetworkSettings.Networks.own.IPAddress") == "10.79.0.7"
    cli("network", "connect", "bridge", "server")
    networks = "range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end"
    assert shown(cli, "server", networks).split() == ["bridge", "own"]
    cli("network", "disconnect", "bridge", "server")
    assert shown(cli, "server", networks).split() == ["own"]
    assert "has active endpoints" in cli("network", "rm", "own", fails=1)
    cli("stop", "-t", "0", "server")
    assert shown(cli, "server", ".NetworkSettings.Networks.own.IPAddress") == ""
    assert cli("network", "rm", "own") == "own"
    assert " not found" in cli("start", "server", fails=1)  # dockerd names its ID, which is gone


# -- a container's life


def test_pause_rename_update_wait(cli: Cli):
    background(cli, "one", "--memory", "64m", "--memory-swap", "64m")
    assert cli("pause", "one") == "one"
    assert cli("ps", "--format", "{{.Status}}").endswith("(Paused)")
    assert "is already paused" in cli("pause", "one", fails=1)
    assert "is paused, unpause the container before exec" in cli("exec", "one", "true", fails=1)
    cli("unpause", "one")
    cli("rename", "one", "two")
    assert "No such container: one" in cli("pause", "one", fails=1)
    cli("update", "--memory", "96m", "--memory-swap", "128m", "--restart", "on-failure:3", "two")
    limits = shown(cli, "two", ".HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.RestartPolicy.Name")
    assert limits == f"{96 << 20} {128 << 20} on-failure"
    cli("kill", "-s", "KILL", "two")
    cli("update", "--restart", "no", "two")
    assert cli("wait", "two") == "137"


def test_restart_policy_and_exit_code(cli: Cli):
    background(cli, "again", "--restart", "on-failure:2", command=("sh", "-c", "exit 9"))
    eventually(lambda: shown(cli, "again", ".State.Status") == "exited", "it is given up")
    assert shown(cli, "again", ".RestartCount}} {{.State.ExitCode") == "2 9"


def test_health(cli: Cli):
    background(cli, "ill", "--health-cmd", "echo ill; exit 1", "--health-interval", "200ms", "--health-retries", "2")
    eventually(lambda: "(unhealthy)" in cli("ps", "--format", "{{.Status}}"), "it is unhealthy")
    assert shown(cli, "ill", "(index .State.Health.Log 0).Output") == "ill"
    assert cli("ps", "-q", "--no-trunc", "-f", "health=unhealthy") == shown(cli, "ill", ".Id")


def test_stats_and_top(cli: Cli):
    background(cli, "busy", "--memory", "64m")
    name, memory, pids = cli("stats", "--no-stream", "--format", "{{.Name}}|{{.MemUsage}}|{{.PIDs}}").split("|")
    assert (name, memory.split(" / ")[1], pids) == ("busy", "64MiB", "1")
    lines = cli("top", "busy", "-o", "pid,args").splitlines()
    assert lines[0].split() == ["PID", "COMMAND"]
    assert [line.split()[-2:] for line in lines[1:]] == [["sleep", "100"]]
    assert cli("top", "busy").splitlines()[0].split()[:3] == ["UID", "PID", "PPID"]


def test_publish_all(cli: Cli):
    background(cli, "open", "-P", "--expose", "8080", "--expose", "5353/udp")
    ports = dict(line.split(" -> ") for line in cli("port", "open").splitlines() if "[::]" not in line)
    assert set(ports) == {"8080/tcp", "5353/udp"}
    assert all(int(binding.rpartition(":")[2]) > 0 for binding in ports.values())


# -- files, logs, events


def test_cp_both_ways(cli: Cli, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("there and back")
    background(cli, "files")
    cli("cp", "folder", "files:/srv")
    assert cli("exec", "files", "cat", "/srv/folder/file") == "there and back"
    cli("cp", "files:/srv/folder/.", "out")
    assert (tmp_path / "out/file").read_text() == "there and back"
    assert "Could not find the file /nonesuch in container files" in cli("cp", "files:/nonesuch", ".", fails=1)
    cli("cp", "folder/file", "files:/srv/renamed")
    assert cli("exec", "files", "cat", "/srv/renamed") == "there and back"


def test_a_log_that_is_not_kept_and_one_that_is_cut(cli: Cli):
    background(cli, "mute", "--log-driver", "none", command=("echo", "hello"))
    cli("wait", "mute")
    assert "configured logging driver does not support reading" in cli("logs", "mute", fails=1)
    count = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done"
    background(cli, "cut", "--log-opt", "max-size=2k", "--log-opt", "max-file=2", command=("sh", "-c", count))
    cli("wait", "cut")
    lines = cli("logs", "cut").splitlines()
    assert lines[-1] == "line 299"
    assert 10 < len(lines) < 200
    assert cli("logs", "-n", "3", "cut").splitlines() == ["line 297", "line 298", "line 299"]
    assert "unknown log opt 'foo'" in cli("create", "--log-opt", "foo=1", BASE, "true", fails=1)
    for option, why in (("max-size=foo", "invalid size: 'foo'"), ("max-file=0", "max-file cannot be less than 1")):
        said = cli("run", "--rm", "--log-opt", option, BASE, "true", fails=125)
        assert f"failed to initialize logging driver: {why}" in said


def test_events_since_and_until(cli: Cli):
    since = time.time() - 0.1
    background(cli, "told")
    cli("rm", "-f", "told")
    seen = cli(
        "events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}", "-f", "container=told", "-f",
        "type=container", "--format", "{{.Action}}",
    )  # fmt: skip
    assert seen.split() == ["create", "start", "kill", "die", "destroy"]


def test_system_df_and_info(cli: Cli):
    cli("volume", "create", "data")
    background(cli, "user", "-v", "data:/data")
    lines = {line.split("|")[0]: line.split("|")[1:] for line in cli(
        "system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}"
    ).splitlines()}  # fmt: skip
    assert lines["Local Volumes"] == lines["Containers"] == ["1", "1"]
    cli("pause", "user")
    counts = cli("info", "-f", "{{.ContainersRunning}} {{.ContainersPaused}} {{.ContainersStopped}}")
    assert counts == "0 1 0"
    cli("unpause", "user")


def test_a_domain_name(cli: Cli):
    said = cli("run", "--rm", "--hostname", "web", "--domainname", "lab.example", BASE, "sh", "-c",
               "cat /proc/sys/kernel/domainname; grep web /etc/hosts")  # fmt: skip
    domain, hosts = said.splitlines()
    assert domain == "lab.example"
    assert hosts.split()[1:] == ["web.lab.example", "web"]
