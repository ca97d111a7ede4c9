"""Have `kubelab/python` made: the first start of the engines waits for it, a later one only has it checked."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from kubelab.home import Home

from .child import StartError, describe

TIMEOUT = 120.0  # seconds


async def make_base_image(home: Home) -> None:
    """Run `python -m kubelab.images.base`. StartError where it fails."""
    path = home.log / "base-image.log"
    with path.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kubelab.images.base"), stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL
        )
    try:
        code = await asyncio.wait_for(process.wait(), TIMEOUT)
    except TimeoutError:
        raise StartError(f"the base image took longer than {TIMEOUT:.0f} s. Its log: {path}") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    if code:
        raise StartError(f"the base image could not be made ({describe(code)}). Its log: {path}")
