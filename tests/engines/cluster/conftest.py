"""A control plane with two hollow nodes for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from engines.cluster.lab import Lab, run_lab
from kubelab.cluster.resources import PRIORITYCLASSES
from kubelab.home import Home


@pytest.fixture
async def lab(home: Home) -> AsyncIterator[Lab]:
    async with run_lab(home) as running:
        yield running


@pytest.fixture
async def priorities(lab: Lab) -> dict[str, dict[str, Any]]:
    """What a pod's spec says to be of low or high priority, or high without taking anybody's place."""
    for name, value, policy in (("high", 1000, "PreemptLowerPriority"), ("meek", 10, "Never")):
        made = {"metadata": {"name": name}, "value": value, "preemptionPolicy": policy}
        await lab.client.create(PRIORITYCLASSES, made)
    return {"low": {}, "high": {"priorityClassName": "high"}, "meek": {"priorityClassName": "meek"}}
