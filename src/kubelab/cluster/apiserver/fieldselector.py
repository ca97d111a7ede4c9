"""Field selectors: `status.phase=Running,spec.nodeName!=node-1`, for the fields that upstream lets one select by.

Upstream: pkg/apis/core/v1/conversion.go (AddFieldLabelConversionsFor…) and the kinds' `SelectableFields`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver.labelselector import SelectorError

Object = dict[str, Any]

_EVERY_KIND = frozenset({"metadata.name", "metadata.namespace"})
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
SELECTABLE: dict[str, frozenset[str]] = {
    r.PODS.kind: frozenset(
        {
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        }
    ),
    r.NODES.kind: frozenset({"spec.unschedulable"}),
    r.NAMESPACES.kind: frozenset({"status.phase"}),
    r.SECRETS.kind: frozenset({"type"}),
    r.SERVICES.kind: frozenset({"spec.clusterIP", "spec.type"}),
    r.REPLICATIONCONTROLLERS.kind: frozenset({"status.replicas"}),
    r.REPLICASETS.kind: frozenset({"status.replicas"}),
    r.JOBS.kind: frozenset({"status.successful"}),
    r.EVENTS.kind: frozenset(
        {*(f"involvedObject.{field}" for field in _INVOLVED), "reason", "reportingComponent", "source", "type"}
    ),
}
_ZERO = {"spec.unschedulable": "false", "spec.hostNetwork": "false", "status.replicas": "0", "status.succeeded": "0"}


@lru_cache(1024)
def parse(text: str, kind: str) -> Callable[[Object], bool]:
    """A function that tells whether an object matches. Raises SelectorError for fields that cannot be selected by."""
    terms = [_term(term, kind) for term in text.split(",") if term.strip()]
    return lambda obj: all((value(obj, path) == wanted) is equal for path, wanted, equal in terms)


def _term(term: str, kind: str) -> tuple[str, str, bool]:
    operator = next((operator for operator in ("!=", "==", "=") if operator in term), "")
    if not operator:
        raise SelectorError(f"invalid selector: '{term}'; can't understand '{term}'")
    path, _, wanted = term.partition(operator)
    path = path.strip()
    if path not in _EVERY_KIND | SELECTABLE.get(kind, frozenset()):
        raise SelectorError(f"field label not supported: {path}")
    return path, wanted.strip().replace("\\,", ",").replace("\\=", "=").replace("\\\\", "\\"), operator != "!="


def value(obj: Object, path: str) -> str:
    """The field as a selector sees it: a string, with Go's zero value where it is not set."""
    if path == "source":
        return (obj.get("source") or {}).get("component") or obj.get("reportingComponent") or ""
    if path == "status.successful":
        path = "status.succeeded"
    found: Any = obj
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if found is None:
        return _ZERO.get(path, "")
    if isinstance(found, bool):
        return "true" if found else "false"
    return ",".join(entry["ip"] for entry in found) if isinstance(found, list) else str(found)


def required_name(text: str) -> str:
    """The name that `metadata.name=x` asks for, or "": a list or watch of one object."""
    for term in text.split(","):
        path, equal, wanted = term.partition("=")
        if equal and path.strip() == "metadata.name":
            return wanted.lstrip("=").strip()
    return ""
