"""Read one cluster's address and credentials from a kubeconfig file.

Format: client-go's tools/clientcmd/api/v1. A component of ours is given a bearer token and the cluster's certificate
authority, so only those are read; a kubeconfig that asks for more is refused rather than half honoured.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HONOURED_CLUSTER = {
    "server",
    "certificate-authority",
    "certificate-authority-data",
    "insecure-skip-tls-verify",
    "extensions",
}
HONOURED_USER = {"token", "tokenFile"}


class KubeconfigError(ValueError):
    """The kubeconfig cannot be used; the message says which file, which field, and what to do."""


@dataclass(frozen=True)
class Kubeconfig:
    """What a client needs: `server` is a URL without a trailing slash, `ca_pem` the authority's certificate or None."""

    server: str
    token: str = ""
    ca_pem: str | None = None
    insecure_skip_tls_verify: bool = False
    namespace: str = "default"


def read(path: str | Path, context: str = "") -> Kubeconfig:
    """Read `path` and resolve one context (default: `current-context`).

    Raises KubeconfigError where the file is absent, malformed, or asks for a way to log in that is not honoured here.
    """
    path = Path(path)
    try:
        config = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise KubeconfigError(f"{path}: no such file; is the cluster up? `kubelab up` writes it") from None
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{path}: not a kubeconfig: {error}") from None
    if not isinstance(config, dict):
        raise KubeconfigError(f"{path}: not a kubeconfig: expected a mapping")
    chosen = _named(config, "contexts", "context", context or config.get("current-context") or "", path)
    cluster = _named(config, "clusters", "cluster", chosen.get("cluster", ""), path)
    user = _named(config, "users", "user", chosen["user"], path) if chosen.get("user") else {}
    _refuse_unknown(path, "cluster", cluster, HONOURED_CLUSTER)
    _refuse_unknown(path, "user", user, HONOURED_USER)
    if not cluster.get("server"):
        raise KubeconfigError(f'{path}: cluster "{chosen.get("cluster")}" has no server')
    return Kubeconfig(
        server=cluster["server"].rstrip("/"),
        token=_token(path, user),
        ca_pem=_certificate_authority(path, cluster),
        insecure_skip_tls_verify=bool(cluster.get("insecure-skip-tls-verify")),
        namespace=chosen.get("namespace") or "default",
    )


def _named(config: dict[str, Any], section: str, key: str, name: str, path: Path) -> dict[str, Any]:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            return entry.get(key) or {}
    raise KubeconfigError(f'{path}: {key} "{name}" does not exist; `{section}` has to name it')


def _refuse_unknown(path: Path, what: str, given: dict[str, Any], honoured: set[str]) -> None:
    unknown = sorted(key for key, value in given.items() if value and key not in honoured)
    if unknown:
        raise KubeconfigError(
            f"{path}: {what} uses {', '.join(unknown)}, which is not supported here; use {', '.join(sorted(honoured))}"
        )


def _token(path: Path, user: dict[str, Any]) -> str:
    if user.get("tokenFile"):
        return _beside(path, user["tokenFile"]).read_text().strip()
    return user.get("token") or ""


def _certificate_authority(path: Path, cluster: dict[str, Any]) -> str | None:
    data = cluster.get("certificate-authority-data")
    if data:
        try:
            return base64.b64decode(data, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            raise KubeconfigError(f"{path}: certificate-authority-data is not a base64-encoded PEM file") from None
    if cluster.get("certificate-authority"):
        return _beside(path, cluster["certificate-authority"]).read_text()
    return None


def _beside(path: Path, other: str) -> Path:
    """Relative paths in a kubeconfig are relative to the file, as client-go resolves them."""
    return path.parent / other
