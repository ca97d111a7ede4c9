"""Errors as dockerd answers them: an HTTP status and `{"message": …}` (moby: api/server/httpstatus, errdefs)."""

from __future__ import annotations

import logging

from aiohttp import ClientConnectionResetError, web

from kubelab.engine.answers import json_answer
from kubelab.images.archive import InvalidArchive
from kubelab.images.reference import InvalidReference
from kubelab.images.store import ImageConflict, ImageNotFound
from kubelab.images.unpack import UnsafeArchive
from kubelab.runtime.api import RuntimeServiceError

log = logging.getLogger(__name__)
RUNTIME_STATUS = {"NotFound": 404, "InvalidArgument": 400, "FailedPrecondition": 409}


class DockerError(Exception):
    """What a route cannot do: `status` is HTTP's, the message Docker's own where Docker has one."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: Exception) -> int:
    """The HTTP status that tells a client what went wrong."""
    if isinstance(error, DockerError):
        return error.status
    if isinstance(error, ImageNotFound):
        return 404
    if isinstance(error, ImageConflict):
        return 409
    if isinstance(error, InvalidReference | InvalidArchive | UnsafeArchive):
        return 400
    if isinstance(error, RuntimeServiceError):
        return RUNTIME_STATUS.get(error.code, 500)
    return 500


@web.middleware
async def answer_errors(request: web.Request, handler) -> web.StreamResponse:
    """Turn what a handler raises into dockerd's JSON. What nobody expected is logged with its traceback."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return json_answer({"message": "page not found"}, status=404)
    except web.HTTPException as error:
        return json_answer({"message": error.reason}, status=error.status)
    except ClientConnectionResetError:  # the client has gone in the middle of an answer: nobody reads this one
        return web.Response()
    except Exception as error:
        status = status_of(error)
        if status == 500 and not isinstance(error, DockerError):
            log.exception("%s %s", request.method, request.path)
        return json_answer({"message": str(error)}, status=status)
