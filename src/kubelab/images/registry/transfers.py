"""What a layer was when it was last moved: its compressed digest and size, so that it need not be compressed again.

moby keeps the same (distribution/metadata/v2_metadata_service.go). Losing it costs time, nothing else.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kubelab.images.lock import locked, write_atomically
from kubelab.images.registry.manifests import Descriptor

MOST = 10  # repositories remembered of a layer


class Transfers:
    """`distribution.json` in the store's folder: diff ID → descriptor, and the repositories that hold it."""

    def __init__(self, folder: Path) -> None:
        self._path, self._lock = folder / "distribution.json", folder / "lock"

    def _all(self) -> dict[str, dict[str, Any]]:
        try:
            return json.loads(self._path.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}

    def get(self, diff_id: str) -> Descriptor | None:
        found = self._all().get(diff_id)
        return Descriptor(found["media_type"], found["digest"], found["size"]) if found else None

    def repositories(self, diff_id: str) -> list[str]:
        """Where the layer was last seen with that digest, "domain/path", the latest first."""
        return list(self._all().get(diff_id, {}).get("repositories", []))

    def add(self, diff_id: str, descriptor: Descriptor, repository: str) -> None:
        with locked(self._lock):
            known = self._all()
            before = known.get(diff_id, {})
            same = before.get("digest") == descriptor.digest
            others = [each for each in before.get("repositories", []) if each != repository] if same else []
            known[diff_id] = asdict(descriptor) | {"repositories": [repository, *others][:MOST]}
            write_atomically(self._path, json.dumps(known).encode())
