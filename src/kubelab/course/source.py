"""Show the lines of the engines' source that did what the student has just seen.

It reads the text and never imports it: a notebook is a client of the engines, and stays one.
"""

from __future__ import annotations

import ast
import html
import textwrap
from pathlib import Path
from typing import Any

import ipywidgets
from jupyterlab_pygments import JupyterStyle
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from .errors import LabError

PACKAGE = Path(__file__).resolve().parents[1]


class Source:
    """A piece of source with the place it stands at. In JupyterLab it is coloured, in the theme's colours.

    A saved notebook holds only the place: the source moves on, and the notebook is not to show an old one.
    """

    def __init__(self, place: str, text: str) -> None:
        self.place, self.text = place, text

    def __repr__(self) -> str:
        return f"{self.place} (run the cell to read it)"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        formatter = HtmlFormatter(style=JupyterStyle, noclasses=True, nobackground=True)
        code = highlight(textwrap.dedent(self.text), PythonLexer(), formatter)
        view = ipywidgets.HTML(f"<strong>{html.escape(self.place)}</strong>{code}")
        return {**view._repr_mimebundle_(), "text/plain": repr(self)}


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
