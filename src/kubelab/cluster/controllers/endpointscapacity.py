"""An Endpoints object holds a thousand addresses; a service with more is told about in part, ready ones first.

Upstream: truncateEndpoints in pkg/controller/endpoint/endpoints_controller.go. EndpointSlices have them all.
"""

from __future__ import annotations

import math
from typing import Any

Object = dict[str, Any]

ANNOTATION = "endpoints.kubernetes.io/over-capacity"
MAX_ADDRESSES = 1000


def truncated(subsets: list[Object]) -> list[Object] | None:
    """The subsets with a thousand addresses, shared out in proportion; None where they have no more than that."""
    ready, waiting = (sum(len(s.get(part, ())) for s in subsets) for part in ("addresses", "notReadyAddresses"))
    if ready + waiting <= MAX_ADDRESSES:
        return None
    if ready > MAX_ADDRESSES:
        return _share([{**s, "notReadyAddresses": []} for s in subsets], "addresses", MAX_ADDRESSES, ready)
    return _share(subsets, "notReadyAddresses", MAX_ADDRESSES - ready, waiting)


def _share(subsets: list[Object], part: str, room: int, total: int) -> list[Object]:
    left, shared = room, []
    for subset in subsets:
        addresses = subset.get(part, [])
        kept = addresses[: min(math.ceil(len(addresses) / total * room), left)]
        left -= len(kept)
        cut = {**subset, part: kept}
        shared.append({key: value for key, value in cut.items() if value or key == "ports"})
    return shared
