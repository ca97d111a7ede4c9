"""A command beside a cell: pointed at the lab's engines, and no stumbling block where its program is absent."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from kubelab.course import terminal
from kubelab.settings.docker_engine import Address

EMBEDDED = SimpleNamespace(
    docker_address=Address("unix:///lab/docker.sock", real=False),
    engines=SimpleNamespace(kubeconfig=Path("/lab/kubeconfig")),
)
OWN = SimpleNamespace(docker_address=Address("unix:///run/docker.sock"), engines=SimpleNamespace(kubeconfig=None))


def test_the_command_is_shown_and_run_on_the_labs_engines(capsys: pytest.CaptureFixture[str]):
    terminal.run(EMBEDDED, "printenv DOCKER_HOST KUBECONFIG")
    assert capsys.readouterr().out == ("$ printenv DOCKER_HOST KUBECONFIG\nunix:///lab/docker.sock\n/lab/kubeconfig\n")


def test_what_it_says_in_anger_is_shown_too(capsys: pytest.CaptureFixture[str]):
    terminal.run(EMBEDDED, "sh -c 'echo refused >&2; exit 1'")
    assert capsys.readouterr().out.endswith("exit 1'\nrefused\n")


def test_an_absent_program_is_said_to_be_absent(capsys: pytest.CaptureFixture[str]):
    terminal.run(EMBEDDED, "no-such-program --version")
    assert "no-such-program is not installed" in capsys.readouterr().out


def test_with_engines_of_ones_own_it_is_pointed_at_the_one_that_the_notebook_uses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///another.sock")
    monkeypatch.setenv("KUBECONFIG", "/my/kubeconfig")
    found = terminal.environment(OWN)
    assert (found["DOCKER_HOST"], found["KUBECONFIG"]) == ("unix:///run/docker.sock", "/my/kubeconfig")
