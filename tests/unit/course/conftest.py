from __future__ import annotations

from collections.abc import Iterator

import pytest

from .cluster_double import ClusterDouble


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    double = ClusterDouble()
    yield double
    if double.up:
        double.stop()
