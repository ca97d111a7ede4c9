"""One list of dependencies in three files: pyproject.toml, environment.yml, binder/environment.yml."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
CONDA_NAMES = {
    "kubernetes": "python-kubernetes",
    "docker": "docker-py",
}  # PyPI -> conda-forge
BESIDE_PYPI = {"python", "pip", "kubernetes-client", "docker-cli"}  # what is not a Python package
FOR_TESTS = {"nbval"}


def requirement(text):
    """("name", ">=1.2") of a requirement in either syntax, markers dropped."""
    name, version = re.match(r"([\w.-]+)\s*(>=[\d.]+)?", text.partition(";")[0].strip()).groups()
    return name.lower(), version or ""


def pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tests = [text for text in project["optional-dependencies"]["test"] if requirement(text)[0] in FOR_TESTS]
    found = dict(map(requirement, [*project["dependencies"], *tests]))
    return {CONDA_NAMES.get(name, name): version for name, version in found.items()}, project["requires-python"]


def environment(path):
    return dict(map(requirement, yaml.safe_load(path.read_text())["dependencies"]))


def test_conda_s_list_is_pypi_s():
    ours, python = pyproject()
    theirs = environment(ROOT / "environment.yml")
    assert theirs["python"] == python
    assert {name: version for name, version in theirs.items() if name not in BESIDE_PYPI} == ours


def test_the_commands_are_in_it():
    assert set(environment(ROOT / "environment.yml")) >= BESIDE_PYPI


def test_binder_s_copy_is_a_copy():
    assert (ROOT / "binder" / "environment.yml").read_text() == (ROOT / "environment.yml").read_text()


def test_each_line_says_who_needs_it():
    lines = (ROOT / "environment.yml").read_text().partition("dependencies:")[2].strip().splitlines()
    assert [line for line in lines if "  # " not in line] == []
