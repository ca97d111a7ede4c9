"""What goes wrong with a registry, in dockerd's words (moby: distribution/errors.go, registry/errors.go)."""

from __future__ import annotations

import json
from dataclasses import replace

from kubelab.images.reference import Reference

LASTING = ("UNAUTHORIZED", "DENIED", "UNSUPPORTED", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "NAME_UNKNOWN")
# distribution: registry/api/errcode/register.go and v2/errors.go, the codes' own messages
_WORDS = {"NAME_UNKNOWN": "name unknown", "UNAUTHORIZED": "unauthorized", "DENIED": "denied"}


class RegistryError(Exception):
    """What went wrong. `status`: HTTP's, for the client of our own API; `code`: the registry's; `passes`: another
    attempt may do."""

    def __init__(self, message: str, status: int = 500, code: str = "", *, passes: bool = False) -> None:
        super().__init__(message)
        self.status, self.code, self.passes = status, code, passes


class Interrupted(RegistryError):
    """The connection was lost."""

    def __init__(self, message: str) -> None:
        super().__init__(message, passes=True)


def of_answer(reference: Reference, status: int, body: bytes, *, pushing: bool) -> RegistryError:
    """The error in a registry's answer. One that says nothing in the protocol's terms lasts, as in dockerd."""
    code, said = message(body)
    name = replace(reference, tag="", digest="")
    passes = bool(code) and code not in LASTING
    if pushing:
        return RegistryError(said or unexpected(status), 500, code, passes=passes)
    if code in ("UNAUTHORIZED", "DENIED"):
        text = f"pull access denied for {name}, repository does not exist or may require 'docker login': {said}"
        return RegistryError(text, 404, code)
    if code == "NAME_UNKNOWN":
        return RegistryError(f"repository {name} not found: {said}", 404, code)
    if code == "MANIFEST_UNKNOWN" or (status == 404 and code != "BLOB_UNKNOWN"):
        return RegistryError(f"manifest for {reference} not found: {said}", 404, code)
    if code == "TOOMANYREQUESTS":
        return RegistryError(said, 429, code, passes=True)
    return RegistryError(said or unexpected(status), 500, code, passes=passes)


def unexpected(status: int) -> str:
    return f"received unexpected HTTP status: {status}"


def message(body: bytes) -> tuple[str, str]:
    """Code and words of a registry's error: `manifest unknown: manifest unknown`."""
    try:
        error = json.loads(body)["errors"][0]
        code, text = str(error.get("code") or ""), str(error.get("message") or "")
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return "", body.decode(errors="replace")[:200].strip()
    return code, f"{_WORDS.get(code, code.lower().replace('_', ' '))}: {text}"
