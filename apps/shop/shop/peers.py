"""How one feature asks another: a function call where both run in this process, HTTP where it runs elsewhere.

That is the whole difference between the monolith and the services. Over HTTP a call can time out; in one process it
waits for ever.
"""

from __future__ import annotations

import http.client
import json
import os
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from .features import Feature

TIMEOUT = 1.0  # seconds that one service waits for another


class PeerFailed(Exception):
    """Another feature could not be asked, or answered with an error."""

    def __init__(self, feature: str, reason: str, status: int = 502) -> None:
        super().__init__(f"{feature}: {reason}")
        self.status = status


class Peers:
    """The features in this process, and for the others their URL: `$CATALOG_URL`, `$ORDERS_URL`, `$PAYMENTS_URL`."""

    def __init__(self) -> None:
        self.here: dict[str, Feature] = {}

    def ask(self, feature: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The other feature's answer. PeerFailed when there is none, or when it is an error."""
        if feature in self.here:
            status, answer = self.here[feature].answer(method, path.removeprefix(f"/{feature}").strip("/"), body or {})
        else:
            status, answer = self._over_http(feature, method, path, body)
        if status >= 400:
            raise PeerFailed(feature, str(answer.get("error", status)), 400 if status == 404 else 502)
        return answer

    def _over_http(
        self, feature: str, method: str, path: str, body: dict[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        url = os.environ.get(f"{feature.upper()}_URL")
        if not url:
            raise PeerFailed(feature, f"runs elsewhere, and ${feature.upper()}_URL does not say where")
        data = json.dumps(body).encode() if body is not None else None
        request = Request(url.rstrip("/") + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=TIMEOUT) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            return error.code, _error_body(error)
        except (URLError, OSError, http.client.HTTPException, ValueError) as error:
            raise PeerFailed(feature, f"no answer ({getattr(error, 'reason', error)})") from error


def _error_body(error: HTTPError) -> dict[str, Any]:
    try:
        return json.load(error)
    except ValueError:
        return {"error": f"status {error.code}"}
