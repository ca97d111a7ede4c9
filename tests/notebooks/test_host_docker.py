"""Every notebook with a real Docker Engine (`KUBELAB_DOCKER=host`): its outputs are the same, or sanitised by rule.

The cluster is the embedded one: what a chapter builds in the dockerd has to get there. Afterwards `kubelab reset`
leaves nothing of the course in the dockerd, and what was there before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import docker
import pytest

from engines.engine.real_engine import BASE, RealEngine, base_tar, import_base, running_dockerd
from harness import kubelab, levels_here, running_engines
from kubelab.home import Home
from notebooks.test_notebooks import PATHS, nbval

pytestmark = [pytest.mark.requires("dockerd"), pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Both:
    home: Home
    real: RealEngine
    choice: dict[str, str]  # the environment that chooses the dockerd


@pytest.fixture(scope="module")
def both(images) -> Iterator[Both]:
    with running_dockerd() as real, running_engines(images, levels_here()[0]) as home:
        yield Both(home, real, {"KUBELAB_DOCKER": "host", "DOCKER_HOST": real.host})


@pytest.mark.parametrize("notebook", PATHS, ids=lambda path: path.stem)
def test_outputs_are_those_that_are_saved(notebook, both: Both):
    done = nbval(both.home, notebook, **both.choice)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_reset_removes_what_the_course_made_there_and_nothing_else(both: Both):
    with contextlib.closing(docker.DockerClient(base_url=both.real.host)) as client:
        import_base(client, base_tar())
        other = client.containers.run(BASE, ["sleep", "1000"], detach=True)
        try:
            assert any("kubelab/" in tag for image in client.images.list() for tag in image.tags)
            text = kubelab(both.home, "doctor", check=False, **both.choice).stdout
            assert f"at {both.real.host}" in text and "chosen: host (KUBELAB_DOCKER says so)" in text
            said = kubelab(both.home, "reset", "--yes", **both.choice).stdout
            assert f"removed from the Docker Engine at {both.real.host}: " in said
            left = [tag for image in client.images.list() for tag in image.tags]
            assert left == [BASE]
            assert [each.id for each in client.containers.list(all=True)] == [other.id]
        finally:
            other.remove(force=True)
