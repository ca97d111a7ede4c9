"""Blobs: bytes kept under the name that their own content gives them.

Layout as in the OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md):
`sha256/<hex>`. Writing the same bytes twice is writing them once, which is how images share what they have in common.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kubelab.images.lock import abandoned, own_prefix

CHUNK = 1 << 20


def digest_of(data: bytes) -> str:
    """The digest of `data`: `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class StagedBlob:
    digest: str
    temporary: Path
    path: Path

    def keep(self) -> None:
        self.temporary.replace(self.path)


class Blobs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / "sha256"
        self._folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        algorithm, _, encoded = digest.partition(":")
        if algorithm != "sha256" or len(encoded) != 64 or set(encoded) - set("0123456789abcdef"):
            raise ValueError(f"{digest!r} is not a digest: sha256: and 64 hex digits are expected")
        return self._folder / encoded

    def put(self, source: BinaryIO) -> str:
        """Copy `source` to its end into the store and return its digest."""
        with self.staged(source) as blob:
            blob.keep()
        return blob.digest

    @contextlib.contextmanager
    def staged(self, source: BinaryIO) -> Iterator[StagedBlob]:
        """Copy `source` to a file that becomes a blob with `keep()`; without it, it is gone afterwards."""
        hasher = hashlib.sha256()
        fd, temporary = tempfile.mkstemp(dir=self._folder, prefix=own_prefix())
        try:
            with os.fdopen(fd, "wb") as file:
                while chunk := source.read(CHUNK):
                    hasher.update(chunk)
                    file.write(chunk)
            digest = "sha256:" + hasher.hexdigest()
            yield StagedBlob(digest, Path(temporary), self.path(digest))
        finally:
            Path(temporary).unlink(missing_ok=True)

    def read(self, digest: str) -> bytes:
        return self.path(digest).read_bytes()

    def sweep(self, kept: Collection[str], older_than: float) -> None:
        """Delete every blob that is not `kept`, and half-made ones that nobody will finish."""
        for path in self._folder.iterdir():
            unwanted = abandoned(path, older_than) if path.name.startswith(".") else f"sha256:{path.name}" not in kept
            if unwanted:
                path.unlink(missing_ok=True)

    def delete(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)
