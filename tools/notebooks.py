"""`make notebooks`: run every notebook afresh, and save its outputs without what changes by chance.

    python tools/notebooks.py [--check] [--fresh] [NOTEBOOK …]

The engines are its own, in a state folder that goes away with it. A second run leaves `git diff` empty: execution
counts are the cells' places, timings and widget models are dropped, and the regexes of tests/notebooks/sanitize.cfg,
the same that nbval compares with, replace ages, names, addresses and the like. A cell tagged `nbval-ignore-output`
shows what no regex can settle (a plot of measurements): its saved output is kept as long as its source is the same;
`--fresh` replaces it. `--check` saves nothing, and fails where something would change.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
SANITIZE = ROOT / "tests" / "notebooks" / "sanitize.cfg"
IGNORED = "nbval-ignore-output"
CELL_TIMEOUT = 120  # seconds
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
COLOUR = re.compile(r"\x1b\[[\d;]*m")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

Rules = list[tuple[re.Pattern[str], str]]


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the notebooks and save their outputs, normalised.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all")
    parser.add_argument("--check", action="store_true", help="save nothing; fail where something would change")
    parser.add_argument("--fresh", action="store_true", help=f"replace the outputs of cells tagged {IGNORED}, too")
    arguments = parser.parse_args()
    stale, failed = [], []
    with engines():
        for path in arguments.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
            try:
                stale += [path.name] if refresh(path, arguments) else []
            except CellExecutionError as error:
                print(f"{path.name}: {COLOUR.sub('', str(error))}", file=sys.stderr)
                failed.append(path.name)
    if failed:
        print(f"failed: {', '.join(failed)}; left as they were.", file=sys.stderr)
    if arguments.check and stale:
        print(f"stale: {', '.join(stale)}. Next: `make notebooks`.", file=sys.stderr)
    return 1 if failed or (arguments.check and stale) else 0


@contextmanager
def engines() -> Iterator[None]:
    """Engines of our own while the notebooks run, unless the engines to use were chosen by `KUBELAB_CONTEXT`."""
    if os.environ.get("KUBELAB_CONTEXT"):
        yield
        return
    command = [sys.executable, "-m", "kubelab.cli"]
    with tempfile.TemporaryDirectory(prefix="kl-nb-", dir="/tmp") as home:
        os.environ["KUBELAB_HOME"] = home
        subprocess.run([*command, "up", "--profile", "class"], check=True)
        try:
            yield
        finally:
            subprocess.run([*command, "down"], check=True)


def refresh(path: Path, arguments: argparse.Namespace) -> bool:
    """Run one notebook and save it, unless only to check. Whether it changed."""
    started, before = time.monotonic(), path.read_text()
    after = nbformat.writes(run(path, read_rules(SANITIZE), fresh=arguments.fresh)) + "\n"
    took = time.monotonic() - started
    print(f"{path.name}: {took:.1f} s, {'unchanged' if before == after else 'changed'}", flush=True)
    if before != after and not arguments.check:
        path.write_text(after)
    return before != after


def nbval_command(paths: Iterable[Path]) -> list[str]:
    """The command that runs these notebooks and compares their outputs with those that are saved, strictly."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={ROOT}"]
    options = ["--nbval", "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE}"]
    return [*command, *options, *map(str, paths)]


def read_rules(path: Path) -> Rules:
    """The (regex, replacement) pairs of a file in nbval's format, read as nbval reads it."""
    pairs = re.findall(r"^regex: (.*)$\n^replace: (.*)$", path.read_text(), flags=re.MULTILINE)
    return [(re.compile(regex), replacement) for regex, replacement in pairs]


def run(path: Path, rules: Rules, *, fresh: bool = False) -> NotebookNode:
    """The notebook as it would be saved after a run from its first cell to its last."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kept = {} if fresh else {(cell.id, cell.source): copy.deepcopy(cell.outputs) for cell in code if is_ignored(cell)}
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        record_timing=False,
    )
    client.execute()
    notebook.metadata = NotebookNode({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for number, cell in enumerate(code, start=1):
        cell.execution_count = number  # its place, as in any fresh run; nbval takes a cell without one for not run
        cell.outputs = kept.get((cell.id, cell.source)) or list(normalised(cell.outputs, rules))
    return notebook


def is_ignored(cell: NotebookNode) -> bool:
    """Whether nbval ignores this cell's output."""
    return IGNORED in cell.metadata.get("tags", [])


def normalised(outputs: Iterable[NotebookNode], rules: Rules) -> Iterator[NotebookNode]:
    """The outputs with every text sanitised; pieces of one stream joined, widget views (random ids) dropped."""
    for output in _joined(outputs):
        if output.output_type == "stream":
            output.text = sanitise(output.text, rules)
        for mime, content in list(output.get("data", {}).items()):
            if mime == WIDGET_VIEW:
                del output.data[mime]
            elif isinstance(content, str) and not mime.startswith("image/"):
                output.data[mime] = sanitise(content, rules)
        yield output


def _joined(outputs: Iterable[NotebookNode]) -> Iterator[NotebookNode]:
    """How a stream is cut into pieces is chance."""
    last: NotebookNode | None = None
    for output in outputs:
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
            continue
        if last:
            yield last
        last = output
    if last:
        yield last


def sanitise(text: str, rules: Rules) -> str:
    """`text` with every rule applied, in order, as nbval applies them."""
    for regex, replacement in rules:
        text = regex.sub(replacement, text)
    return text


if __name__ == "__main__":
    sys.exit(main())
