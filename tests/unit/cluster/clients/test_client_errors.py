"""Status objects as exceptions, by reason first and by code where there is none."""

from __future__ import annotations

import pytest

from kubelab.cluster import client
from kubelab.cluster.kubeconfig import Kubeconfig
from kubelab.cluster.resources import PODS


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"reason": "NotFound", "code": 404}, client.NotFound),
        ({"reason": "AlreadyExists", "code": 409}, client.AlreadyExists),
        ({"reason": "Conflict", "code": 409}, client.Conflict),
        ({"reason": "Expired", "code": 410}, client.Gone),
        ({"reason": "Invalid", "code": 422}, client.Invalid),
        ({"code": 403}, client.Forbidden),
        ({"code": 503}, client.Unavailable),
        ({"code": 418, "reason": "Teapot"}, client.APIError),
    ],
)
def test_a_status_becomes_its_exception(status: dict, kind: type[client.APIError]):
    error = client.error_from_status({**status, "message": "what it says"})
    assert type(error) is kind
    assert (error.code, str(error)) == (status["code"], "what it says")


def test_causes_can_be_asked_for():
    status = {"reason": "Forbidden", "details": {"causes": [{"reason": "NamespaceTerminating"}]}}
    error = client.error_from_status(status)
    assert error.has_cause("NamespaceTerminating")
    assert not error.has_cause("Other")


async def test_a_server_that_is_not_there_is_unavailable():
    async with client.APIClient(Kubeconfig("http://127.0.0.1:1")) as api:
        with pytest.raises(client.Unavailable, match=r"no answer from the API server at http://127.0.0.1:1"):
            await api.get(PODS, "p", "default")
        with pytest.raises(client.Unavailable):
            async for _ in api.watch(PODS, resource_version="1"):
                pass
