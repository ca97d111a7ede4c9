"""Layers: what one step of a build changed, as a tar for other engines and as a folder for overlayfs.

A layer has two names. Its *diff ID* is the digest of its tar, and says what it changes. Its *chain ID* says what it
changes and what it stands on: chain₀ = diff₀, chainₙ = sha256(chainₙ₋₁ + " " + diffₙ)
(https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid). Unpacked layers are kept by chain ID,
because a link or a whiteout means something only above the layers it was made for.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from kubelab.images.blobs import Blobs, digest_of
from kubelab.images.lock import abandoned, own_prefix, write_atomically
from kubelab.images.unpack import unpack

EMPTY_DIFF_ID = digest_of(bytes(1024))  # of a tar without entries: a step that changed no file


@dataclass(frozen=True)
class Layer:
    diff_id: str
    chain_id: str
    size: int  # bytes of the files in it


def chain_ids(diff_ids: Iterable[str]) -> Iterator[str]:
    """The chain ID at each layer, lowest first."""
    chain = ""
    for diff_id in diff_ids:
        chain = digest_of(f"{chain} {diff_id}".encode()) if chain else diff_id
        yield chain


class Layers:
    """`<chain hex>/diff/`, the unpacked files, and `<chain hex>/layer.json`, what the layer is."""

    def __init__(self, folder: Path, blobs: Blobs) -> None:
        self._folder, self._blobs = folder, blobs
        self._seen: dict[str, Layer] = {}  # a chain ID says all there is to know; only whether it is here can change
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, chain_id: str) -> Path:
        return self._folder / chain_id.removeprefix("sha256:")

    def diff(self, chain_id: str) -> Path:
        """The folder that overlayfs mounts."""
        return self._path(chain_id) / "diff"

    def get(self, chain_id: str) -> Layer:
        """What the layer is. FileNotFoundError: it is not here."""
        path = f"{self._folder}/{chain_id.removeprefix('sha256:')}/layer.json"
        if (layer := self._seen.get(chain_id)) and os.path.exists(path):  # noqa: PTH110 (asked for every layer of a list)
            return layer
        self._seen.pop(chain_id, None)
        layer = self._seen[chain_id] = Layer(**json.loads(Path(path).read_bytes()))
        return layer

    def has(self, chain_id: str) -> bool:
        return self._path(chain_id).exists()

    def whole(self, chain_id: str) -> bool:
        """Whether the layer has its tar, too: a writer that was killed may have left it without."""
        return self.has(chain_id) and self._blobs.path(self.get(chain_id).diff_id).exists()

    def diff_ids(self) -> set[str]:
        """Of every layer that is here."""
        return {self.get(f"sha256:{path.name}").diff_id for path in self._folder.iterdir() if path.name[0] != "."}

    def register(self, tar: BinaryIO, parent: str | None) -> Layer:
        """Keep `tar` (plain, not compressed) and unpack it above the layer with chain ID `parent`."""
        with self._blobs.staged(tar) as blob:
            chain_id = list(chain_ids(filter(None, [parent, blob.digest])))[-1]
            if self.has(chain_id):
                blob.keep()
                return self.get(chain_id)
            folder = Path(tempfile.mkdtemp(dir=self._folder, prefix=own_prefix()))
            try:
                (folder / "diff").mkdir(mode=0o755)
                with blob.temporary.open("rb") as content:
                    layer = Layer(blob.digest, chain_id, unpack(content, folder / "diff"))
                folder.chmod(0o755)
                (folder / "maker").write_text(str(os.getpid()))
                write_atomically(folder / "layer.json", json.dumps(asdict(layer)).encode())
                self._move_into_place(folder, chain_id)
                blob.keep()
            finally:
                remove_tree(folder)
        return layer

    def _move_into_place(self, folder: Path, chain_id: str) -> None:
        try:
            folder.rename(self._path(chain_id))
        except OSError:  # another process made the same layer meanwhile
            if not self.has(chain_id):
                raise

    def stale(self, older_than: float) -> list[str]:
        """The layers that nobody is about to use: made more than `older_than` seconds ago, or by a process that died.

        Half-made ones of that kind are removed.
        """
        found = []
        for path in self._folder.iterdir():
            if path.name.startswith("."):
                if abandoned(path, older_than):
                    remove_tree(path)
            elif self._maker_is_gone(path) or time.time() - path.stat().st_mtime > older_than:
                found.append(f"sha256:{path.name}")
        return found

    def _maker_is_gone(self, path: Path) -> bool:
        try:
            return not Path("/proc", (path / "maker").read_text()).exists()
        except FileNotFoundError:
            return False

    def delete(self, chain_id: str) -> None:
        """Forget the layer. Its tar stays until no layer has its diff ID (see ImageStore.delete)."""
        doomed = self._folder / f"{own_prefix()}deleted-{chain_id.removeprefix('sha256:')}"
        try:
            self._path(chain_id).rename(doomed)
        except FileNotFoundError:
            return
        remove_tree(doomed)


def remove_tree(folder: Path) -> None:
    """Remove a folder whose subfolders may be read-only even for their owner, as images may have them."""
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
