"""The commands that the notebooks show, with the real CLIs, beside the cells that show them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tools.commands import Chapter, Shown, beside, difference, dry, printed, runnable, twins, typed
from tools.notebooks import NOTEBOOKS

from kubelab.settings.docker_engine import shell_variables

PATHS = sorted(NOTEBOOKS.glob("0*.ipynb"))
FEWEST = {"00": 2, "01": 4, "02": 5, "03": 20, "04": 30}  # commands a chapter shows at least


@pytest.mark.requires("kubectl", "docker")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("notebook", PATHS, ids=lambda path: path.stem)
def test_commands_print_what_the_notebook_shows(notebook, best_engines):
    environment = {**os.environ, "KUBELAB_HOME": str(best_engines.path), **shell_variables(best_engines)}
    _remove_neighbours(notebook.stem[:2], environment)
    chapter = Chapter(notebook, environment).run()
    assert chapter.problems == []
    assert chapter.tried >= FEWEST[notebook.stem[:2]]


def _remove_neighbours(chapter: str, environment: dict[str, str]) -> None:
    """Namespaces beside the chapter's own, which a run before has left: `kubectl create namespace` would find them."""

    def kubectl(*argv: str) -> str:
        return subprocess.run(["kubectl", *argv], env=environment, check=True, capture_output=True, text=True).stdout

    found = kubectl("get", "namespaces", "-o", "name", "-l", "app.kubernetes.io/part-of=kubelab").split()
    if names := [name for name in found if name.startswith(f"namespace/kubelab-{chapter}-")]:
        kubectl("delete", *names)


def test_commands_and_what_they_print_are_found_in_outputs():
    found = printed("hello\n$ kubectl get nodes\nNAME     STATUS\nnode-1   Ready\n$ ls\nx\n$ docker ps\n")
    assert found == [Shown("kubectl get nodes", ["NAME     STATUS", "node-1   Ready"]), Shown("docker ps")]
    assert twins("# kubectl a; kubectl b\nx = 1  # kubectl c\n  # docker d\n") == ["kubectl a", "kubectl b", "docker d"]


def test_commands_that_prose_says_to_type_are_found():
    assert typed("One pod.\nIn a terminal:\n`docker port two`") == ["docker port two"]
    assert typed("In a terminal: `docker exec a sh -c '…'`, then `docker diff a`. Or `docker ps`") == ["docker diff a"]
    assert typed("In a terminal: `kubelab doctor`. Books say `kubectl run`.") == []


def test_what_typed_commands_make_has_a_name_of_its_own():
    assert beside("docker run -d --name one -p 80 img", None) == "docker run -d --name kubelab-typed -p 80 img"
    assert beside("docker build -t a:1 .", Path("/x")) == "docker build -t kubelab-typed /x"
    assert beside("docker rm -f one", None) == "docker rm -f one"


def test_tables_are_compared_by_columns_in_any_order_and_without_ages():
    shown = Shown(
        "kubectl -n x get pods",
        ["NAME   READY   STATUS    RESTARTS", "b      1/1     Running   1", "a      0/1     Error     0"],
    )
    same = (
        "NAME   READY   STATUS    RESTARTS      AGE\n"
        "a      0/1     Error     0             3s\n"
        "b      1/1     Running   1 (2s ago)    9s\n"
    )
    assert difference(shown, same) == ""
    assert "0/1" in difference(shown, same.replace("b      1/1", "b      0/1"))
    assert difference(shown, same.replace("Error", "Ready")) != ""
    assert difference(Shown("kubectl get pods", ["No resources found"]), "No resources found in x namespace.\n") == ""
    assert difference(Shown("kubectl apply -f x", ["pod/a created"]), "pod/a unchanged\n") == ""
    assert difference(Shown("kubectl apply -f x", ["pod/a created"]), "pod/b unchanged\n") != ""
    assert difference(Shown("kubectl logs a", ["one"]), "two\n") != ""


def test_placeholders_are_filled_and_changes_are_dry_runs():
    assert (
        dry(runnable("kubectl -n x label pod POD a=b", "web-1")) == "kubectl -n x label pod web-1 a=b --dry-run=server"
    )
    assert dry("kubectl get pods") == "kubectl get pods"
    assert runnable("kubectl logs -f a", "") == "kubectl logs a"
