"""Manifests: which config and layers make an image, and which of several images is for this platform.

Docker's schema 2 and the OCI image spec (https://github.com/opencontainers/image-spec/blob/main/manifest.md,
image-index.md) say the same in other media types. Schema 1 and what is no image are refused by name.
"""

from __future__ import annotations

import json
import platform as host
import re
from dataclasses import dataclass
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPTED = (MANIFEST, MANIFEST_LIST, OCI_MANIFEST, OCI_INDEX)
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
# moby: distribution/config.go; the last four are what old registries and builders said
CONFIGS = (
    CONFIG,
    OCI_CONFIG,
    "application/octet-stream",
    "application/json",
    "text/html",
    "",
)
CLASSES = {"application/vnd.docker.plugin.v1+json": "plugin"}  # what a config may be of, if not of an image
SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
FOREIGN = ("foreign", "nondistributable")  # in the media type of a layer that its registry may not hold
MAX_SIZE = 4 << 20  # bytes of a manifest or config: distribution's own limit
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "ppc64le": "ppc64le"}
_SYSTEMS = ("linux", "windows", "darwin", "freebsd")
_ARCHITECTURES = ("amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "mips64le", "loong64")


class InvalidManifest(ValueError):
    """The registry's answer describes no image that can be pulled; the message says why."""


@dataclass(frozen=True)
class Platform:
    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def here(cls) -> Platform:
        return cls("linux", _MACHINES.get(host.machine(), host.machine()))

    @classmethod
    def parse(cls, text: str) -> Platform:
        """`linux/arm64/v8`, `arm64` or `linux`; "" is this machine. Raises ValueError with containerd's words."""
        parts = text.split("/")
        if not text:
            return cls.here()
        if len(parts) == 1:
            name = _MACHINES.get(parts[0], parts[0])
            if name in _SYSTEMS:
                return cls(name, cls.here().architecture)
            if name in _ARCHITECTURES:
                return cls("linux", name)
            raise ValueError(f'"{text}": unknown operating system or architecture: invalid argument')
        if len(parts) > 3 or not all(parts):
            raise ValueError(f'"{text}": cannot parse platform specifier: invalid argument')
        return cls(parts[0], _MACHINES.get(parts[1], parts[1]), parts[2] if len(parts) == 3 else "")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True)
class Descriptor:
    """A blob: what it is, its digest, its size in bytes."""

    media_type: str
    digest: str
    size: int

    @classmethod
    def of(cls, found: Any) -> Descriptor:
        if not isinstance(found, dict):
            raise InvalidManifest("invalid manifest: a descriptor is expected")
        media_type, digest, size = found.get("mediaType"), found.get("digest"), found.get("size")
        if not isinstance(digest, str) or not DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0:
            raise InvalidManifest(f"invalid manifest: {found!r} is no descriptor with a sha256 digest and a size")
        return cls(str(media_type or ""), digest, size)


@dataclass(frozen=True)
class Manifest:
    config: Descriptor
    layers: tuple[Descriptor, ...]


def parse(data: bytes, media_type: str, name: object = "it") -> Manifest | list[tuple[Descriptor, dict[str, Any]]]:
    """A manifest, or a list's (descriptor, platform)s. Raises InvalidManifest. `name`: whose it is, for errors."""
    try:
        found = json.loads(data)
        version = found.get("schemaVersion")
    except (ValueError, AttributeError, RecursionError):
        raise InvalidManifest("invalid manifest: a JSON object is expected") from None
    kind = found.get("mediaType") or media_type
    if version == 1 or kind in SCHEMA_1:
        raise InvalidManifest(schema_1(name))
    if version != 2:
        raise InvalidManifest(f"invalid manifest: schemaVersion 2 is expected, not {version!r}")
    if kind in (MANIFEST_LIST, OCI_INDEX) or "manifests" in found:
        items = found.get("manifests")
        if not isinstance(items, list):
            raise InvalidManifest("invalid manifest: a list of manifests is expected")
        return [(Descriptor.of(each), _platform(each)) for each in items]
    if not isinstance(found.get("layers"), list):
        raise InvalidManifest(f"unsupported media type {kind}: it lists no layers")
    config = Descriptor.of(found.get("config"))
    if config.media_type not in CONFIGS:
        # moby: distribution/errors.go, invalidManifestClassError
        what = CLASSES.get(config.media_type, "unknown")
        raise InvalidManifest(f'Encountered remote "{config.media_type}"({what}) when fetching')
    return Manifest(config, tuple(_layer(each) for each in found["layers"]))


def schema_1(name: object) -> str:
    """moby: distribution/pull_v2.go, DeprecatedSchema1ImageError."""
    return (
        "[DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, schema 1 support is disabled "
        f"by default and will be removed in an upcoming release. Suggest the author of {name} to upgrade the image to "
        "the OCI Format or Docker Image manifest v2, schema 2. More information at "
        "https://docs.docker.com/go/deprecated-image-specs/"
    )


def _layer(found: Any) -> Descriptor:
    layer = Descriptor.of(found)
    if any(word in layer.media_type for word in FOREIGN):
        raise InvalidManifest(
            f"layer {layer.digest} is a foreign layer ({layer.media_type}), which is kept elsewhere than in this "
            "registry: this engine fetches none"
        )
    return layer


def _platform(found: Any) -> dict[str, Any]:
    platform = found.get("platform")
    return platform if isinstance(platform, dict) else {}


def choose(items: list[tuple[Descriptor, dict[str, Any]]], wanted: Platform) -> Descriptor:
    """The first manifest of a list for this platform; one of the wanted variant goes before others."""
    fitting = [
        (descriptor, each)
        for descriptor, each in items
        if (each.get("os"), each.get("architecture")) == (wanted.os, wanted.architecture)
        and (not wanted.variant or each.get("variant", "") in ("", wanted.variant))
    ]
    if not fitting:
        raise InvalidManifest(f"no matching manifest for {wanted} in the manifest list entries")
    fitting.sort(key=lambda item: item[1].get("variant", "") != wanted.variant)
    return fitting[0][0]


def render(config: Descriptor, layers: list[Descriptor]) -> bytes:
    """A manifest of schema 2, indented as Docker's own is."""

    def described(each: Descriptor) -> dict[str, Any]:
        return {"mediaType": each.media_type, "size": each.size, "digest": each.digest}

    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(config),
        "layers": [described(layer) for layer in layers],
    }
    return json.dumps(manifest, indent=3).encode()
