"""Where a COPY or ADD takes its files from: context, stage or image, with heredocs and what a URL gives added."""

from __future__ import annotations

import contextlib
import posixpath
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from kubelab.engine.builder import fetching, heredoc
from kubelab.engine.builder.copying import CopyError
from kubelab.engine.builder.dockerfile import Instruction
from kubelab.engine.builder.extra_files import ExtraFile, WithExtraFiles
from kubelab.engine.builder.source import Source

if TYPE_CHECKING:
    from kubelab.engine.builder.builder import StageState

_REPORT_EVERY = 0.5  # seconds between two lines about a download


@contextlib.asynccontextmanager
async def sources(state: StageState, step: Instruction, args: list[str]) -> AsyncIterator[tuple[list[str], Source]]:
    """The arguments with names in the place of URLs and heredocs, and the source that has all of them."""
    command, (*patterns, destination) = step.name.upper(), args
    origin = step.flags.get("from")
    source: Source = await state.builder.source(origin) if origin else state.builder.context
    files = {each.name: _text(state, each) for each in step.heredocs}
    names = [found.name if (found := heredoc.parse(each)) and step.heredocs else each for each in patterns]
    with tempfile.TemporaryDirectory(dir=state.builder.engine.home.engine, prefix="add-") as folder:
        try:
            fetching.check_checksum(step.flags.get("checksum", ""), patterns)
            for index, url in enumerate(patterns):
                if not fetching.is_url(url):
                    continue
                if command == "COPY":
                    raise CopyError("source can't be a URL for COPY")
                names[index], files[names[index]] = await _fetch(state, step, url, destination, Path(folder))
        except ValueError as error:
            raise CopyError(f"{command} failed: {error}") from None
        yield [*names, destination], WithExtraFiles(source, files) if files else source


def _text(state: StageState, text: heredoc.Heredoc) -> ExtraFile:
    content = state.builder.expanded_text(state, text.text) if text.expand else text.text
    return ExtraFile(content.encode(errors="surrogateescape"))


async def _fetch(
    state: StageState, step: Instruction, url: str, destination: str, folder: Path
) -> tuple[str, ExtraFile]:
    target = folder / secrets.token_hex(8)
    progress = _Progress(state)
    found = await fetching.fetch(url, target, step.flags.get("checksum", ""), progress.report)
    if not found.name and destination.endswith("/"):
        raise CopyError(f"cannot determine filename for source {url}")
    name = found.name or posixpath.basename(destination)
    return name, ExtraFile(target, 0o600, found.mtime, fetched=True)


class _Progress:
    """`Downloading` lines, as those of a pull."""

    def __init__(self, state: StageState) -> None:
        self._state, self._last = state, 0.0

    async def report(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < _REPORT_EVERY and done != total:
            return
        self._last = now
        detail = {"current": done, **({"total": total} if total else {})}
        await self._state.builder.send({"status": "Downloading", "progressDetail": detail})
