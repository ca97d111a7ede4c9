"""Which credentials an image's registry may be given: those of a pod's imagePullSecrets.

Upstream: pkg/credentialprovider/{config,keyring}.go. An entry of a docker config names a registry, perhaps with a path
and with `*` for a part of the host's name; the longest that fits is tried first.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
from collections.abc import Iterable
from typing import Any

from kubelab.images.reference import DEFAULT_DOMAIN, Reference
from kubelab.images.registry.auth import Credentials

DOCKER_HUB = ("index.docker.io", "docker.io", "registry-1.docker.io")
# type of the secret -> key of its data
KINDS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}


def credentials_for(reference: Reference, secrets: Iterable[dict[str, Any]]) -> list[Credentials]:
    """The best first; empty where no secret knows the registry."""
    found = []
    for secret in secrets:
        for location, entry in _entries(secret).items():
            place = location.partition("://")[2] or location
            if _fits(place.rstrip("/"), reference):
                found.append((place, _credentials(entry)))
    return [credentials for _, credentials in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _entries(secret: dict[str, Any]) -> dict[str, Any]:
    """Registry -> entry of one secret; nothing of a secret of another type, or one that cannot be read."""
    key = KINDS.get(secret.get("type", ""))
    try:
        config = json.loads(base64.b64decode((secret.get("data") or {})[key or ""]))
    except (KeyError, ValueError):
        return {}
    entries = config.get("auths", {}) if key == ".dockerconfigjson" else config
    return entries if isinstance(entries, dict) else {}


def _fits(place: str, reference: Reference) -> bool:
    host, _, path = place.partition("/")
    if reference.domain == DEFAULT_DOMAIN:
        return (host in DOCKER_HUB and path.rstrip("/") in ("", "v1", "v2")) or (
            host in DOCKER_HUB and f"{reference.path}/".startswith(f"{path}/")
        )
    pattern, _, port = host.partition(":")
    name, _, own_port = reference.domain.partition(":")
    if port != own_port or pattern.count(".") != name.count("."):
        return False
    in_path = path in ("", "v1", "v2") or reference.path.startswith(path)
    return in_path and all(map(fnmatch.fnmatchcase, name.split("."), pattern.split(".")))


def _credentials(entry: dict[str, str]) -> Credentials:
    """`auth` is base64 of `name:password` and goes before the two apart."""
    try:
        name, colon, password = base64.b64decode(entry.get("auth") or "").decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if colon:
        return Credentials(name, password.rstrip("\0"), entry.get("identitytoken") or "")
    return Credentials.of(entry)
