"""Who may talk to the API server: one bearer token a user, in kube-apiserver's token file and in the kubeconfigs.

Upstream: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file; the users and
groups are those that `kubeadm` gives to each component.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from kubelab.home import Home

from .pki import write_private


@dataclass(frozen=True)
class User:
    name: str
    groups: tuple[str, ...] = ()


def users(nodes: list[str]) -> dict[str, User]:
    """Component (as in `Home.component_kubeconfig`) -> its user; "admin" is the student's."""
    return {
        "admin": User("kubernetes-admin", ("system:masters",)),
        "kube-controller-manager": User("system:kube-controller-manager"),
        "kube-scheduler": User("system:kube-scheduler"),
        **{node: User(f"system:node:{node}", ("system:nodes",)) for node in nodes},
    }


def kept_tokens(home: Home, names: list[str]) -> dict[str, str]:
    """A token a name: those of an earlier start where they are still there, so that a student's shell stays valid."""
    path = home.pki / "tokens.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    tokens = {name: known.get(name) or secrets.token_urlsafe(32) for name in names}
    if tokens != known:
        write_private(path, json.dumps(tokens).encode())
    return tokens


def write_token_file(path: Path, who: dict[str, User], tokens: dict[str, str]) -> None:
    """`token,user,uid,"group1,group2"`, a line each."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for component, user in who.items():
        rows.writerow([tokens[component], user.name, user.name, *([",".join(user.groups)] if user.groups else [])])
    write_private(path, text.getvalue().encode())


def write_kubeconfig(path: Path, server: str, authority: bytes, user: User, token: str) -> None:
    """A kubeconfig as `kubeadm` writes it, but with a token. JSON, which is YAML too and needs no library."""
    context = f"{user.name}@kubelab"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "kubelab",
                "cluster": {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()},
            }
        ],
        "users": [{"name": user.name, "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": "kubelab", "user": user.name}}],
        "current-context": context,
        "preferences": {},
    }
    write_private(path, (json.dumps(config, indent=2) + "\n").encode())
