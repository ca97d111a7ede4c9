"""Acting as somebody else: `kubectl --as`, `--as-group`, `--as-uid`.

Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/filters/impersonation.go. Each thing that is claimed (the user or
service account, every group, the uid, every extra) has to be allowed by the verb `impersonate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.authentication import ANONYMOUS, User
from kubelab.cluster.apiserver.authorization import Attributes, Authorizer

USER, GROUP, UID, EXTRA = "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-"
ACCOUNT = "system:serviceaccount:"
AUTHENTICATION = "authentication.k8s.io"


def acting_as(user: User, headers: CIMultiDictProxy[str], authorizer: Authorizer) -> User:
    """The user that a request is to be taken for. Raises 403, and 500 for groups without a user, as upstream does."""
    name, groups, uid = headers.get(USER, ""), headers.getall(GROUP, []), headers.get(UID, "")
    extra: dict[str, list[str]] = {}
    for header, value in headers.items():
        if header.lower().startswith(EXTRA.lower()):
            extra.setdefault(unquote(header[len(EXTRA) :]).lower(), []).append(value)
    if not name:
        if groups or uid or extra:
            raise errors.internal("requested impersonation without impersonating a user")
        return user
    for claim in _claims(user, name, groups, uid, extra):
        authorizer.check(claim)
    return User(name, uid, tuple(_groups(name, groups)), extra)


def _claims(user: User, name: str, groups: list[str], uid: str, extra: dict[str, list[str]]) -> Iterator[Attributes]:
    namespace, account = _account(name)
    if account:
        yield Attributes(
            user, "impersonate", version="v1", resource="serviceaccounts", namespace=namespace, name=account
        )
    else:
        yield Attributes(user, "impersonate", version="v1", resource="users", name=name)
    for group in groups:
        yield Attributes(user, "impersonate", version="v1", resource="groups", name=group)
    for key, values in extra.items():
        for value in values:
            yield Attributes(user, "impersonate", AUTHENTICATION, "v1", "userextras", key, name=value)
    if uid:
        yield Attributes(user, "impersonate", AUTHENTICATION, "v1", "uids", name=uid)


def _account(name: str) -> tuple[str, str]:
    """(namespace, name) of a service account's user name; ("", "") of any other."""
    parts = name.removeprefix(ACCOUNT).split(":")
    return (parts[0], parts[1]) if name.startswith(ACCOUNT) and len(parts) == 2 and all(parts) else ("", "")


def _groups(name: str, groups: list[str]) -> list[str]:
    """The groups that were asked for, those of a service account where none were, and the one that everybody is in."""
    namespace, account = _account(name)
    if account and not groups:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    everyone = ANONYMOUS.groups[0] if name == ANONYMOUS.name else "system:authenticated"
    known = {"system:authenticated", ANONYMOUS.groups[0]}
    return list(groups) if known & set(groups) else [*groups, everyone]
