"""PATCH: JSON patch, merge patch, strategic merge patch.

Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go; RFC 6902 and RFC 7386. The strategic merge is in
`strategic.py`, server-side apply in `apply.py`.
"""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer

from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.schema import Type
from kubelab.cluster.apiserver.strategic import StrategicPatchError, strategic_merge

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
REJECTED = "the server rejected our request due to an error in our request"
MEDIA_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


def apply(current: dict[str, Any], patch: Any, media_type: str, kind: Type) -> Any:
    """The patched copy of `current`. Raises 400, 415 or 422."""
    if media_type == JSON_PATCH:
        return _json_patch(current, patch)
    if not isinstance(patch, dict):
        raise errors.bad_request(f"error decoding patch: expected an object, found {type(patch).__name__}")
    if media_type == MERGE_PATCH:
        return merge(current, patch)
    if media_type == STRATEGIC_PATCH:
        try:
            return strategic_merge(current, patch, kind)
        except StrategicPatchError as error:
            raise errors.bad_request(str(error)) from None
    raise errors.unsupported_media_type(MEDIA_TYPES)


def _json_patch(current: dict[str, Any], patch: Any) -> Any:
    if not isinstance(patch, list):
        raise errors.bad_request("error decoding patch: a JSON patch is a list of operations")
    try:
        return jsonpatch.apply_patch(current, patch)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError):
        # Upstream keeps the cause to itself, too.
        raise errors.StatusError(422, "Invalid", REJECTED) from None


def merge(current: Any, patch: Any) -> Any:
    """RFC 7386: objects are merged, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result
