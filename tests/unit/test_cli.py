"""The command without engines: what it answers, and how it refuses."""

import json
import socket
import subprocess

import pytest

from harness import kubelab
from kubelab import cli
from kubelab.home import Home


def test_env_is_for_eval(home):
    home = Home(home.path / "with blank")
    line = kubelab(home, "env").stdout
    script = f'{line}printf "%s\\n%s" "$KUBECONFIG" "$DOCKER_HOST"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout.splitlines() == [
        str(home.kubeconfig),
        f"unix://{home.docker_socket}",
    ]


def test_status_without_engines(home):
    done = kubelab(home, "status", check=False)
    assert (done.returncode, done.stdout) == (3, "engines are not running; start them with `kubelab up`\n")
    done = kubelab(home, "status", "--json", check=False)
    assert (done.returncode, json.loads(done.stdout)) == (3, {"running": False, "home": str(home.path)})


def test_down_without_engines_is_no_error(home):
    assert kubelab(home, "down").stdout == "engines were not running\n"


def test_a_home_too_long_for_a_socket_is_refused_with_the_next_step(home):
    far = Home(home.path / ("x" * 100))
    done = kubelab(far, "up", check=False)
    assert done.returncode == 1
    assert "too long for a unix socket (107 bytes at most)" in done.stderr
    assert "set KUBELAB_HOME to a shorter path" in done.stderr
    assert not far.path.exists()


@pytest.mark.parametrize("arguments", [("node", "stop", "node-1"), ("restart", "engine")])
def test_what_needs_engines_says_so(home, arguments):
    done = kubelab(home, *arguments, check=False)
    assert (done.returncode, done.stderr) == (1, "kubelab: the engines are not running. Next: `kubelab up`.\n")


def test_a_socket_that_nobody_serves_is_as_none(home):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.supervisor_socket))
    assert "not running" in kubelab(home, "restart", "engine", check=False).stderr


def test_reset_asks_first(home):
    (home.images / "blob").write_text("precious")
    done = kubelab(home, "reset", check=False)
    assert done.returncode == 1
    assert "--yes" in done.stderr
    assert (home.images / "blob").exists()


def test_reset_removes_the_state(home):
    assert kubelab(home, "reset", "--yes").stdout == f"removed {home.path}\n"
    assert not home.path.exists()
    assert kubelab(home, "reset", "--yes").stdout == f"nothing to remove at {home.path}\n"
    home.ensure()


def test_logs_names_those_that_exist(home):
    (home.log / "engine.log").write_text("a line\n")
    assert kubelab(home, "logs", "engine").stdout == "a line\n"
    assert "there are: engine" in kubelab(home, "logs", "docker", check=False).stderr


def test_a_profile_that_does_not_exist(capsys):
    with pytest.raises(SystemExit) as refused:
        cli.main(["up", "--profile", "fast"])
    assert refused.value.code == 2
    assert "invalid choice: 'fast' (choose from 'upstream', 'class')" in capsys.readouterr().err


def test_doctor_without_engines(home):
    found = json.loads(kubelab(home, "doctor", "--json").stdout)
    topics = {each["topic"]: each for each in found}
    assert topics["supervisor"]["state"] == "note"
    assert topics["supervisor"]["advice"] == "Run `kubelab up`."
    assert topics["tried"]["text"]
    assert "jupyterlab" in topics["packages"]["text"]


def test_doctor_fails_where_the_state_cannot_be_written(home):
    (home.path / "file").touch()
    done = kubelab(Home(home.path / "file" / "state"), "doctor", check=False)
    assert done.returncode == 1
    assert "Set KUBELAB_HOME to a folder of yours." in done.stdout


def test_the_command_is_quick_to_load():
    """Nothing that takes long is loaded before it is needed."""
    code = "import sys, kubelab.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    import sys

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    assert not {"asyncio", "aiohttp", "kubernetes", "docker", "cryptography", "yaml", "psutil"} & set(loaded)
