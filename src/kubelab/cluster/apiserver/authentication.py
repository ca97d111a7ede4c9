"""Who is asking: bearer tokens from a file, as kube-apiserver's `--token-auth-file`, and those of service accounts.

A line of the file is `token,user,uid` with an optional quoted list of groups. Who shows no token is anonymous; who
shows a wrong one is turned away. Upstream: token/tokenfile and request/anonymous in staging/src/k8s.io/apiserver/pkg/
authentication.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multidict import CIMultiDictProxy


@dataclass(frozen=True)
class User:
    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = field(default_factory=dict, hash=False)

    def info(self) -> dict[str, Any]:
        """The authentication.k8s.io/v1 UserInfo."""
        whole = {"username": self.name, "uid": self.uid, "groups": list(self.groups), "extra": self.extra}
        return {key: value for key, value in whole.items() if value}


ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))
# The user of the request that is being handled; None where the API server writes on its own account.
current_user: ContextVar[User | None] = ContextVar("current_user", default=None)


class TokenFile:
    """The tokens of one file. They are kept as digests, so that looking one up takes the same time for every guess."""

    def __init__(self, path: Path) -> None:
        self._users: dict[bytes, User] = {}
        with path.open(newline="") as file:
            for number, row in enumerate(csv.reader(file, skipinitialspace=True), 1):
                if not row or not any(row):
                    continue
                if len(row) < 3 or not row[0] or not row[1]:
                    raise ValueError(f'{path}:{number}: expected token,user,uid and optionally "group1,group2"')
                groups = tuple(g.strip() for g in row[3].split(",")) if len(row) > 3 else ()
                self._users[_digest(row[0])] = User(row[1], row[2], (*groups, "system:authenticated"))

    def authenticate(self, token: str) -> User | None:
        """The user of a token; None where there is no such token."""
        return self._users.get(_digest(token))


class Authenticator:
    """Asks the token file, then `service_accounts(token, audience)`."""

    def __init__(self, tokens: TokenFile, service_accounts: Callable[[str, str], User | None], audience: str) -> None:
        self._tokens, self._service_accounts, self.audience = tokens, service_accounts, audience

    def by_token(self, token: str) -> User | None:
        return self._tokens.authenticate(token) or self._service_accounts(token, self.audience)

    def by_headers(self, headers: CIMultiDictProxy[str]) -> User | None:
        """The user of a request: anonymous where it brings no token, None where its token is not valid."""
        given = headers.get("Authorization", "").strip()
        if not given:
            return ANONYMOUS
        scheme, _, token = given.partition(" ")
        return self.by_token(token.strip()) if scheme.lower() == "bearer" else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
