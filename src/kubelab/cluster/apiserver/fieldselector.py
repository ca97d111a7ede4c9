"""Field selectors: `status.phase=Running,spec.nodeName!=node-1`, for the fields that upstream lets one select by.

Upstream: pkg/apis/{core,batch,events}/v1/conversion.go (AddFieldLabelConversion…) and the kinds' `SelectableFields`;
for all other kinds DefaultMetaV1FieldSelectorConversion in apimachinery's pkg/runtime/converter.go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver.labelselector import SelectorError

Object = dict[str, Any]

_NAME, _NAMESPACE = "metadata.name", "metadata.namespace"
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
SELECTABLE: dict[str, frozenset[str]] = {
    r.PODS.kind: frozenset(
        {
            _NAME,
            _NAMESPACE,
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
    r.NODES.kind: frozenset({_NAME, "spec.unschedulable"}),
    r.NAMESPACES.kind: frozenset({_NAME, "status.phase"}),
    r.SECRETS.kind: frozenset({_NAME, _NAMESPACE, "type"}),
    r.SERVICES.kind: frozenset({_NAME, _NAMESPACE, "spec.clusterIP", "spec.type"}),
    r.REPLICATIONCONTROLLERS.kind: frozenset({_NAME, _NAMESPACE, "status.replicas"}),
    r.JOBS.kind: frozenset({_NAME, _NAMESPACE, "status.successful"}),
    r.EVENTS.kind: frozenset(
        {
            _NAME,
            _NAMESPACE,
            *(f"involvedObject.{field}" for field in _INVOLVED),
            *("reason", "reportingComponent", "source", "type"),
        }
    ),
}
_OLD_NAMES = {(r.PODS.kind, "spec.host"): "spec.nodeName"}  # what v1's first clients send
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
    path = _OLD_NAMES.get((kind, path.strip()), path.strip())
    if path not in SELECTABLE.get(kind, (_NAME, _NAMESPACE)):
        raise SelectorError(_refusal(path, kind))
    return path, wanted.strip().replace("\\,", ",").replace("\\=", "=").replace("\\\\", "\\"), operator != "!="


def _refusal(path: str, kind: str) -> str:
    if kind == r.JOBS.kind:
        return f'field label "{path}" not supported for batchv1.Job'
    if kind in SELECTABLE:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "{_NAME}", "{_NAMESPACE}"'


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
