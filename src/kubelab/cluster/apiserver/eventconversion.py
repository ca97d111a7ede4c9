"""events.k8s.io/v1 and v1 Events are the same objects, stored once, with other names for some fields.

Upstream: pkg/apis/events/v1/conversion.go, and ValidateEventCreate in pkg/apis/core/validation/events.go.
"""

from __future__ import annotations

from typing import Any

import orjson

from kubelab.cluster.apiserver import errors, names
from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, not_supported, required, too_long
from kubelab.cluster.resources import EVENTS, EVENTS_V1, Resource

Object = dict[str, Any]
# events.k8s.io/v1 -> v1
NAMES = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_BACK = {core: new for new, core in NAMES.items()}
MAX_NOTE, MAX_WORD = 1024, 128


def to_stored(resource: Resource, obj: Object) -> Object:
    """A decoded object as it is stored."""
    return _renamed(obj, NAMES, EVENTS) if resource is EVENTS_V1 else obj


def from_stored(resource: Resource, obj: Object) -> Object:
    return _renamed(obj, _BACK, EVENTS_V1) if resource is EVENTS_V1 and obj.get("kind") == EVENTS.kind else obj


def bytes_from_stored(value: bytes) -> bytes:
    return orjson.dumps(from_stored(EVENTS_V1, orjson.loads(value)))


def field_selector(resource: Resource, selector: str) -> str:
    """`regarding.name=web` is `involvedObject.name=web`."""
    if resource is not EVENTS_V1:
        return selector
    return selector.replace("regarding.", "involvedObject.").replace("reportingController", "reportingComponent")


def _renamed(obj: Object, renames: dict[str, str], resource: Resource) -> Object:
    renamed = {renames.get(key, key): value for key, value in obj.items()}
    return {**renamed, "apiVersion": resource.api_version, "kind": resource.kind}


def check_new(resource: Resource, obj: Object) -> None:
    """What an events.k8s.io/v1 Event has to say. Raises 422."""
    problems = _problems(obj) if resource is EVENTS_V1 else []
    if problems:
        raise errors.invalid(EVENTS_V1.kind, EVENTS_V1.group, obj["metadata"].get("name", ""), problems)


def _problems(obj: Object) -> list[FieldError]:
    problems = [] if obj.get("eventTime") else [required("eventTime")]
    controller = obj.get("reportingController") or ""
    if not controller:
        problems.append(required("reportingController"))
    problems += [invalid("reportingController", controller, text) for text in names.qualified_name(controller)]
    for field in ("reportingInstance", "action", "reason"):
        value = obj.get(field) or ""
        if not value:
            problems.append(required(field))
        elif len(value) > MAX_WORD:
            problems.append(invalid(field, "", f"can have at most {MAX_WORD} characters"))
    if obj.get("type") not in ("Normal", "Warning"):
        problems.append(not_supported("type", obj.get("type") or "", ("Normal", "Warning")))
    if len(obj.get("note") or "") > MAX_NOTE:
        problems.append(too_long("note", MAX_NOTE))
    for field in ("deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount"):
        if obj.get(field):
            problems.append(forbidden(field, "needs to be unset"))
    return problems
