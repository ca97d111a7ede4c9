"""`kubelab lab`: the engines and JupyterLab together, opened at the course's first page, and ended together.

What Ctrl-C ends is what this command started: engines that were up before stay up.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from kubelab.component import die_with_parent
from kubelab.home import Home
from kubelab.lifecycle import LifecycleError, down, running, up
from kubelab.settings import docker_engine

FIRST_PAGE = "notebooks/00_start_here.ipynb"
PROFILE = "class"
CONFIG = Path(__file__).with_name("jupyter")


def open_lab(home: Home, port: int | None, options: Sequence[str]) -> int:
    """Run JupyterLab until it ends. Its exit code."""
    folder = course_folder()
    own_cluster = bool(os.environ.get("KUBELAB_CONTEXT"))
    started = not own_cluster and running(home) is None
    environment = {**os.environ, "JUPYTER_CONFIG_PATH": _config_path(os.environ.get("JUPYTER_CONFIG_PATH", ""))}
    if not own_cluster:
        status = up(home, PROFILE)
        print(f"engines are up: profile {status['profile']}, runtime level {status['level']}")
        environment.update(_variables(home))
    try:
        return _run(command(folder, port, options, os.environ), environment)
    finally:
        if started:
            down(home)
            print("engines are down")


def course_folder() -> Path:
    """The folder that holds `notebooks/`: the one we are in, else the checkout that this package is installed from."""
    for folder in (Path.cwd(), Path(__file__).parents[2]):
        if (folder / FIRST_PAGE).exists():
            return folder
    raise LifecycleError(f"there is no {FIRST_PAGE} here. Next: run this in the course's folder.")


def command(folder: Path, port: int | None, options: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """JupyterLab's command line. It prints its URL itself; what root and a machine without a display need is added."""
    arguments = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{FIRST_PAGE}",
        "--ServerApp.answer_yes=True",  # Ctrl-C means it
    ]
    if port:
        arguments.append(f"--ServerApp.port={port}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")
    displayed = sys.platform != "linux" or any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if not displayed and not environment.get("BROWSER"):
        arguments.append("--no-browser")
    return [*arguments, *options]


def _variables(home: Home) -> dict[str, str]:
    """For the terminals in JupyterLab. Where the Docker Engine that was chosen is away, its first page can choose."""
    try:
        return docker_engine.shell_variables(home)
    except docker_engine.NoEngine as error:
        print(f"kubelab: {error}", file=sys.stderr)
        return home.shell_variables()


def _config_path(given: str) -> str:
    """JupyterLab's configuration, with ours last: no question about news pops up before the lesson has begun."""
    return os.pathsep.join(filter(None, (given, str(CONFIG))))


def _run(arguments: list[str], environment: dict[str, str]) -> int:
    """Run it to its end; a signal to us ends it, and only then us."""
    process = subprocess.Popen(arguments, env=environment, preexec_fn=die_with_parent)

    def pass_on(signum: int, _: object) -> None:
        process.send_signal(signal.SIGTERM)

    kept = {signum: signal.signal(signum, pass_on) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        code = process.wait()
        return 0 if code in (0, -signal.SIGTERM, -signal.SIGINT) else abs(code)
    finally:
        for signum, handler in kept.items():
            signal.signal(signum, handler)
