"""A control plane with two hollow nodes for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engines.cluster.lab import Lab, run_lab
from kubelab.home import Home


@pytest.fixture
async def lab(home: Home) -> AsyncIterator[Lab]:
    async with run_lab(home) as running:
        yield running
