"""A real dockerd for tests that hold the embedded engine to it: its own data, socket, containerd and bridge.

It runs where `dockerd` is on PATH and one is root, and nothing of it is left: no bridge, mount, process or file. Both
engines get the same base image from the same tar (`BASE`), so what is built on it can be compared digest by digest.

The fixtures are in conftest.py: `engine_client` is the docker SDK on one engine after the other, `both_engines` on both
at once, `real_engine` the dockerd. Outside of this folder: `with running_dockerd() as engine`.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker

from kubelab.images import base

BASE = "kl/base:latest"  # a shell and small tools, imported into either engine
DEADLINE = 60  # seconds; dockerd starts a containerd first
_BRIDGES = range(100, 250)  # the third byte of 10.213.x.0/24: the first that is free


@dataclass(frozen=True)
class RealEngine:
    """A dockerd of our own. `log` is its file of messages, for a test that fails."""

    host: str
    folder: Path
    log: Path


@contextlib.contextmanager
def running_dockerd(*options: str) -> Iterator[RealEngine]:
    """Start a dockerd with containers on a bridge of its own, without touching the host's firewall."""
    folder = Path(tempfile.mkdtemp(prefix="kl-dockerd-", dir="/tmp"))
    bridge = _make_bridge()
    engine = RealEngine(f"unix://{folder}/docker.sock", folder, folder / "dockerd.log")
    command = [
        "dockerd",
        "--config-file=", f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid",
        f"--host={engine.host}", f"--bridge={bridge}", "--iptables=false", "--ip6tables=false", "--ip-masq=false",
        "--max-concurrent-uploads=5", *options,
    ]  # fmt: skip
    with engine.log.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        _until_it_answers(engine, process)
        yield engine
    finally:
        _stop(process, folder)
        subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _make_bridge() -> str:
    for number in _BRIDGES:
        name = f"kl-br{number}"
        if subprocess.run(["ip", "link", "add", name, "type", "bridge"], capture_output=True).returncode == 0:
            subprocess.run(["ip", "address", "add", f"10.213.{number}.1/24", "dev", name], check=True)
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
            return name
    raise AssertionError("no bridge can be made for a dockerd")


def _until_it_answers(engine: RealEngine, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + DEADLINE
    while True:
        assert process.poll() is None, f"dockerd ended: {engine.log.read_text()[-3000:]}"
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as trial:
            trial.connect(engine.host.removeprefix("unix://"))
            break
        assert time.monotonic() < end, f"dockerd does not answer: {engine.log.read_text()[-3000:]}"
        time.sleep(0.05)
    with contextlib.closing(docker.DockerClient(base_url=engine.host)) as client:
        assert client.ping()


def _stop(process: subprocess.Popen[bytes], folder: Path) -> None:
    process.terminate()
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((each for each in mounts if each.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)


def base_tar() -> bytes:
    """The file system of BASE, the same bytes for every engine."""
    tar = io.BytesIO()
    base.plan(python=False).write(tar)
    return tar.getvalue()


def import_base(client: docker.DockerClient, tar: bytes) -> None:
    """Give an engine BASE."""
    repository, _, tag = BASE.rpartition(":")
    client.api.import_image_from_data(tar, repository=repository, tag=tag, changes=['CMD ["sh"]'])


KEPT = {BASE, base.NAME}


def tidy(client: docker.DockerClient) -> None:
    """Remove every container, and every image but the bases."""
    for container in client.containers.list(all=True):
        container.remove(force=True)
    for image in client.images.list():
        for tag in set(image.tags) - KEPT:
            client.images.remove(tag, force=True)
    client.images.prune()
