"""The picker of the Docker Engine: it keeps what answers, goes back where nothing does, and says which is in use."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from kubelab.course.errors import LabError
from kubelab.home import Home
from kubelab.settings import docker_engine
from kubelab.settings.docker_engine import Choice
from kubelab.widgets.docker_picker import DockerPicker


class Lab:
    """A lab whose own engine answers, and a real one only where there is one."""

    def __init__(self, home: Home, real: bool) -> None:
        self.engines, self.real = SimpleNamespace(home=home), real

    def choose_docker(self, choice: str) -> None:
        if choice == "host" and not self.real:
            raise LabError("no Docker Engine of your own answers: <none>")
        docker_engine.choose(self.engines.home, Choice(choice))

    def describe_docker(self) -> str:
        return f"Docker Engine: {docker_engine.chosen(self.engines.home, {}).choice}"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("KUBELAB_DOCKER", raising=False)
    monkeypatch.delenv("KUBELAB_CONTEXT", raising=False)
    return Home(tmp_path).ensure()


def test_a_choice_is_kept_and_shown(state: Home):
    picker = DockerPicker(Lab(state, real=True))
    assert (picker.choices.value, picker.said.value) == ("embedded", "In use: Docker Engine: embedded.")
    picker.choices.value = "host"
    assert picker.said.value == "Kept. In use: Docker Engine: host."
    assert DockerPicker(Lab(state, real=True)).choices.value == "host"
    assert repr(picker).startswith("The picker of the Docker Engine")


def test_what_does_not_answer_is_not_taken(state: Home):
    picker = DockerPicker(Lab(state, real=False))
    picker.choices.value = "host"
    assert picker.choices.value == "embedded"
    assert picker.said.value == "Not changed: no Docker Engine of your own answers: &lt;none>"
    assert docker_engine.chosen(state, {}).choice is Choice.EMBEDDED
    picker.choices.value = "auto"
    assert docker_engine.chosen(state, {}).choice is Choice.AUTO


def test_the_variable_goes_before_it(state: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBELAB_DOCKER", "auto")
    picker = DockerPicker(Lab(state, real=False))
    assert picker.choices.disabled and picker.choices.value == "auto"
    assert picker.said.value.startswith("KUBELAB_DOCKER is set, so it is not chosen here.")
