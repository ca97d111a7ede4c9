"""Who is asking: bearer tokens from a file, as kube-apiserver's `--token-auth-file`.

A line is `token,user,uid` with an optional quoted list of groups. Everyone with a valid token may do everything:
the lab has one owner. Upstream: staging/src/k8s.io/apiserver/pkg/authentication/token/tokenfile.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class User:
    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()


ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))


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

    def authenticate(self, authorization: str) -> User | None:
        """The user of an `Authorization` header; None where there is no such token."""
        scheme, _, token = authorization.strip().partition(" ")
        return self._users.get(_digest(token.strip())) if scheme.lower() == "bearer" else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
