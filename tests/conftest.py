"""What every test may use: a state folder, running engines, and `@pytest.mark.requires("kubectl")`.

With KUBELAB_CI set, a test that would be skipped because something is absent fails: so .ci/run cannot pass by skipping.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import kubelab, left_over
from kubelab.home import Home

STRICT = bool(os.environ.get("KUBELAB_CI"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        for program in marker.args:
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not on PATH")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which KUBELAB_CI does not allow: {report.longrepr[2]}"
    return report


@pytest.fixture
def home() -> Iterator[Home]:
    """An empty state folder with a short path (a unix socket's path has 107 bytes at most)."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        yield Home(Path(folder)).ensure()


@pytest.fixture(scope="session")
def engines() -> Iterator[Home]:
    """Running engines, profile class, in a state folder of the test run's own; afterwards nothing of them is left."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        home = Home(Path(folder))
        kubelab(home, "up", "--profile", "class")
        try:
            yield home
        finally:
            kubelab(home, "down")
            assert left_over(home) == []
