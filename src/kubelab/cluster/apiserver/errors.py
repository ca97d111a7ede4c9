"""Errors as the API answers them: `Status` objects with upstream's reasons, codes and words.

Upstream: staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubelab.cluster.apiserver.fielderrors import FieldError
    from kubelab.cluster.resources import Resource

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"

# Where etcd keeps what has an older name there (pkg/kubeapiserver/default_storage_factory_builder.go).
STORED_AS = {
    "nodes": "minions",
    "services": "services/specs",
    "endpoints": "services/endpoints",
    "replicationcontrollers": "controllers",
}


def status(
    code: int, reason: str, message: str, details: dict[str, Any] | None = None, *, success: bool = False
) -> dict[str, Any]:
    """A Status object; `details` is {name, group, kind, uid, causes, retryAfterSeconds}."""
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
    body["status"] = "Success" if success else "Failure"
    if message:
        body["message"] = message
    if reason:
        body["reason"] = reason
    if details:
        body["details"] = {key: value for key, value in details.items() if value}
    if not success:
        body["code"] = code
    return body


class StatusError(Exception):
    """What a handler raises: the answer is `body`, a Status, with HTTP status `code`."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason
        self.body = status(code, reason, message, details)


class RetryableError(StatusError):
    """Refused for now: what is missing is about to be made, so the handler tries again for a short while."""


def _of(resource: Resource, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "group": resource.group, "kind": resource.plural, **more}


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, why: str, causes: Sequence[dict[str, str]] = ()) -> StatusError:
    message = f"{resource.qualified} {_quoted(name)} is forbidden: {why}"
    return StatusError(403, "Forbidden", message, _of(resource, name, causes=list(causes)))


def not_found(resource: Resource, name: str) -> StatusError:
    return StatusError(404, "NotFound", f"{resource.qualified} {_quoted(name)} not found", _of(resource, name))


def no_such_path() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message)


def method_not_supported(resource: Resource, verb: str) -> StatusError:
    message = f"{verb} is not supported on resources of kind {_quoted(resource.qualified)}"
    return StatusError(405, "MethodNotAllowed", message, _of(resource, ""))


def already_exists(resource: Resource, name: str) -> StatusError:
    message = f"{resource.qualified} {_quoted(name)} already exists"
    return StatusError(409, "AlreadyExists", message, _of(resource, name))


def generated_name_taken(resource: Resource, name: str) -> StatusError:
    message = (
        f"{resource.qualified} {_quoted(name)} already exists, the server was not able to generate a unique name"
        " for the object"
    )
    return StatusError(409, "AlreadyExists", message, _of(resource, name, retryAfterSeconds=1))


def conflict(resource: Resource, name: str, why: str = MODIFIED) -> StatusError:
    message = f"Operation cannot be fulfilled on {resource.qualified} {_quoted(name)}: {why}"
    return StatusError(409, "Conflict", message, _of(resource, name))


def precondition(resource: Resource, meta: dict[str, Any], what: str, given: str) -> StatusError:
    """Of a deletion: `what` is UID or ResourceVersion. rest.BeforeDelete names the kind, others name the resource."""
    found = meta["uid"] if what == "UID" else meta["resourceVersion"]
    since = "deleted and then recreated" if what == "UID" else "modified"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    message = (
        f"Operation cannot be fulfilled on {kind} {_quoted(meta['name'])}: the {what} in the precondition ({given})"
        f" does not match the {what} in record ({found}). The object might have been {since}"
    )
    return StatusError(409, "Conflict", message, {"name": meta["name"], "group": resource.group, "kind": resource.kind})


def other_uid(resource: Resource, meta: dict[str, Any], given: str) -> StatusError:
    """Of a write: the storage refuses it (Preconditions.Check in storage/interfaces.go, NewInvalidObjError)."""
    where = "/".join(filter(None, (STORED_AS.get(resource.qualified, resource.plural), meta.get("namespace"))))
    why = (
        f"StorageError: invalid object, Code: 4, Key: /registry/{where}/{meta['name']}, ResourceVersion: 0,"
        f" AdditionalErrorMsg: Precondition failed: UID in precondition: {given}, UID in object meta: {meta['uid']}"
    )
    return conflict(resource, meta["name"], why)


def gone(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    message = f"only the following media types are accepted: {', '.join(accepted)}"
    return StatusError(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return StatusError(415, "UnsupportedMediaType", message)


def invalid(kind: str, group: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422: every field that is wrong, named in the message and in details.causes."""
    words = list(dict.fromkeys(str(error) for error in errors))  # the same words are said once
    text = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    causes = [{"reason": e.reason, "message": e.body, "field": e.path} for e in errors]
    details = {"name": name, "group": group, "kind": kind, "causes": causes}
    qualified = f"{kind}.{group}" if group else kind
    return StatusError(422, "Invalid", f"{qualified} {_quoted(name)} is invalid: {text}", details)


def too_large_resource_version(asked: int, current: int) -> StatusError:
    message = f"Too large resource version: {asked}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return StatusError(504, "Timeout", f"Timeout: {message}", {"causes": causes, "retryAfterSeconds": 1})


def too_many_requests(message: str, causes: Sequence[dict[str, str]] = (), retry_after: int = 0) -> StatusError:
    return StatusError(429, "TooManyRequests", message, {"causes": list(causes), "retryAfterSeconds": retry_after})


def internal(message: str) -> StatusError:
    causes = [{"message": message}]
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", {"causes": causes})


def service_unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
