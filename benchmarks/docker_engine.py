"""The Docker Engine's figures, ours and a real dockerd's in one run: `python -m benchmarks.docker_engine [--runs N]`.

A JSON line a figure and engine: {"name", "engine", "unit", "median", "values"}; ours has "ratio" (ours / dockerd's),
"target" and "met" as well. Without a dockerd (it needs root) ours are measured alone. Both engines have the same base
image, push to and pull from the lab's own registry, and are asked by the same docker SDK.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import docker
import psutil

from benchmarks.lab import fresh_home, kubelab

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from engines.engine.real_engine import running_dockerd  # noqa: E402 (the tests' own)

SHOP, TAG, BASE = ROOT / "apps" / "shop", "bench/shop:1", "kubelab/python:latest"
IDLE = 5.0  # seconds of quiet before memory is read
# Issue: not slower than dockerd in any but bulk copying (save, load, push, pull), faster in build cached and run.
FREE = ("save", "load", "push", "pull")
MEMORY_TARGET = 60.0  # MiB


class Bench:
    """One engine with the base image in it."""

    def __init__(self, client: docker.DockerClient, registry: str) -> None:
        self.client, self.remote = client, f"{registry}/bench/shop"

    def build(self, *, cached: bool) -> float:
        return timed(lambda: self.client.images.build(path=str(SHOP), tag=TAG, nocache=not cached, rm=True))

    def history(self) -> float:
        return timed(lambda: self.client.images.get(TAG).history())

    def run_true(self) -> float:
        return timed(lambda: self.client.containers.run(BASE, ["true"], remove=True))

    def exec_true(self, container: Any) -> float:
        return timed(lambda: container.exec_run(["true"]))

    def save(self) -> float:
        return timed(lambda: sum(map(len, self.client.images.get(TAG).save())))

    def load(self, archive: bytes) -> float:
        self.forget()
        return timed(lambda: self.client.images.load(io.BytesIO(archive)))

    def push(self, number: int) -> float:
        """Of an image with a new layer on the base, to a repository that has nothing."""
        text = f"FROM {TAG}\nRUN echo {time.time_ns()} > /new\n".encode()
        name = f"{self.remote}-{time.time_ns()}"
        self.client.images.build(fileobj=io.BytesIO(text), tag=f"{name}:{number}", rm=True)
        try:
            return timed(lambda: self.client.images.push(name, tag=str(number)))
        finally:
            self.client.images.remove(f"{name}:{number}", force=True)

    def pull(self) -> float:
        """Of the shop's own layers: the base is there."""
        self.client.images.get(TAG).tag(self.remote, "1")
        self.client.images.push(self.remote, tag="1")
        self.client.images.remove(f"{self.remote}:1", force=True)
        self.forget()
        took = timed(lambda: self.client.images.pull(self.remote, tag="1"))
        self.client.images.get(f"{self.remote}:1").tag(*TAG.split(":"))
        self.client.images.remove(f"{self.remote}:1", force=True)
        return took

    def forget(self) -> None:
        with contextlib.suppress(docker.errors.ImageNotFound):
            self.client.images.remove(TAG, force=True)


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measure(bench: Bench, runs: int) -> dict[str, list[float]]:
    """Name of a figure -> seconds, a run each. The first of each is thrown away: it finds caches cold."""
    found: dict[str, list[float]] = {}

    def take(name: str, action: Callable[[], float]) -> None:
        found[name] = [action() for _ in range(runs + 1)][1:]

    take("build_cold", lambda: bench.build(cached=False))
    take("build_cached", lambda: bench.build(cached=True))
    take("history", bench.history)
    take("run_true", bench.run_true)
    container = bench.client.containers.run(BASE, ["sleep", "1000"], detach=True)
    take("exec_true", lambda: bench.exec_true(container))
    container.remove(force=True)
    take("save", bench.save)
    archive = b"".join(bench.client.images.get(TAG).save(named=True))
    take("load", lambda: bench.load(archive))
    take("push", lambda: bench.push(1))
    take("pull", bench.pull)
    bench.forget()
    return found


def resident(pids: list[int]) -> float:
    """MiB of these processes and their children, what they share counted once (proportional set size)."""
    processes = {each.pid: each for pid in pids for each in [psutil.Process(pid), *psutil.Process(pid).children(True)]}
    return sum(each.memory_full_info().pss for each in processes.values()) / (1 << 20)


@contextlib.contextmanager
def real_bench(base: Path, registry: str) -> Iterator[tuple[Bench, float] | None]:
    """A dockerd with the base image, and its idle memory with its containerd's, MiB."""
    if shutil.which("dockerd") is None:
        yield None
        return
    with running_dockerd() as real, contextlib.closing(docker.DockerClient(base_url=real.host)) as client:
        with base.open("rb") as archive:
            client.images.load(archive)
        time.sleep(IDLE)
        yield Bench(client, registry), resident([int((real.folder / "pid").read_text())])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.docker_engine", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with fresh_home() as home, tempfile.TemporaryDirectory() as folder:
        kubelab(home, "up")
        try:
            base = Path(folder) / "base.tar"
            kubelab(home, "base-image", "--save", str(base))
            ours = docker.DockerClient(base_url=f"unix://{home.docker_socket}")
            time.sleep(IDLE)
            memory = resident([json.loads((home.run / "engine.pid").read_text())["pid"]])
            with real_bench(base, home.registry_address) as real:
                theirs = measure(real[0], runs) if real else {}
                met = report(measure(Bench(ours, home.registry_address), runs), theirs)
                return 0 if report_memory(memory, real[1] if real else None) and met else 1
        finally:
            kubelab(home, "down")


def report(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> bool:
    met = True
    for name, values in ours.items():
        line: dict[str, Any] = {"name": f"docker_{name}", "engine": "embedded", "unit": "s", **_figures(values)}
        if name in theirs:
            print(json.dumps({**line, "engine": "dockerd", **_figures(theirs[name])}))
            line["ratio"] = round(median(values) / median(theirs[name]), 2)
            if name not in FREE:
                line |= {"target": 1.0, "met": line["ratio"] <= 1.0}
                met = met and line["met"]
        print(json.dumps(line), flush=True)
    return met


def report_memory(ours: float, theirs: float | None) -> bool:
    if theirs:
        print(json.dumps({"name": "docker_idle_pss", "engine": "dockerd", "unit": "MiB", **_figures([theirs])}))
    met = ours <= MEMORY_TARGET
    line = {"name": "docker_idle_pss", "engine": "embedded", "unit": "MiB", **_figures([ours])}
    ratio = {"ratio": round(ours / theirs, 2)} if theirs else {}
    print(json.dumps({**line, **ratio, "target": MEMORY_TARGET, "met": met}))
    return met


def _figures(values: list[float]) -> dict[str, Any]:
    return {"median": round(median(values), 4), "values": [round(each, 4) for each in values]}


if __name__ == "__main__":
    sys.exit(main())
