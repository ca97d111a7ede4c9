"""The terms of pod affinity and anti-affinity: which other pods are meant, and within what they count as near.

Upstream: AffinityTerm and newAffinityTerm in pkg/scheduler/framework/types.go. (matchLabelKeys and mismatchLabelKeys
are written into the term's selector by the API server when the pod is created.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubelab.cluster.selectors import label_selector_matches

Object = dict[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True)
class AffinityTerm:
    """`weight` is negative for preferred anti-affinity, and 0 for a required term."""

    topology_key: str
    namespaces: frozenset[str]
    namespace_selector: Object | None
    selector: Object | None
    weight: int = 0

    def matches(self, pod: Object, namespace_labels: Mapping[str, str]) -> bool:
        """Whether it means `pod`, whose namespace has these labels."""
        metadata = pod["metadata"]
        named = metadata["namespace"] in self.namespaces
        if not named and not label_selector_matches(self.namespace_selector, namespace_labels):
            return False
        return label_selector_matches(self.selector, metadata.get("labels"))


def affinity_terms(
    pod: Object,
) -> tuple[tuple[AffinityTerm, ...], tuple[AffinityTerm, ...], tuple[AffinityTerm, ...]]:
    """(required affinity, required anti-affinity, preferred of both kinds) of a pod."""
    affinity = pod["spec"].get("affinity") or {}
    near, apart = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    if not near and not apart:
        return (), (), ()
    preferred = [(1, term) for term in near.get(PREFERRED) or ()] + [(-1, term) for term in apart.get(PREFERRED) or ()]
    return (
        tuple(_term(pod, term) for term in near.get(REQUIRED) or ()),
        tuple(_term(pod, term) for term in apart.get(REQUIRED) or ()),
        tuple(_term(pod, term["podAffinityTerm"], sign * term["weight"]) for sign, term in preferred),
    )


def _term(pod: Object, term: Object, weight: int = 0) -> AffinityTerm:
    """Without namespaces and namespaceSelector, pods of the pod's own namespace are meant."""
    names, selector = term.get("namespaces") or [], term.get("namespaceSelector")
    if not names and selector is None:
        names = [pod["metadata"]["namespace"]]
    return AffinityTerm(term["topologyKey"], frozenset(names), selector, term.get("labelSelector"), weight)
