"""The fixtures for tests beside a real dockerd stand on the same ground: the same base image, containers that run."""

from __future__ import annotations

import pytest

from engines.engine.real_engine import BASE

pytestmark = pytest.mark.timeout(120)


def test_container_of_the_base_image_runs(engine_client):
    assert engine_client.containers.run(BASE, ["sh", "-c", "echo hi"], remove=True) == b"hi\n"


@pytest.mark.requires("dockerd")
def test_base_image_has_the_same_layer_on_both(both_engines):
    layers = {name: client.images.get(BASE).attrs["RootFS"] for name, client in both_engines.items()}
    assert layers["embedded"] == layers["host"]
