"""What a repository has, pushed or the engine's own; what was pushed goes first."""

from __future__ import annotations

from pathlib import Path

from kubelab.images.registry.server.lab_images import LabImages
from kubelab.images.registry.server.storage import DIGEST, Storage, StoredManifest
from kubelab.images.store import ImageStore


class Content:
    def __init__(self, folder: Path, store: ImageStore) -> None:
        self.pushed, self.lab = Storage(folder), LabImages(store)

    def repositories(self) -> list[str]:
        return sorted({*self.pushed.repositories(), *self.lab.repositories()})

    def tags(self, name: str) -> list[str]:
        return sorted({*self.pushed.tags(name), *self.lab.tags(name)})

    def blob(self, name: str, digest: str) -> Path | None:
        return self.pushed.blob(name, digest) or self.lab.blob(name, digest)

    def keep(self, name: str, digest: str) -> bool:
        """See that a blob stays when the engine's image that it belongs to goes. False where there is no such blob."""
        if self.pushed.blob(name, digest):
            return True
        path = self.lab.blob(name, digest)
        if path is None:
            return False
        self.pushed.adopt(name, digest, path)
        return True

    def manifest(self, name: str, reference: str) -> StoredManifest | None:
        """By tag or digest."""
        digest = reference if DIGEST.fullmatch(reference) else self.pushed.resolve(name, reference)
        found = self.pushed.manifest(name, digest) if digest else None
        return found or self.lab.manifest(name, reference)
