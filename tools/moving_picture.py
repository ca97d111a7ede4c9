"""Makes docs/deadlock.webp, which README.md shows: the failure panel while a deadlock is found and repaired.

.venv/bin/python tools/moving_picture.py          # about a minute; needs Chromium
"""

from __future__ import annotations

import io
import shutil
import sys
import time
from pathlib import Path

import nbformat
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from tools.screenshots import FLAGS, ROOT, draw_everything, jupyterlab, opened, until_done

CELLS = (
    'from kubelab import course\nlab = course.start("04")',
    'for name in ("with", "without"):\n    lab.apply(f"{name}_probe.yaml")\n    lab.wait_for(f"pod/{name}-probe")',
    "from kubelab.widgets.failure_panel import FailurePanel\nFailurePanel(lab, predict=False)",
)
EVERY, LENGTH = 0.4, 11.0  # seconds between two pictures, and of the whole
WIDTH = 900  # pixels
PICTURE = ROOT / "docs" / "deadlock.webp"


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with jupyterlab() as (folder, url, token), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1250, "height": 1400})
        draw_everything(page, url, token)
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
        nbformat.write(notebook, folder / "notebooks" / "deadlock.ipynb")
        opened(page, f"{url}/lab/tree/notebooks/deadlock.ipynb?token={token}&reset")
        until_done(page)
        frames = alike(record(page))
        browser.close()
    frames[0].save(
        PICTURE, save_all=True, append_images=frames[1:], duration=int(EVERY * 1000), loop=0, quality=60, method=4
    )
    print(f"{PICTURE.relative_to(ROOT)}: {len(frames)} pictures, {PICTURE.stat().st_size / 1000:.0f} kB")
    return 0


def record(page: Page) -> list[Image.Image]:
    """A second of calm, the button Deadlock, and what comes of it."""
    panel = page.locator(".kl-panel")
    panel.scroll_into_view_if_needed()
    expect(panel.locator("tr[data-name='with-probe']")).to_have_attribute("data-state", "ready")
    panel.locator("tr[data-name='with-probe'] input").check()
    frames, began, pressed = [], time.monotonic(), False
    while (passed := time.monotonic() - began) < LENGTH:
        if passed > 1 and not pressed:
            panel.get_by_role("button", name="Deadlock").click()
            pressed = True
        frames.append(frame(panel.screenshot()))
        page.wait_for_timeout(max(0.0, EVERY - (time.monotonic() - began - passed)) * 1000)
    return frames


def alike(frames: list[Image.Image]) -> list[Image.Image]:
    """All as tall as the tallest: the panel grows with its events."""
    height = max(each.height for each in frames)
    grown = [Image.new("RGB", (WIDTH, height), each.getpixel((2, 2))) for each in frames]
    for whole, each in zip(grown, frames, strict=True):
        whole.paste(each)
    return grown


def frame(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    return picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    sys.exit(main())
