"""The cluster's API over plain HTTP, through the connection pool and credentials of the `kubernetes` client.

For what the client's typed methods cannot send: a request with a body through the `proxy` subresource of a pod or a
service, and answers as the JSON that they are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import urllib3
from kubernetes import client

from .errors import engines_do_not_answer

LISTEN_TIMEOUT = 5.0  # seconds from a process's start until it listens


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: `status`, `text`, `json()`, and how long it took."""

    status: int
    text: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.status < 400

    def json(self) -> Any:
        return json.loads(self.text)

    def __repr__(self) -> str:
        return f"{self.status} {self.text.strip()}"


def request(
    api: client.ApiClient,
    method: str,
    path: str,
    body: Any = None,
    timeout: float = 5.0,
    content_type: str = "application/json",
) -> Answer:
    """One request to the API server. `path` begins with a slash; `body` is sent as JSON; `timeout` in seconds.

    TimeoutError: no answer in time. LabError: there is no API server.
    """
    configuration = api.configuration
    headers = {"Accept": "application/json", "Content-Type": content_type}
    for setting in configuration.auth_settings().values():
        if setting["in"] == "header" and setting["value"]:
            headers[setting["key"]] = setting["value"]
    began = time.monotonic()
    try:
        response = api.rest_client.pool_manager.request(
            method,
            configuration.host + path,
            headers=headers,
            body=json.dumps(body) if body is not None else None,
            timeout=timeout,
            retries=False,
        )
    except (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError) as error:
        raise engines_do_not_answer("the API server", error) from error
    except urllib3.exceptions.TimeoutError as error:
        raise TimeoutError(f"no answer to {method} {path} in {timeout:g} s") from error
    except urllib3.exceptions.HTTPError as error:
        raise engines_do_not_answer("the API server", error) from error
    return Answer(response.status, response.data.decode(errors="replace"), time.monotonic() - began)


def listening(ask: Callable[[], Answer]) -> Answer:
    """The answer of a program that may still be starting: while its port is closed, ask again, for LISTEN_TIMEOUT."""
    deadline = time.monotonic() + LISTEN_TIMEOUT
    while (answer := ask()).status == 503 and "connection refused" in answer.text and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def proxy_path(namespace: str, target: str, path: str) -> str:
    """The API path that leads to a pod or service: `target` is "pod/NAME", "service/NAME", either with ":PORT"."""
    kind, _, name = target.partition("/")
    resource = {"pod": "pods", "service": "services", "svc": "services"}.get(kind)
    if resource is None or not name:
        raise ValueError(f"{target!r} is neither 'pod/NAME' nor 'service/NAME'")
    return f"/api/v1/namespaces/{namespace}/{resource}/{quote(name, safe=':')}/proxy/{path.lstrip('/')}"
