"""Engines to measure: a state folder of their own, a client, a watch that says when pods are Ready."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from kubernetes import client, config, watch

from kubelab.home import Home

DEADLINE = 120  # seconds for anything to happen


@contextmanager
def fresh_home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="kl-bench-", dir="/tmp") as folder:
        yield Home(Path(folder))


def kubelab(home: Home, *arguments: str) -> str:
    """Run the command; its output."""
    command = [sys.executable, "-m", "kubelab.cli", *arguments]
    environment = {**os.environ, "KUBELAB_HOME": str(home.path)}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


class Lab:
    """Running engines, down again when the block ends."""

    def __init__(self, profile: str = "upstream") -> None:
        self.profile = profile

    def __enter__(self) -> Lab:
        self._folder = fresh_home()
        self.home = self._folder.__enter__()
        kubelab(self.home, "up", "--profile", self.profile)
        connection = config.new_client_from_config(str(self.home.kubeconfig))
        self.core, self.apps = client.CoreV1Api(connection), client.AppsV1Api(connection)
        end = time.monotonic() + DEADLINE
        while not self.core.list_namespaced_service_account("default").items:
            assert time.monotonic() < end, "the namespace `default` has no service account"
        return self

    def __exit__(self, *_: object) -> None:
        kubelab(self.home, "down")
        self._folder.__exit__(None, None, None)

    def scale_from_zero(self, name: str, pod: dict[str, Any], copies: int, *, at_once: bool = False) -> None:
        """A ReplicaSet of the bench's pods, with no copies yet, or with all of them `at_once`."""
        template = {"metadata": {"labels": {"app": "bench"}}, "spec": pod["spec"]}
        spec = {
            "replicas": copies if at_once else 0,
            "selector": {"matchLabels": {"app": "bench"}},
            "template": template,
        }
        self.apps.create_namespaced_replica_set("default", {"metadata": {"name": name}, "spec": spec})

    def until_ready(self, count: int, but_not: Iterable[str] = ()) -> float:
        """Watch the bench's pods until `count` are Ready; the time (monotonic) of the event that made them so.

        `but_not`: UIDs of pods that do not count.
        """
        ready: set[str] = set()
        known = set(but_not)
        for event in self._events():
            if event["raw_object"]["metadata"]["uid"] in known:
                continue
            conditions = event["raw_object"]["status"].get("conditions", [])
            if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
                ready.add(event["raw_object"]["metadata"]["uid"])
            if len(ready) >= count:
                return time.monotonic()
        raise TimeoutError(f"{len(ready)} of {count} pods were Ready after {DEADLINE} s")

    def clear(self) -> None:
        """Delete the bench's pods, and wait until they are gone."""
        self.core.delete_collection_namespaced_pod("default", label_selector="app=bench", grace_period_seconds=0)
        end = time.monotonic() + DEADLINE
        while self.core.list_namespaced_pod("default", label_selector="app=bench").items:
            assert time.monotonic() < end, "pods are still there"
            time.sleep(0.05)

    def memory(self, component: str, kind: str) -> float:
        """ "rss" or "pss" of one component, MiB."""
        pid = json.loads((self.home.run / f"{component}.pid").read_text())["pid"]
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.lower().startswith(f"{kind}:")) / 1024

    def memory_of_all(self) -> float:
        """PSS of every process of these engines, those in containers included, in MiB."""
        total = 0
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if self._is_ours(process):
                    total += process.memory_full_info().pss
        return total / 2**20

    def _is_ours(self, process: psutil.Process) -> bool:
        """A child of the engines at any depth: containers are forked by the runtime."""
        return any(f"KUBELAB_HOME={self.home.path}" in _environment(each) for each in (process, *process.parents()))

    def _events(self) -> Iterator[dict[str, Any]]:
        return watch.Watch().stream(
            self.core.list_namespaced_pod, "default", label_selector="app=bench", timeout_seconds=DEADLINE
        )


def _environment(process: psutil.Process) -> str:
    try:
        return Path(f"/proc/{process.pid}/environ").read_text(errors="replace")
    except OSError:
        return ""
