"""tools/setup.sh says what is wrong with a Python, and what to do. (That it installs is what `make test` shows.)"""

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "tools" / "setup.sh"
OLD = '#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2"\nexit 1\n'
WITHOUT_VENV = '#!/bin/sh\ncase "$*" in *venv*) echo "ensurepip is not available" >&2; exit 1;; esac\nexit 0\n'


def set_up(folder, python=None):
    """Run the script in an empty folder with this program as Python, and without uv."""
    program = folder / "python"
    if python:
        program.write_text(python)
        program.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(program)}
    return subprocess.run(["sh", str(SCRIPT), "."], cwd=folder, env=environment, capture_output=True, text=True)


def test_an_old_python(tmp_path):
    done = set_up(tmp_path, OLD)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "is Python 3.9.2" in done.stderr
    assert "make lab PYTHON=python3.12" in done.stderr


def test_no_python(tmp_path):
    done = set_up(tmp_path)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr


def test_a_python_without_venv(tmp_path):
    done = set_up(tmp_path, WITHOUT_VENV)
    assert done.returncode == 1
    assert "ensurepip is not available" in done.stderr
    assert "apt install python3-venv" in done.stderr
