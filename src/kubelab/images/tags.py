"""Tags: which image a name means. One JSON file, replaced whole under a lock, read without one."""

from __future__ import annotations

import json
from pathlib import Path

from kubelab.images.lock import write_atomically
from kubelab.images.reference import Reference


class Tags:
    """`repositories.json`: familiar reference → image ID. Writers hold the store's lock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> dict[str, str]:
        try:
            return json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}

    def get(self, reference: Reference) -> str | None:
        return self.all().get(str(reference.tagged()))

    def set(self, reference: Reference, image_id: str) -> None:
        self._write(self.all() | {str(reference.tagged()): image_id})

    def remove(self, reference: Reference) -> None:
        self._write({name: id for name, id in self.all().items() if name != str(reference.tagged())})

    def of(self, image_id: str) -> list[str]:
        """The names of an image, sorted: with a tag, or with the digest that a registry knows it by."""
        return sorted(name for name, id in self.all().items() if id == image_id)

    def _write(self, tags: dict[str, str]) -> None:
        write_atomically(self._path, json.dumps(tags, indent=1, sort_keys=True).encode())
