"""The picker of the first page: whose Docker Engine the chapters use. Its choice is kept for all of them.

Radio buttons, so the arrow keys move and choose, and a screen reader says which of how many.
"""

from __future__ import annotations

import os
from typing import Any

import ipywidgets

from kubelab.course.errors import LabError
from kubelab.course.lab import Lab
from kubelab.settings import docker_engine
from kubelab.settings.docker_engine import Choice

WORDS = {
    Choice.EMBEDDED: "the course's own, which needs nothing installed",
    Choice.HOST: "a real one of yours: Docker, Docker Desktop, Colima …",
    Choice.AUTO: "a real one where it answers, else the course's own",
}


class DockerPicker(ipywidgets.VBox):
    """`picker.choices` are the radio buttons, `picker.said` says what came of it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        chosen = docker_engine.chosen(lab.engines.home)
        self.choices = ipywidgets.RadioButtons(
            options=[(f"{choice}: {words}", str(choice)) for choice, words in WORDS.items()],
            value=str(chosen.choice),
            description="Docker Engine",
            layout={"width": "max-content"},
            style={"description_width": "initial"},
        )
        self.said = ipywidgets.HTML()
        forced = docker_engine.VARIABLE in os.environ
        self.choices.disabled = forced
        super().__init__([self.choices, self.said])
        self._say(f"{docker_engine.VARIABLE} is set, so it is not chosen here. " if forced else "")
        self.choices.observe(self._chosen, "value")

    def _chosen(self, change: dict[str, Any]) -> None:
        """Only an engine that answers is taken; else the buttons go back, and it is said why."""
        self.said.value = "asking it …"
        try:
            self.lab.choose_docker(change["new"])
        except LabError as error:
            with self.choices.hold_trait_notifications():
                self.choices.unobserve(self._chosen, "value")
                self.choices.value = change["old"]
            self.choices.observe(self._chosen, "value")
            self.said.value = _escaped(f"Not changed: {error}")
        else:
            self._say("Kept. ")

    def _say(self, before: str) -> None:
        try:
            self.said.value = _escaped(before + f"In use: {self.lab.describe_docker()}.")
        except LabError as error:
            self.said.value = _escaped(before + str(error))

    def __repr__(self) -> str:
        """What a saved notebook shows where the widget cannot run: the same in every run."""
        return "The picker of the Docker Engine: run the cell to use it, or set KUBELAB_DOCKER."


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
