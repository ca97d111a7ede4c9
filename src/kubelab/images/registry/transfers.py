"""What a layer was when it was last moved: its compressed digest and size, so that it need not be compressed again.

moby keeps the same (distribution/metadata/v2_metadata_service.go). Losing it costs time, nothing else.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from kubelab.images.lock import locked, write_atomically
from kubelab.images.registry.manifests import Descriptor


class Transfers:
    """`distribution.json` in the store's folder: diff ID → descriptor."""

    def __init__(self, folder: Path) -> None:
        self._path, self._lock = folder / "distribution.json", folder / "lock"

    def _all(self) -> dict[str, dict[str, object]]:
        try:
            return json.loads(self._path.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}

    def get(self, diff_id: str) -> Descriptor | None:
        found = self._all().get(diff_id)
        return Descriptor(**found) if found else None  # type: ignore[arg-type]

    def add(self, diff_id: str, descriptor: Descriptor) -> None:
        with locked(self._lock):
            write_atomically(self._path, json.dumps(self._all() | {diff_id: asdict(descriptor)}).encode())
