"""Who we are to a registry: what it asks for in WWW-Authenticate, and the token that a token server gives for it.

https://github.com/distribution/distribution/blob/main/docs/content/spec/auth/token.md
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_PARAMETER = re.compile(r'([a-zA-Z]+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Credentials:
    """A name and a password, or a token that stands for both (`docker login` keeps it)."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""  # a bearer token as it is, which X-Registry-Auth may carry

    @classmethod
    def from_header(cls, header: str) -> Credentials:
        """X-Registry-Auth: base64url of Docker's AuthConfig. What cannot be read counts as none, as in dockerd."""
        try:
            return cls.of(json.loads(cls.decode(header)))
        except (ValueError, AttributeError):
            return cls()

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Credentials:
        if (both := config.get("auth")) and not config.get("username"):  # base64(name:password), as in config.json
            username, _, password = base64.b64decode(both).decode().partition(":")
            return cls(username, password)
        names = ("username", "password", "identitytoken", "registrytoken")
        return cls(*(str(config.get(name) or "") for name in names))

    @staticmethod
    def decode(header: str) -> bytes:
        """The JSON of a header in base64url, padded or not."""
        return base64.urlsafe_b64decode(header.rstrip("=") + "=" * (-len(header.rstrip("=")) % 4)) or b"{}"

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Challenge:
    """`Bearer realm="https://auth…",service="…",scope="…"`."""

    scheme: str  # in lower case
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, header: str) -> Challenge:
        scheme, _, rest = header.strip().partition(" ")
        return cls(scheme.lower(), dict(_PARAMETER.findall(rest)))


def token_query(challenge: Challenge, scope: str) -> list[tuple[str, str]]:
    """What the token server is asked: for which service, and for what: what we will do, and what was asked for."""
    scopes = dict.fromkeys(filter(None, [scope, *challenge.parameters.get("scope", "").split(" ")]))
    service = challenge.parameters.get("service", "")
    return [*([("service", service)] if service else []), *(("scope", each) for each in scopes)]
