"""Prefer nodes that have the pod's images already; an image that few nodes have counts less.

Upstream: pkg/scheduler/framework/plugins/imagelocality. Below 23 MB all told it is worth nothing, from 1000 MB a
container everything.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import MAX_SCORE, Cycle, Plugin

MB = 1024 * 1024
LEAST, MOST_EACH = 23 * MB, 1000 * MB


class ImageLocality(Plugin):
    name = "ImageLocality"
    weight = 1

    def score(self, cycle: Cycle, nodes: Sequence[NodeInfo]) -> list[int]:
        spec = cycle.pod.pod["spec"]
        containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
        wanted = [_with_tag(container.get("image") or "") for container in containers]
        sizes = {node.name: _images(node) for node in cycle.nodes}
        shares = {image: sum(image in there for there in sizes.values()) / len(sizes) for image in set(wanted)}
        most = MOST_EACH * len(containers)
        scores = []
        for node in nodes:
            there = sizes[node.name]
            total = sum(int(there[image] * shares[image]) for image in wanted if image in there)
            scores.append(MAX_SCORE * (min(max(total, LEAST), most) - LEAST) // (most - LEAST))
        return scores


def _images(node: NodeInfo) -> dict[str, int]:
    """Bytes by each of the images' names."""
    return {
        name: image.get("sizeBytes", 0)
        for image in node.node.get("status", {}).get("images") or ()
        for name in image.get("names") or ()
    }


def _with_tag(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
