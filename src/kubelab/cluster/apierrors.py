"""What the API server's refusals are on the client's side: one exception for each kind of Status.

Upstream: staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


class APIError(Exception):
    """The API server refused: `.status` is its Status object, `.code` the HTTP code, `.reason` the Status' reason."""

    def __init__(self, status: Object) -> None:
        self.status = status
        self.code: int = status.get("code") or 0
        self.reason: str = status.get("reason") or ""
        super().__init__(status.get("message") or self.reason or f"HTTP {self.code}")

    def has_cause(self, reason: str) -> bool:
        """Whether `details.causes` names this reason, such as NamespaceTerminating."""
        return any(cause.get("reason") == reason for cause in (self.status.get("details") or {}).get("causes") or ())


class NotFound(APIError): ...


class AlreadyExists(APIError): ...


class Conflict(APIError): ...


class Gone(APIError):
    """The resource version is too old: list again (reasons Expired and Gone)."""


class Invalid(APIError): ...


class BadRequest(APIError): ...


class Forbidden(APIError): ...


class Unauthorized(APIError): ...


class MethodNotAllowed(APIError): ...


class Unavailable(APIError):
    """The API server did not answer, or said that it cannot now; try again later."""


BY_REASON: dict[str, type[APIError]] = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Expired": Gone,
    "Gone": Gone,
    "Invalid": Invalid,
    "BadRequest": BadRequest,
    "Forbidden": Forbidden,
    "Unauthorized": Unauthorized,
    "MethodNotAllowed": MethodNotAllowed,
    "ServiceUnavailable": Unavailable,
    "Timeout": Unavailable,
    "TooManyRequests": Unavailable,
}
BY_CODE: dict[int, type[APIError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_from_status(status: Object) -> APIError:
    """The exception that stands for a Status object: by its reason, else by its code."""
    kind = BY_REASON.get(status.get("reason") or "") or BY_CODE.get(status.get("code") or 0, APIError)
    return kind(status)
