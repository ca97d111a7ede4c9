"""`kubelab lab`: Ctrl-C ends what it started, and nothing else."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from harness import eventually, kubelab, left_over
from kubelab.supervisor import pids

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lab(home, images, tmp_path):
    """start() -> a running `kubelab lab`, and the URL that it printed."""
    home.images.rmdir()
    home.images.symlink_to(images)
    processes = []

    def start():
        log = tmp_path / f"{len(processes)}.log"
        command = [sys.executable, "-m", "kubelab.cli", "lab", "--", "--no-browser"]
        environment = {**os.environ, "KUBELAB_HOME": str(home.path), "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True
            )
        processes.append(process)
        address = re.compile(r"http://localhost:\d+/lab/tree/notebooks/00_start_here\.ipynb\?token=\w+")
        eventually(lambda: process.poll() is not None or address.search(log.read_text()), "the URL is printed", 60)
        assert process.poll() is None, log.read_text()
        return process, address.search(log.read_text())[0]

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    kubelab(home, "down")


def ctrl_c(process):
    """What a terminal does: SIGINT to every process in the foreground."""
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 0


def test_ctrl_c_ends_lab_and_engines(home, lab):
    process, url = lab()
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200
    assert kubelab(home, "status").returncode == 0
    ctrl_c(process)
    assert left_over(home) == []


def test_engines_that_were_up_stay_up(home, lab):
    kubelab(home, "up", "--profile", "class")
    before = pids.read(home.run / "supervisor.pid")
    process, _ = lab()
    ctrl_c(process)
    assert pids.read(home.run / "supervisor.pid") == before
    assert not [each for each in left_over(home) if "jupyter" in each]


def test_a_killed_lab_takes_jupyterlab_along(home, lab):
    process, _ = lab()
    process.kill()
    process.wait()
    eventually(lambda: not [each for each in left_over(home) if "jupyter" in each], "JupyterLab is gone")
