"""Errors of the distribution spec: a code, a message, an HTTP status.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes; the messages are distribution's
(registry/api/errcode/register.go, registry/api/v2/errors.go).
"""

from __future__ import annotations

import json
import logging
from typing import Any

from aiohttp import web

log = logging.getLogger(__name__)

CODES = {
    "BLOB_UNKNOWN": (404, "blob unknown to registry"),
    "BLOB_UPLOAD_INVALID": (400, "blob upload invalid"),
    "BLOB_UPLOAD_UNKNOWN": (404, "blob upload unknown to registry"),
    "DIGEST_INVALID": (400, "provided digest did not match uploaded content"),
    "MANIFEST_BLOB_UNKNOWN": (400, "blob unknown to registry"),
    "MANIFEST_INVALID": (400, "manifest invalid"),
    "MANIFEST_UNKNOWN": (404, "manifest unknown"),
    "NAME_INVALID": (400, "invalid repository name"),
    "NAME_UNKNOWN": (404, "repository name not known to registry"),
    "PAGINATION_NUMBER_INVALID": (400, "invalid number of results requested"),
    "RANGE_INVALID": (416, "invalid content range"),
    "SIZE_INVALID": (400, "provided length did not match content length"),
    "TAG_INVALID": (400, "manifest tag did not match URI"),
    "DENIED": (403, "requested access to the resource is denied"),
    "UNSUPPORTED": (405, "The operation is unsupported."),
    "UNKNOWN": (500, "unknown error"),
}


class ProtocolError(Exception):
    """An answer of the spec's. `headers` go with it."""

    def __init__(self, code: str, detail: Any = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.code, self.detail, self.headers = code, detail, headers or {}


def answer(error: ProtocolError) -> web.Response:
    status, message = CODES[error.code]
    body = {"errors": [{"code": error.code, "message": message, "detail": error.detail}]}
    return web.Response(
        body=json.dumps(body).encode(), status=status, content_type="application/json", headers=error.headers
    )


@web.middleware
async def answer_errors(request: web.Request, handler: Any) -> web.StreamResponse:
    """Whatever a handler raises, in the spec's words. A full disk is one of the unknown errors, and says so."""
    try:
        response = await handler(request)
    except ProtocolError as error:
        response = answer(error)
    except web.HTTPMethodNotAllowed:
        response = answer(ProtocolError("UNSUPPORTED"))
    except web.HTTPException as error:
        response = answer(ProtocolError("NAME_INVALID" if error.status == 404 else "UNKNOWN", error.reason))
        response.set_status(error.status)
    except OSError as error:
        log.exception("%s %s", request.method, request.path)
        response = answer(ProtocolError("UNKNOWN", error.strerror))
    response.headers.setdefault("Docker-Distribution-Api-Version", "registry/2.0")
    return response
