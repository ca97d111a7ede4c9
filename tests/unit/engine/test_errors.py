"""What a route's exception becomes: a status and dockerd's JSON."""

from __future__ import annotations

import json
import logging

import pytest
from aiohttp import ClientConnectionResetError, web
from aiohttp.test_utils import make_mocked_request

from kubelab.engine.errors import DockerError, answer_errors
from kubelab.images.errors import ImageConflict, ImageNotFound
from kubelab.images.reference import InvalidReference
from kubelab.runtime.api import RuntimeServiceError


async def answer(error: Exception) -> tuple[int, str]:
    async def handler(_: web.Request) -> web.Response:
        raise error

    response = await answer_errors(make_mocked_request("GET", "/info"), handler)
    return response.status, json.loads(response.body)["message"] if response.body else ""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DockerError(409, "why"), 409),
        (ImageNotFound("why"), 404),
        (ImageConflict("why"), 409),
        (InvalidReference("why"), 400),
        (RuntimeServiceError("NotFound", "why"), 404),
        (RuntimeServiceError("FailedPrecondition", "why"), 409),
        (OSError("why"), 500),
    ],
)
async def test_statuses(error: Exception, status: int):
    assert await answer(error) == (status, "why")


async def test_what_nobody_expected_is_logged_and_a_client_that_has_gone_is_not(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        assert (await answer(ClientConnectionResetError("Cannot write to closing transport")))[0] == 200
        assert caplog.records == []
        await answer(KeyError("ours"))
    assert [record.message for record in caplog.records] == ["GET /info"]
