"""`make screenshots`: the chapters run in JupyterLab as a student does it, and a picture of every lab, light and dark.

Pictures go to screenshots/LAB_THEME.png (not in git); the best of them are shown in README.md, from docs/. With
ARGS="03 04" only these chapters; any other notebook by its path.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, expect, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "screenshots"
LABS = ".kl-lab, .kl-panel"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE = 300  # seconds for a chapter


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/screenshots.py", description=__doc__)
    parser.add_argument("chapters", nargs="*", help="numbers such as 04, or notebooks' paths; all chapters by default")
    parser.add_argument("--width", type=int, default=1280, help="of the window, in pixels")
    arguments = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    with jupyterlab() as (folder, url, token), sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": arguments.width, "height": 1500})
        draw_everything(page, url, token)
        for notebook in notebooks(arguments.chapters):
            shutil.copy(notebook, folder / "notebooks" / notebook.name)
            opened(page, f"{url}/lab/tree/notebooks/{notebook.name}?token={token}&reset")
            until_done(page)
            for theme, name in THEMES.items():
                choose(page, "Settings", "Theme", name)
                photograph(page, theme)
        browser.close()
    return 0


def notebooks(chosen: list[str]) -> list[Path]:
    if not chosen:
        return sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    found = [
        Path(each) if each.endswith(".ipynb") else next((ROOT / "notebooks").glob(f"{each}_*.ipynb")) for each in chosen
    ]
    return [each.resolve() for each in found]


@contextmanager
def jupyterlab() -> Iterator[tuple[Path, str, str]]:
    """A JupyterLab on engines of its own: its folder, its address, its token."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as scratch:
        folder, token = Path(scratch, "course"), secrets.token_hex(16)
        (folder / "notebooks").mkdir(parents=True)
        for name in ("manifests", "apps", "docs"):
            (folder / name).symlink_to(ROOT / name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {**os.environ, "KUBELAB_HOME": f"{scratch}/home", "JUPYTER_CONFIG_DIR": f"{scratch}/config"}
        command = [sys.executable, "-m", "kubelab.cli", "lab", f"--port={port}", "--", "--no-browser"]
        shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", folder / "notebooks")
        with Path(scratch, "log").open("wb") as log:
            options = {"cwd": folder, "env": environment, "stdout": log, "stderr": log}
            lab = subprocess.Popen([*command, f"--IdentityProvider.token={token}"], **options)
        try:
            url = f"http://localhost:{port}"
            wait_for(f"{url}/api?token={token}", lab)
            yield folder, url, token
        finally:
            lab.terminate()
            lab.wait(30)
            subprocess.run([sys.executable, "-m", "kubelab.cli", "down"], env=environment, check=False)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("JupyterLab did not start")


def opened(page: Page, url: str) -> None:
    """Open a notebook and run all its cells to the end."""
    page.goto(url)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.locator(".jp-StatusBar-TextItem", has_text="| Idle").wait_for()
    choose(page, "Run", "Run All Cells")


def draw_everything(page: Page, url: str, token: str) -> None:
    """JupyterLab leaves out cells that are far from what is seen; here they shall all be drawn."""
    settings = f"{url}/lab/api/settings/{quote('@jupyterlab/notebook-extension:tracker', safe='/:')}"
    headers = {"Authorization": f"token {token}"}
    page.request.put(settings, headers=headers, data={"raw": '{"windowingMode": "none"}'})


def choose(page: Page, menu: str, *items: str) -> None:
    """A menu's item, by way of its submenus."""
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{menu}$")).click()
    for item in items[:-1]:
        page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}$")).hover()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{items[-1]}$")).first.click()


def until_done(page: Page) -> None:
    """Until the last cell with code has its number: `[12]:` in place of `[*]:` or `[ ]:`."""
    last = page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt").last
    expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=PATIENCE * 1000)


def photograph(page: Page, theme: str) -> None:
    """One picture a lab, named by its kind: what the page shows is drawn where it is scrolled to."""
    page.wait_for_timeout(1000)
    seen: dict[str, int] = {}
    for number in range(page.locator(LABS).count()):
        lab = page.locator(LABS).nth(number)
        lab.scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        name = (lab.get_attribute("data-lab") or "failure_panel").replace("×", "x").replace(" ", "_")
        seen[name] = seen.get(name, 0) + 1
        suffix = f"_{seen[name]}" if seen[name] > 1 else ""
        lab.screenshot(path=PICTURES / f"{name}{suffix}_{theme}.png")
        print(f"screenshots/{name}{suffix}_{theme}.png")


if __name__ == "__main__":
    sys.exit(main())
