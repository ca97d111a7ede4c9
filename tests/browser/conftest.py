"""JupyterLab as a student has it, in a real browser: `kubelab lab` on running engines, and the system's Chromium.

Screenshots go to screenshots/ (not in git), one a name, so that a person can look at them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from harness import eventually
from kubelab.home import Home

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "screenshots"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 20_000  # milliseconds for one step in the page


@dataclass(frozen=True)
class Desk:
    """A running JupyterLab: its folder, its address, its token."""

    folder: Path
    url: str
    token: str

    def put(self, notebook: str, until: str = "") -> str:
        """Copy a chapter into the folder; with `until`, only up to the first cell that holds this text."""
        chapter = nbformat.read(ROOT / "notebooks" / notebook, as_version=4)
        if until:
            last = next(number for number, cell in enumerate(chapter.cells) if until in cell.source)
            chapter.cells = chapter.cells[: last + 1]
        nbformat.write(chapter, self.folder / "notebooks" / notebook)
        return f"{self.url}/lab/tree/notebooks/{notebook}?token={self.token}&reset"


@pytest.fixture(scope="module")  # its event loop must have ended before asynchronous tests begin
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not on PATH")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def desk(best_engines: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder, token, port = tmp_path_factory.mktemp("desk"), secrets.token_hex(16), _free_port()
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", folder / "notebooks")
    command = [sys.executable, "-m", "kubelab.cli", "lab", f"--port={port}", "--"]
    options = [f"--IdentityProvider.token={token}", "--no-browser"]
    environment = {**os.environ, "KUBELAB_HOME": str(best_engines.path), "JUPYTER_CONFIG_DIR": str(folder / "config")}
    with (folder / "lab.log").open("wb") as log:
        lab = subprocess.Popen([*command, *options], cwd=folder, env=environment, stdout=log, stderr=log)
    url = f"http://localhost:{port}"
    try:
        eventually(lambda: lab.poll() is not None or _answers(f"{url}/api?token={token}"), "JupyterLab answers", 60)
        assert lab.poll() is None, (folder / "lab.log").read_text()
        yield Desk(folder, url, token)
    finally:
        lab.terminate()
        lab.wait(30)


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page; where the test fails, what it showed at the end is in screenshots/failed_TEST.png."""
    made, failed_before = browser.new_page(viewport={"width": 1440, "height": 1000}), request.session.testsfailed
    made.set_default_timeout(PATIENCE)
    yield made
    if request.session.testsfailed > failed_before:
        SCREENSHOTS.mkdir(exist_ok=True)
        made.screenshot(path=SCREENSHOTS / f"failed_{request.node.name}.png")
    made.close()


@pytest.fixture
def screenshot(page: Page) -> Callable[[str], Path]:
    """screenshot("04_deadlock") -> its file."""

    def take(name: str) -> Path:
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        page.screenshot(path=path)
        return path

    return take


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
