"""How long it takes until the engines are up."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.lab import fresh_home, kubelab


def up_warm(runs: int) -> Iterator[float]:
    """`kubelab up` until it returns, which is when the API answers and both nodes are ready."""
    with fresh_home() as home:
        for run in range(runs + 1):
            started = time.monotonic()
            kubelab(home, "up")
            took = time.monotonic() - started
            kubelab(home, "down")
            if run:  # the first one made the base image and the certificates
                yield took


def up_first(runs: int) -> Iterator[float]:
    """The same with an empty state folder: base image, certificates, database."""
    for _ in range(runs):
        with fresh_home() as home:
            started = time.monotonic()
            kubelab(home, "up")
            yield time.monotonic() - started
            kubelab(home, "down")
