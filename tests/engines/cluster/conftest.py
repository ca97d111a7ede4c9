"""A control plane with two hollow nodes for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from engines.cluster.lab import Lab, run_lab
from kubelab.home import Home


@pytest.fixture
async def lab(home: Home) -> AsyncIterator[Lab]:
    async with run_lab(home) as running:
        yield running


@pytest.fixture
def priorities() -> dict[str, dict[str, Any]]:
    """What a pod's spec says to be of low or high priority, or high without taking anybody's place."""
    return {"low": {"priority": 0}, "high": {"priority": 1000}, "meek": {"priority": 10, "preemptionPolicy": "Never"}}
