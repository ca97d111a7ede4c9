"""The whole course, as CI runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

from tools.notebooks import NOTEBOOKS, nbval_command

from benchmarks.lab import Lab

ROOT = NOTEBOOKS.parent


def all_of_them(runs: int) -> Iterator[float]:
    """All notebooks through nbval, on engines that are up."""
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    for _ in range(runs):
        with Lab("class") as lab:
            started = time.monotonic()
            environment = {**os.environ, "KUBELAB_HOME": str(lab.home.path)}
            subprocess.run(nbval_command(paths), env=environment, cwd=ROOT, check=True, stdout=sys.stderr)
            yield time.monotonic() - started
