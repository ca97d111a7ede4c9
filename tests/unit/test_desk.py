"""JupyterLab's command line: what root and a machine without a display need, and what the student adds."""

from pathlib import Path

import pytest

from kubelab import desk
from kubelab.lifecycle import LifecycleError


@pytest.fixture(autouse=True)
def _linux(monkeypatch):
    monkeypatch.setattr(desk.sys, "platform", "linux")
    monkeypatch.setattr(desk.os, "geteuid", lambda: 1000)


def test_with_a_display():
    made = desk.command(Path("/course"), None, [], {"DISPLAY": ":0"})
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in made
    assert "--ServerApp.root_dir=/course" in made
    assert not {"--no-browser", "--allow-root"} & set(made)


def test_without_a_display():
    assert "--no-browser" in desk.command(Path("/course"), None, [], {})


def test_a_browser_that_was_named_needs_no_display():
    assert "--no-browser" not in desk.command(Path("/course"), None, [], {"BROWSER": "w3m"})


def test_as_root(monkeypatch):
    monkeypatch.setattr(desk.os, "geteuid", lambda: 0)
    assert "--allow-root" in desk.command(Path("/course"), None, [], {})


def test_port_and_further_options_come_last():
    made = desk.command(Path("/course"), 8899, ["--ServerApp.ip=0.0.0.0"], {})
    assert made[-1] == "--ServerApp.ip=0.0.0.0"
    assert "--ServerApp.port=8899" in made


def test_a_folder_without_the_course(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(desk, "__file__", str(tmp_path / "a" / "b" / "desk.py"))
    with pytest.raises(LifecycleError, match="run this in the course's folder"):
        desk.course_folder()
