"""The unchanged docker CLI, as students type it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from engines.engine.conftest import Running

pytestmark = pytest.mark.requires("docker")


@pytest.fixture
def docker_cli(running: Running, client, tmp_path: Path):
    env = os.environ | {"DOCKER_HOST": running.host, "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(tmp_path / "config")}

    def run(*args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(["docker", *args], env=env, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


def test_build_history_images_rmi(docker_cli, tmp_path: Path):
    context = tmp_path / "app"
    context.mkdir()
    (context / "Dockerfile").write_text('FROM kubelab/python\nWORKDIR app\nCOPY . .\nCMD ["python", "app.py"]\n')
    (context / "app.py").write_text("print('hello')\n")
    (context / ".dockerignore").write_text("secret\nDockerfile\n")
    (context / "secret").write_text("not for the image\n")
    built = docker_cli("build", "-t", "app:1", "app").stdout
    assert "Step 4/4 : CMD" in built
    assert "Successfully tagged app:1" in built
    assert "Using cache" in docker_cli("build", "-t", "app:1", "app").stdout
    history = docker_cli("history", "--no-trunc", "--format", "{{.CreatedBy}}", "app:1").stdout.splitlines()
    assert history[0] == '/bin/sh -c #(nop)  CMD ["python" "app.py"]'
    assert history[1].startswith("/bin/sh -c #(nop) COPY dir:")
    assert "app:1" in docker_cli("images", "--format", "{{.Repository}}:{{.Tag}}").stdout
    assert docker_cli("inspect", "--format", "{{.Config.WorkingDir}}", "app:1").stdout == "/app\n"
    docker_cli("tag", "app:1", "app:2")
    assert docker_cli("rmi", "app:2").stdout == "Untagged: app:2\n"


def test_save_rmi_load(docker_cli, tmp_path: Path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    docker_cli("build", "-q", "-t", "kept", ".")
    docker_cli("save", "-o", "kept.tar", "kept")
    docker_cli("rmi", "kept")
    assert docker_cli("load", "-i", "kept.tar").stdout == "Loaded image: kept:latest\n"


def test_failed_build_ends_with_the_programs_code(docker_cli, tmp_path: Path):
    (tmp_path / "Dockerfile").write_text("FROM kubelab/python\nRUN exit 7\n")
    failed = docker_cli("build", ".", check=False)
    assert failed.returncode == 7
    assert failed.stderr.endswith("The command '/bin/sh -c exit 7' returned a non-zero code: 7\n")


def test_error_of_the_engine_is_shown_as_text(docker_cli):
    failed = docker_cli("rmi", "nosuch", check=False)
    assert failed.stderr.strip().endswith("No such image: nosuch:latest")
    assert "{" not in failed.stderr


def test_info_and_version(docker_cli):
    assert docker_cli("version", "--format", "{{.Server.Os}}").stdout == "linux\n"
    assert docker_cli("info", "--format", "{{.OSType}}").stdout == "linux\n"
