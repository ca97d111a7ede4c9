"""Show the lines of the engines' source that did what the student has just seen.

It reads the text and never imports it: a notebook is a client of the engines, and stays one.
"""

from __future__ import annotations

import ast
from pathlib import Path

from .errors import LabError

PACKAGE = Path(__file__).resolve().parents[1]


class Source:
    """A piece of source with the place it stands at. In JupyterLab it is coloured."""

    def __init__(self, place: str, text: str) -> None:
        self.place, self.text = place, text

    def __repr__(self) -> str:
        return f"# {self.place}\n{self.text}"

    def _repr_markdown_(self) -> str:
        return f"**{self.place}**\n\n```python\n{self.text}\n```"


def look_inside(name: str) -> Source:
    """The source of a function, class or method: "cluster.kubelet.prober.worker:Worker.run". LabError: not found."""
    module, _, qualified = name.partition(":")
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file():
        path = path.with_suffix("") / "__init__.py"
    if not path.is_file():
        raise LabError(f"there is no module kubelab.{module}.")
    text = path.read_text()
    node: ast.AST = ast.parse(text)
    for part in qualified.split(".") if qualified else []:
        node = _member(node, part, name)
    lines = text.splitlines()
    if not isinstance(node, ast.Module):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        lines = lines[first - 1 : node.end_lineno]
    return Source(
        f"src/kubelab/{path.relative_to(PACKAGE)}" + (f": {qualified}" if qualified else ""), "\n".join(lines)
    )


def _member(node: ast.AST, name: str, whole: str) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and child.name == name:
            return child
    raise LabError(f"kubelab.{whole}: there is no {name!r}.")
