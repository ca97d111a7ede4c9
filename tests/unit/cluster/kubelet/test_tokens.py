"""Service account tokens on the node: asked for once, renewed in time, kept while the API server is away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kubelab.clock import VirtualClock
from kubelab.cluster import times
from kubelab.cluster.client import Unavailable
from kubelab.cluster.kubelet.tokens import TokenManager

from .builders import make_pod

SOURCE = {"path": "token", "expirationSeconds": 1000}


class Issuer:
    """Gives tokens `token-1`, `token-2`, …, or no answer while it is `away`."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.requests, self.away = clock, [], False

    async def create_subresource(self, resource: Any, name: str, sub: str, request: dict[str, Any], ns: str) -> Any:
        if self.away:
            raise Unavailable({"message": "no answer", "code": 503})
        self.requests.append((ns, name, sub, request["spec"]))
        end = self.clock.now() + timedelta(seconds=request["spec"]["expirationSeconds"])
        return {"status": {"token": f"token-{len(self.requests)}", "expirationTimestamp": times.timestamp(end)}}


async def test_a_token_is_bound_to_its_pod_and_renewed_at_80_percent_of_its_life():
    clock = VirtualClock()
    issuer = Issuer(clock)
    tokens = TokenManager(issuer, clock)  # type: ignore[arg-type]

    async def get() -> str:
        return await tokens.get("ns", "default", SOURCE, make_pod())

    assert [await get(), await get()] == ["token-1", "token-1"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "uid-1"}
    spec = {"audiences": [], "expirationSeconds": 1000, "boundObjectRef": bound}
    assert issuer.requests == [("ns", "default", "token", spec)]
    await clock.advance(799)
    assert await get() == "token-1"
    await clock.advance(2)
    assert await get() == "token-2"


async def test_an_old_token_serves_while_the_api_server_is_away():
    clock = VirtualClock()
    issuer = Issuer(clock)
    tokens = TokenManager(issuer, clock)  # type: ignore[arg-type]
    assert await tokens.get("ns", "default", SOURCE, make_pod()) == "token-1"
    issuer.away = True
    await clock.advance(900)
    assert await tokens.get("ns", "default", SOURCE, make_pod()) == "token-1"
    await clock.advance(200)
    with pytest.raises(Unavailable):
        await tokens.get("ns", "default", SOURCE, make_pod())
