"""The commands that a notebook shows, run with the real CLIs, and compared with what it says they print.

Three sorts are found in a chapter:

    $ kubectl -n kubelab-04 get pods      a line that a cell printed: what follows it is what the command prints
    # kubectl label node node-2 a=b       a comment in a cell: the twin of the Python below it
    In a terminal: `docker port two`      prose, for those who type: the twin of the next cell

The chapter runs in a kernel, cell by cell. After a cell, each command it printed is run, and must print the same rows
(without ages; in any order, since the lab sorts them its own way). Before a cell, each twin that changes the cluster is
run as a dry run on the server: it must be accepted, with what the cells before have made. The other twins are run after
the cell; a container or an image that they make has a name of its own, and is removed.

Usage: python tools/commands.py [notebook …]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
PROGRAMS = ("kubectl ", "docker ")
TWIN = re.compile(r"^\s*# ((?:kubectl|docker) .+)$", re.MULTILINE)
TYPED = re.compile(r"In a terminal:\s+((?:`[^`]+`(?:, (?:then )?)?)+)")
MADE = "kubelab-typed"  # the container and the image that typed commands make
APPLIED = re.compile(r"\S+/\S+ (created|configured|unchanged)$")
CHANGES = ("delete", "label", "annotate", "scale", "set", "create", "patch", "apply", "run", "expose", "rollout")
TIMEOUT = 60  # seconds a command may take


@dataclass
class Shown:
    """A command as it is shown, and the lines that are shown to be its output."""

    command: str
    lines: list[str] = field(default_factory=list)


def printed(text: str) -> list[Shown]:
    """The commands in a cell's output, each with the lines below it."""
    found: list[Shown] = []
    for line in text.splitlines():
        if line.startswith("$ ") and line[2:].startswith(PROGRAMS):
            found.append(Shown(line[2:]))
        elif line.startswith("$ "):
            found.append(Shown(""))  # another program's
        elif found and line.strip():
            found[-1].lines.append(line)
    return [shown for shown in found if shown.command]


def twins(source: str) -> list[str]:
    """The commands in a cell's comments. Several on a line are several."""
    return [command.strip() for line in TWIN.findall(source) for command in line.split("; ")]


def typed(prose: str) -> list[str]:
    """The commands that prose says to type, but for those that are hinted at with "…"."""
    found = [command for group in TYPED.findall(prose) for command in re.findall("`([^`]+)`", group)]
    return [command for command in found if command.startswith(PROGRAMS) and "…" not in command]


def beside(command: str, context: Path | None) -> str:
    """The same with names of its own for what `docker run` and `docker build` make; `context` is the folder `.`."""
    command = re.sub(r"^(docker run .*--name) \S+", rf"\1 {MADE}", command)
    command = re.sub(r"^(docker build .*-t) \S+", rf"\1 {MADE}", command)
    return re.sub(r"^(docker build .*) \.$", rf"\1 {context}", command)


def rows(lines: list[str], columns: list[str] | None = None) -> list[tuple[str, ...]]:
    """A table's rows, sorted, of these columns only; `1 (3s ago)` counts as 1. [] where it is no table."""
    if not lines:
        return []
    header = re.split(r"\s{2,}", lines[0].strip())
    wanted = [name for name in columns or header if name in header]
    found = []
    for line in lines[1:]:
        cells = dict(zip(header, _cells(lines[0], header, line), strict=True))
        found.append(tuple(re.sub(r" \(.* ago\)$", "", cells[name]) for name in wanted))
    return sorted(set(found))


def _cells(head: str, header: list[str], line: str) -> list[str]:
    """By the places where the columns begin: a cell may be empty, or hold spaces."""
    starts, place = [], 0
    for name in header:
        place = head.index(name, place)
        starts.append(place)
        place += len(name)
    return [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]


def refused(shown: Shown, error: str) -> bool:
    """Whether the notebook shows that the API server refuses it, in the words that kubectl prints, too."""
    told = [line.partition(" was refused: ")[2] for line in shown.lines if " was refused: " in line]
    return any(words in error for words in told)


def difference(shown: Shown, output: str) -> str:
    """What the command prints otherwise than shown; "" where it is the same."""
    lines = [line for line in output.splitlines() if line.strip()]
    verb = _verb(shown.command)
    if verb in ("get", "events"):
        columns = re.split(r"\s{2,}", shown.lines[0].strip()) if shown.lines else []
        if shown.lines == lines[:1] or (not rows(shown.lines) and lines[:1] and lines[0].startswith("No ")):
            return ""
        ours, theirs = rows(shown.lines, columns), rows(lines, columns)
        if verb == "events":  # more may have happened since
            theirs = [row for row in theirs if row in ours]
        return "" if ours == theirs else f"shown {ours}, printed {theirs}"
    if verb == "apply":
        ours, theirs = ([line.split()[0] for line in found if APPLIED.match(line)] for found in (shown.lines, lines))
        return "" if set(ours) <= set(theirs) else f"shown {ours}, printed {theirs}"
    if verb == "logs":
        return (
            "" if [line for line in shown.lines if line not in lines] == [] else f"shown {shown.lines}, printed {lines}"
        )
    if verb == "history":
        ours, theirs = (sum(line.rstrip().endswith("B") for line in found) for found in (shown.lines, lines))
        return "" if ours == theirs else f"shown {ours} layers, printed {theirs}"
    return ""  # describe: laid out for people; that it is accepted is what is asked


def _verb(command: str) -> str:
    words = command.split()[1:]
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in ("-n", "--namespace") else words[1:]
    return words[0] if words else ""


def runnable(command: str, pod: str) -> str:
    """With its placeholders filled in, and without what would go on for ever."""
    filled = command.replace("POD", pod).replace("CONTAINER", "web").replace("KIND", "net")
    filled = filled.replace(" logs -f ", " logs ")
    return re.sub(r" \| tar …$", " | tar t", filled)


def changes(command: str) -> bool:
    """Whether it would change the cluster."""
    return command.startswith("kubectl") and _verb(command) in CHANGES


def dry(command: str) -> str:
    """The same as a dry run on the server, where it would change something."""
    return f"{command} --dry-run=server" if changes(command) else command


class Chapter:
    """One notebook, run with its commands beside it. `problems` holds what was not as shown."""

    def __init__(self, path: Path, environment: dict[str, str]) -> None:
        self.path, self.environment = path, environment
        self.problems: list[str] = []
        self.tried = 0
        self._typed: list[str] = []  # since the last cell of code

    def run(self) -> Chapter:
        """Run it. The kernel's temporary files are the chapter's own, so that the folder `.` of a build is found."""
        notebook = nbformat.read(self.path, as_version=4)
        with tempfile.TemporaryDirectory(prefix="kl-") as folder:
            self.environment = {**self.environment, "TMPDIR": folder}
            self._execute(notebook)
        return self

    def _execute(self, notebook: nbformat.NotebookNode) -> None:
        client = NotebookClient(
            notebook,
            timeout=120,
            resources={"metadata": {"path": str(self.path.parent)}},
            on_cell_execute=lambda cell, cell_index: self._before(cell),
            on_cell_executed=lambda cell, cell_index, execute_reply: self._after(cell),
        )
        client.execute(env=self.environment)

    def _before(self, cell: nbformat.NotebookNode) -> None:
        if cell.cell_type != "code":
            self._typed += typed(cell.source)
            return
        for command in [*twins(cell.source), *filter(changes, self._typed)]:
            if _verb(command) == "rollout":
                continue  # it waits for what the cell is going to do
            done = self._shell(dry(runnable(command, self._a_pod(command))))
            if done.returncode:
                self.problems.append(f"{command}: {done.stderr.strip()}")

    def _after(self, cell: nbformat.NotebookNode) -> None:
        for shown in [found for text in texts(cell) for found in printed(text)]:
            done = self._shell(runnable(shown.command, self._a_pod(shown.command)))
            wrong = done.stderr.strip() if done.returncode else difference(shown, done.stdout)
            if wrong and not (done.returncode and refused(shown, done.stderr)):
                self.problems.append(f"{shown.command}: {wrong}")

        for command in self._typed if cell.cell_type == "code" else []:
            if not changes(command):
                self._type(command)
        if cell.cell_type == "code":
            self._typed = []

    def _type(self, command: str) -> None:
        done = self._shell(beside(runnable(command, self._a_pod(command)), self._context()))
        if done.returncode:
            self.problems.append(f"{command}: {done.stderr.strip()}")
        if command.startswith("docker run"):
            self._shell(f"docker rm -f {MADE}")
        if command.startswith("docker build"):
            self._shell(f"docker rmi {MADE}")

    def _context(self) -> Path | None:
        """The newest folder that the notebook's kernel has made with a Dockerfile in it."""
        found = Path(self.environment["TMPDIR"]).rglob("Dockerfile")
        return max((path.parent for path in found), key=lambda path: path.stat().st_mtime, default=None)

    def _shell(self, command: str) -> subprocess.CompletedProcess[str]:
        self.tried += 1
        return subprocess.run(
            command, shell=True, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def _a_pod(self, command: str) -> str:
        if "POD" not in command:
            return ""
        done = self._shell(f"kubectl -n kubelab-{self.path.stem[:2]} get pods -o name")
        return (done.stdout.split() or ["pod/none"])[0].removeprefix("pod/")


def texts(cell: nbformat.NotebookNode) -> Iterator[str]:
    for output in cell.get("outputs", []):
        yield output.get("text") or output.get("data", {}).get("text/plain", "")


def main() -> int:
    notebooks = [Path(name) for name in sys.argv[1:]] or sorted((ROOT / "notebooks").glob("0*.ipynb"))
    wrong = 0
    for path in notebooks:
        chapter = Chapter(path, dict(os.environ)).run()
        print(f"{path.stem}: {chapter.tried} commands")
        print("".join(f"  {problem}\n" for problem in chapter.problems), end="")
        wrong += len(chapter.problems)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
