"""The status manager: what was set last is what the API has in the end, whenever it was set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kubelab.clock import VirtualClock, settle
from kubelab.cluster.client import Unavailable
from kubelab.cluster.kubelet.status_manager import RETRY_SECONDS, StatusManager

from .builders import make_pod

CONTAINER = {"name": "app", "containerID": "kubelab://app-0", "state": {"running": {}}, "ready": False, "started": True}


def running() -> dict[str, Any]:
    return {"phase": "Running", "conditions": [], "containerStatuses": [dict(CONTAINER)]}


class PatchedAPI:
    """Keeps the status patches; `meanwhile` runs right after one is answered, before the writer's task is put away."""

    def __init__(self) -> None:
        self.patches: list[dict[str, Any]] = []
        self.errors: list[Exception] = []
        self.meanwhile: Callable[[], None] | None = None

    async def patch(self, resource: Any, name: str, body: dict[str, Any], namespace: str, **options: Any) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.patches.append(body["status"])
        if self.meanwhile is not None:
            asyncio.get_running_loop().call_soon(self.meanwhile)
            self.meanwhile = None


async def test_a_status_set_just_as_the_writer_ends_is_written():
    api = PatchedAPI()
    statuses = StatusManager(api, VirtualClock())  # type: ignore[arg-type]
    api.meanwhile = lambda: statuses.set_container("uid-1", CONTAINER["containerID"], ready=True)
    statuses.set(make_pod(), running())
    await settle()
    assert [patch["containerStatuses"][0]["ready"] for patch in api.patches] == [False, True]


async def test_a_status_is_written_once_the_api_answers_again():
    api, clock = PatchedAPI(), VirtualClock()
    api.errors.append(Unavailable({"message": "no answer", "code": 503}))
    statuses = StatusManager(api, clock)  # type: ignore[arg-type]
    statuses.set(make_pod(), running())
    await settle()
    assert api.patches == []
    statuses.set_container("uid-1", CONTAINER["containerID"], ready=True)
    await clock.advance(RETRY_SECONDS)
    await settle()
    assert [patch["containerStatuses"][0]["ready"] for patch in api.patches] == [True]
