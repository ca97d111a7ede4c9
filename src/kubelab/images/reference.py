"""References: the names of images, long as registries know them and short as people write them.

Rules from https://github.com/distribution/reference (`normalize.go`, `regexp.go`): `foo` is `docker.io/library/foo`,
a missing tag is `latest`, and the short ("familiar") form is what users are shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_DOMAIN = "docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_DOMAIN = re.compile(r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.[a-zA-Z0-9-]+)*(?::[0-9]+)?")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


class InvalidReference(ValueError):
    """The name breaks the grammar; the message is upstream's."""


@dataclass(frozen=True)
class Reference:
    """A parsed name. `tag` and `digest` are empty where the name has none."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """The familiar name without tag or digest: `foo`, `user/foo`, `localhost:5000/foo`."""
        if self.domain != DEFAULT_DOMAIN:
            return f"{self.domain}/{self.path}"
        return self.path.removeprefix("library/")

    def full(self) -> str:
        """The name that leaves nothing out: `docker.io/library/foo:1`."""
        return f"{self.domain}/{self.path}:{self.tag}"

    def tagged(self) -> Reference:
        """This reference, with `latest` where it names neither tag nor digest."""
        return self if self.tag or self.digest else Reference(self.domain, self.path, "latest")

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """Parse `text` as `docker` does, raising InvalidReference where it is no name of an image."""
    if _IDENTIFIER.fullmatch(text):
        raise InvalidReference(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidReference("invalid reference format")
    domain, path = _split_domain(name)
    path, colon, tag = path.partition(":")
    if path != path.lower():
        raise InvalidReference(f"invalid reference format: repository name ({path}) must be lowercase")
    if not _PATH.fullmatch(path) or not _DOMAIN.fullmatch(domain) or (colon and not _TAG.fullmatch(tag)):
        raise InvalidReference("invalid reference format")
    if len(path) > 255:
        raise InvalidReference("repository name must not be more than 255 characters")
    return Reference(domain, path, tag, digest)


def with_tag(reference: Reference, tag: str) -> Reference:
    """The same name with the tag ("": as it is). Raises InvalidReference."""
    if tag and not _TAG.fullmatch(tag):
        raise InvalidReference("invalid tag format")
    return Reference(reference.domain, reference.path, tag or reference.tag, reference.digest)


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        first, rest = DEFAULT_DOMAIN, name
    if first == "index.docker.io":
        first = DEFAULT_DOMAIN
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest
