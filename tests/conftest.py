"""What every test may use: a state folder, running engines, and `@pytest.mark.requires("kubectl")`.

With KUBELAB_CI set, a test that would be skipped because a program is absent fails: so .ci/run cannot pass by skipping.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import levels_here, running_engines
from kubelab.home import Home
from kubelab.images.base import ensure_base_image
from kubelab.images.store import ImageStore

ABSENT = "not on PATH"  # in the reason of every such skip
STRICT = bool(os.environ.get("KUBELAB_CI"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        for program in marker.args:
            if program == "dockerd" and os.geteuid() != 0:
                pytest.skip("a dockerd is started by root only")
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not on PATH")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if STRICT and report.skipped and ABSENT in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which KUBELAB_CI does not allow: {report.longrepr[2]}"
    return report


@pytest.fixture
def home() -> Iterator[Home]:
    """An empty state folder with a short path (a unix socket's path has 107 bytes at most)."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        yield Home(Path(folder)).ensure()


@pytest.fixture(scope="session")
def images() -> Iterator[Path]:
    """An image store with the base image in it, which the engines of a test run share: it takes seconds to make."""
    with tempfile.TemporaryDirectory(prefix="kl-images-", dir="/tmp") as folder:
        home = Home(Path(folder)).ensure()
        ensure_base_image(ImageStore(home.images))
        yield home.images


@pytest.fixture(scope="session", params=levels_here())
def engines(request: pytest.FixtureRequest, images: Path) -> Iterator[Home]:
    """Running engines, profile class, at each runtime level that works here; afterwards nothing of them is left."""
    with running_engines(images, request.param) as home:
        yield home


@pytest.fixture(scope="session")
def best_engines(images: Path) -> Iterator[Home]:
    """Running engines at the best level that works here, for what need not be tried at each."""
    with running_engines(images, levels_here()[0]) as home:
        yield home
