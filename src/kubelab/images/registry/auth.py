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

    @classmethod
    def from_header(cls, header: str) -> Credentials:
        """X-Registry-Auth: base64url of Docker's AuthConfig. What cannot be read counts as none, as in dockerd."""
        try:
            return cls.of(json.loads(cls.decode(header)))
        except (ValueError, AttributeError):
            return cls()

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Credentials:
        return cls(config.get("username") or "", config.get("password") or "", config.get("identitytoken") or "")

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


def token_query(challenge: Challenge, scope: str) -> dict[str, str]:
    """What the token server is asked: who wants it, and for what."""
    query = {"service": challenge.parameters.get("service", ""), "scope": challenge.parameters.get("scope") or scope}
    return {name: value for name, value in query.items() if value}
