"""What a section's cells use from cells before it: which statements of a notebook have to run first, and no others.

The rule is a compiler's: going back from a section, a statement is needed if it binds a name that what follows reads.
What a name holds may depend on the cluster; so a statement that only a later section needs, and that asks the cluster,
is left out: a student who goes on from here has run it by then. Functions and imports ask nobody.
"""

from __future__ import annotations

import ast
import json
import re
import symtable
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HEADING = re.compile(r"^(##|###) +(.+?) *$", re.MULTILINE)
LAB = "lab"  # the name by which a chapter's cells ask the cluster


@dataclass(frozen=True)
class Cell:
    """A code cell: `heading` is the nearest before it, as "### Scale"; "" before the first."""

    heading: str
    source: str


@dataclass(frozen=True)
class Statement:
    """One statement at a cell's top level: its code, and the names that it reads and binds."""

    node: ast.stmt
    reads: frozenset[str]
    binds: frozenset[str]

    @property
    def only_defines(self) -> bool:
        """Whether running it asks nobody anything: imports, functions, and values of what is there already."""
        return isinstance(self.node, (ast.Import, ast.ImportFrom, ast.FunctionDef)) or LAB not in self.reads


def split(notebook: Path, section: str) -> tuple[list[Cell], list[Cell], list[Cell]]:
    """The code cells of a notebook's file before a section, of it, and after it. `section` is its heading."""
    before: list[Cell] = []
    own: list[Cell] = []
    later: list[Cell] = []
    heading, here = "", before
    for cell in json.loads(notebook.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            here.append(Cell(heading, source))
            continue
        for marks, title in HEADING.findall(source):
            heading = f"{marks} {title}"
            here = own if heading == section else (before if here is before else later)
    return before, own, later


def needed(
    before: Sequence[Cell], own: Sequence[Cell], later: Sequence[Cell], whole: Iterable[str] = ()
) -> list[ast.stmt]:
    """The statements of the cells `before` a section that its `own` cells need, and as far as they ask no cluster those
    `later` ones; of the sections whose headings are in `whole` all of them. In the notebook's order.
    """
    now = _free(statement for cell in own for statement in statements(cell.source))
    then = _free(statement for cell in [*own, *later] for statement in statements(cell.source)) - now
    found: list[ast.stmt] = []
    for cell in reversed(before):
        entirely = cell.heading in whole
        for statement in reversed(statements(cell.source)):
            wanted = bool(statement.binds & now) or (bool(statement.binds & then) and statement.only_defines)
            if not entirely and (not wanted or isinstance(statement.node, ast.Expr)):
                continue
            found.append(statement.node)
            strict = entirely or bool(statement.binds & now)
            if not isinstance(statement.node, ast.AugAssign):
                now, then = now - statement.binds, then - statement.binds
            reads = statement.reads - {LAB}  # it is there, and to make another would begin the chapter anew
            now, then = (now | reads, then) if strict else (now, then | reads)
    return found[::-1]


def statements(source: str) -> list[Statement]:
    """The statements of a cell; none where it is no plain Python (a magic, `!ls`)."""
    try:
        nodes = ast.parse(source).body
    except SyntaxError:
        return []
    return [_statement(node) for node in nodes]


def _statement(node: ast.stmt) -> Statement:
    table = symtable.symtable(ast.unparse(node), "<cell>", "exec")
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    reads = set(_read(table))
    if not isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
        reads -= binds  # `for x in …: print(x)` reads its own x, `x = x + 1` an earlier one
    return Statement(node, frozenset(reads), frozenset(binds))


def _read(table: symtable.SymbolTable) -> Iterator[str]:
    """The names of the notebook that the code reads, those in the bodies of functions and comprehensions, too."""
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _read(child)


def _free(code: Iterable[Statement]) -> frozenset[str]:
    """The names that the statements read before they bind them."""
    free: set[str] = set()
    bound: set[str] = set()
    for statement in code:
        free |= statement.reads - bound
        bound |= statement.binds
    return frozenset(free - {LAB})
