"""What the running engines' runtime level can do."""

from __future__ import annotations

import pytest

from kubelab.runtime.client import RuntimeClient

from .conftest import Bench


async def require_isolation(bench: Bench) -> None:
    """Skip where containers are plain processes: the test is about what only namespaces give."""
    async with RuntimeClient(bench.home.runtime_socket) as runtime:
        if (await runtime.version())["level"] != "namespaces":
            pytest.skip("level process has no mounts, users or capabilities of its own")
