"""What was pushed, on disk: blobs once by digest, and for each repository which of them are its own.

    blobs/<hex>                                  the bytes, renamed into place when verified
    repositories/<name>/_blobs/<hex>             empty: the repository has this blob
    repositories/<name>/_manifests/<hex>         the manifest's media type; its bytes are a blob
    repositories/<name>/_tags/<tag>              a manifest's digest
    uploads/<id>                                 what has come of a blob so far

No name of a repository has a component that begins with an underscore.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kubelab.images.lock import write_atomically

DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
OLD_UPLOAD = 24 * 3600.0  # seconds after which an upload that nobody goes on with is thrown away


@dataclass(frozen=True)
class StoredManifest:
    data: bytes
    media_type: str
    digest: str


class Storage:
    def __init__(self, folder: Path) -> None:
        self._blobs, self._repositories = folder / "blobs", folder / "repositories"
        self.uploads = folder / "uploads"
        for each in (self._blobs, self._repositories, self.uploads):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Throw away uploads that ended long ago."""
        for path in self.uploads.iterdir():
            if time.time() - path.stat().st_mtime > OLD_UPLOAD:
                path.unlink(missing_ok=True)

    def _repository(self, name: str) -> Path:
        return self._repositories / name

    # -- blobs

    def blob(self, name: str, digest: str) -> Path | None:
        """The bytes of a blob that the repository has."""
        path = self._blobs / _hex(digest)
        marked = (self._repository(name) / "_blobs" / _hex(digest)).exists()
        return path if marked and path.exists() else None

    def keep_blob(self, name: str, digest: str, content: Path) -> None:
        """Take over a verified file, and note that the repository has it."""
        content.replace(self._blobs / _hex(digest))
        self.mark(name, digest)

    def adopt(self, name: str, digest: str, content: Path) -> None:
        """Keep a blob that somebody else has too: the same bytes on disk, where that is possible."""
        target = self._blobs / _hex(digest)
        if not target.exists():
            beside = self.uploads / f"adopted-{uuid.uuid4().hex}"
            try:
                beside.hardlink_to(content)
            except OSError:  # another file system
                shutil.copyfile(content, beside)
            beside.replace(target)
        self.mark(name, digest)

    def mark(self, name: str, digest: str) -> None:
        folder = self._repository(name) / "_blobs"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _hex(digest)).touch()

    def delete_blob(self, name: str, digest: str) -> bool:
        """Whether the repository had it. The bytes go with the last repository that has them."""
        try:
            (self._repository(name) / "_blobs" / _hex(digest)).unlink()
        except FileNotFoundError:
            return False
        if not any((self._repository(other) / "_blobs" / _hex(digest)).exists() for other in self.repositories()):
            (self._blobs / _hex(digest)).unlink(missing_ok=True)
        return True

    # -- manifests and tags

    def manifest(self, name: str, digest: str) -> StoredManifest | None:
        try:
            media_type = (self._repository(name) / "_manifests" / _hex(digest)).read_text()
            return StoredManifest((self._blobs / _hex(digest)).read_bytes(), media_type, digest)
        except FileNotFoundError:
            return None

    def put_manifest(self, name: str, manifest: StoredManifest) -> None:
        write_atomically(self._blobs / _hex(manifest.digest), manifest.data)
        self.mark(name, manifest.digest)
        folder = self._repository(name) / "_manifests"
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _hex(manifest.digest), manifest.media_type.encode())

    def delete_manifest(self, name: str, digest: str) -> bool:
        """Whether the repository had it. The tags that mean it go, too."""
        try:
            (self._repository(name) / "_manifests" / _hex(digest)).unlink()
        except FileNotFoundError:
            return False
        for tag in self.tags(name):
            if self.resolve(name, tag) == digest:
                self.delete_tag(name, tag)
        self.delete_blob(name, digest)
        return True

    def manifests(self, name: str) -> Iterator[StoredManifest]:
        folder = self._repository(name) / "_manifests"
        for path in sorted(folder.iterdir()) if folder.exists() else []:
            if found := self.manifest(name, f"sha256:{path.name}"):
                yield found

    def resolve(self, name: str, tag: str) -> str:
        """The digest that a tag means; "" where there is none."""
        try:
            return (self._repository(name) / "_tags" / tag).read_text()
        except FileNotFoundError:
            return ""

    def tag(self, name: str, tag: str, digest: str) -> None:
        folder = self._repository(name) / "_tags"
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / tag, digest.encode())

    def delete_tag(self, name: str, tag: str) -> bool:
        try:
            (self._repository(name) / "_tags" / tag).unlink()
        except FileNotFoundError:
            return False
        return True

    def tags(self, name: str) -> list[str]:
        folder = self._repository(name) / "_tags"
        return sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.exists() else []

    def repositories(self) -> list[str]:
        """Those that have something."""
        found = []
        for folder, below, _ in os.walk(self._repositories):
            if {"_manifests", "_blobs"} & set(below):
                found.append(str(Path(folder).relative_to(self._repositories)))
            below[:] = [each for each in below if not each.startswith("_")]
        return sorted(found)


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
