"""The layer lab: edit a Dockerfile or a file beside it, build, and see which steps came from the cache, and what each
layer adds, changes, removes, shares and wastes.

    layer_lab = LayerLab(lab, folder)              # a build context: a folder with a Dockerfile in it
    layer_lab.edit("Dockerfile", text)             # what typing in the page does
    layer_lab.build(); layer_lab.wait()
    print(layer_lab.text())
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docker
import requests
import traitlets
from docker.models.images import Image

from kubelab.course.build_steps import Step, steps
from kubelab.course.errors import LabError
from kubelab.course.lab import Lab
from kubelab.course.layer_tree import ImageTree, tree
from kubelab.course.layers import size

from .frame import LabWidget, script, style

FILES, LARGEST = 12, 20_000  # files that can be edited, and bytes of the largest
PATHS = 40  # of a layer in the picture
BUILDS = 8  # that are compared
BASE = "kubelab/python"


class LayerLab(LabWidget):
    """lab: whose Docker Engine builds · folder: the build context · tag: of the images; each build has the next number.

    Nothing but the folder's small text files can be edited. Layers are compared with the base image's and with those of
    the builds before.
    """

    _esm = script("layer_lab")
    _css = style("layer_lab")

    files = traitlets.Dict().tag(sync=True)  # path in the context -> its text
    steps = traitlets.List().tag(sync=True)  # {"number", "instruction", "cached", "why"} of the last build
    layers = traitlets.List().tag(
        sync=True
    )  # lowest first: `ImageTree.blocks`, and "changes": [mark, path, size, hidden_by]
    builds = traitlets.List().tag(
        sync=True
    )  # {"tag", "size", "wasted", "fresh"}, newest last; "fresh": bytes not shared
    error = traitlets.Unicode().tag(sync=True)  # what the builder said where it failed
    twins = traitlets.Dict().tag(sync=True)

    def __init__(self, lab: Lab, folder: str | Path, tag: str = "kubelab/layer-lab") -> None:
        self.folder, self.tag = Path(folder), tag
        if not (self.folder / "Dockerfile").is_file():
            raise LabError(f"{self.folder} holds no Dockerfile. Next: write one there.")
        self.images: list[Image] = []
        self.tree: ImageTree | None = None
        super().__init__(lab, f"Layer lab · {tag}", tag, files=dict(_texts(self.folder)))
        self._draw_twins()
        self.words = "Nothing has been built yet."

    def press(self, action: str, path: str = "", text: str = "", **_: Any) -> None:
        if action == "build":
            self.build()
        elif action == "edit":
            self.edit(path, text)
        else:
            super().press(action)

    def edit(self, path: str, text: str) -> None:
        """Write a file of the context. LabError: it is none of those that can be edited."""
        if path not in self.files:
            raise LabError(f"{path} is not among {', '.join(self.files)}.")
        (self.folder / path).write_text(text)
        self.files = {**self.files, path: text}

    def build(self, nocache: bool = False) -> None:
        """Begin a build of the folder; `wait()` blocks until it is done, or raises what the builder said."""
        self.begin(lambda: self._build(nocache))

    def _build(self, nocache: bool) -> None:
        tag = f"{self.tag}:{len(self.images) + 1}"
        self.error = ""
        with self.doing(f"building {tag}"):
            try:
                image, log = self.lab.docker.images.build(path=str(self.folder), tag=tag, rm=True, nocache=nocache)
            except docker.errors.BuildError as error:
                self.steps = [row(step) for step in steps(error.build_log)]
                self.error = str(error.msg)
                raise LabError(f"the build failed: {error.msg}") from error
            except (docker.errors.APIError, requests.RequestException, TypeError) as error:
                self.error = _explanation(error)
                raise LabError(f"the build was refused: {self.error}") from error
        with self.doing(f"reading the layers of {tag}"):
            self._show(image, steps(log), tag)

    def _show(self, image: Image, found: list[Step], tag: str) -> None:
        self.tree = tree(image, [*self._base(), *self.images[-BUILDS:]])
        fresh = sum(layer.size for layer in self.tree.layers if not layer.shared_with)
        done = [step for step in found if not step.cached and not step.instruction.upper().startswith("FROM")]
        one = {"tag": tag, "size": self.tree.size, "wasted": self.tree.wasted, "fresh": fresh}
        with self.hold_sync():
            self.steps = [row(step) for step in found]
            self.layers = list(map(self._layer, self.tree.blocks(), self.tree.layers))
            self.builds = [*self.builds, one][-BUILDS:]
            cached = sum(step.cached for step in found)
            self.said = f"{tag}: {cached} of {len(found)} steps from the cache, {len(done)} done; {size(fresh)} are new"
            self.words = self._in_words(found)
            self.images = [*self.images, image]
            self._draw_twins()

    def _base(self) -> list[Image]:
        """The course's base image, where there is one."""
        try:
            return [self.lab.docker.images.get(BASE)]
        except docker.errors.ImageNotFound:
            return []

    @staticmethod
    def _layer(block: dict[str, Any], layer: Any) -> dict[str, Any]:
        rows = [[each.mark, each.path, each.size, each.hidden_by] for each in layer.changes[:PATHS]]
        return {**block, "changes": rows, "more": max(0, len(layer.changes) - PATHS)}

    def _in_words(self, found: list[Step]) -> str:
        """Steps and layers as text, without what differs from computer to computer: the base image's size."""
        lines = [f"{'cached' if step.cached else 'done':6}  {step.instruction}   ({step.why})" for step in found]
        for layer in self.tree.layers[1:]:
            notes = "shared" if layer.shared_with else "new"
            notes += f", {size(layer.wasted)} wasted" if layer.wasted else ""
            lines.append(f"layer {layer.number}  {size(layer.size):>7}  {notes:24}  {layer.instruction}")
        return "\n".join(lines)

    def _draw_twins(self) -> None:
        tag = f"{self.tag}:{len(self.images) + 1}"
        self.twins = {
            "python": f'lab.docker.images.build(path="{self.folder.name}", tag="{tag}")',
            "terminal": f"docker build -t {tag} {self.folder.name} && docker history {tag}",
        }


def row(step: Step) -> dict[str, Any]:
    """A step as the page draws it."""
    return {"number": step.number, "instruction": step.instruction, "cached": step.cached, "why": step.why}


def _texts(folder: Path) -> list[tuple[str, str]]:
    """The small text files of a context, the Dockerfile first."""
    found = []
    for path in sorted(folder.rglob("*"), key=lambda each: (each.name != "Dockerfile", str(each))):
        if path.is_file() and path.stat().st_size <= LARGEST and len(found) < FILES:
            try:
                found.append((str(path.relative_to(folder)), path.read_text()))
            except UnicodeDecodeError:
                continue
    return found


def _explanation(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)
