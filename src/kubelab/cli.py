"""The `kubelab` command: starts, shows and stops the engines. It loads nothing that it does not need at once."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from pathlib import Path

from kubelab.home import Home
from kubelab.lifecycle import LifecycleError, ask, down, locked, running, up
from kubelab.settings.profiles import DEFAULT, PROFILES

NOT_RUNNING = 3  # exit code of `kubelab status` without engines, as systemctl's


def main(argv: list[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    try:
        code = arguments.run(arguments, Home.from_environment())
    except LifecycleError as error:
        print(f"kubelab: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubelab", description="Runs the course's engines: a Docker Engine and a Kubernetes, for you alone."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    profiles = f"timings: {', '.join(PROFILES)} (a first start: {DEFAULT})"
    command("up", _up, "Start the engines; return when they are ready.").add_argument(
        "--profile", choices=list(PROFILES), help=profiles
    )
    command("down", _down, "Stop the engines. What they stored stays.")
    status = command("status", _status, "Show what runs.")
    status.add_argument("--json", action="store_true", help="for programs")
    doctor = command("doctor", _doctor, "Say what is in force, what was tried, what failed, and what to do about it.")
    doctor.add_argument("--json", action="store_true", help="for programs")
    reset = command("reset", _reset, "Stop the engines and remove everything that they stored.")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    command("env", _env, 'Print what a shell needs for kubectl and docker: eval "$(kubelab env)".')
    base = command("base-image", _base_image, "Make kubelab/python where it is missing, and print its ID.")
    base.add_argument("--save", metavar="FILE", help="write it there as `docker save` would, for another engine")
    node = command("node", _node, "Lose a node, as if its power had failed, or boot it; cut its network, or heal it.")
    node.add_argument("action", choices=["stop", "start", "cut", "heal"])
    node.add_argument("name", metavar="NAME", help="node-1 or node-2")
    restart = command("restart", _restart, "Restart one component.")
    restart.add_argument("name", metavar="COMPONENT")
    logs = command("logs", _logs, "Print a component's log.")
    logs.add_argument("name", metavar="COMPONENT", help="runtime, control-plane, engine, node-1, node-2, supervisor")
    lab = command("lab", _lab, "Start the engines and JupyterLab at the course's first page.")
    lab.add_argument("--port", type=int, help="JupyterLab's port")
    lab.add_argument("options", nargs="*", metavar="-- OPTION", help="further options, for JupyterLab")
    return parser


def _up(arguments: argparse.Namespace, home: Home) -> int:
    status = up(home, arguments.profile)
    print(f"engines are up: profile {status['profile']}, runtime level {status['level']}, API {status['server']}")
    print('for kubectl and docker in this shell: eval "$(kubelab env)"')
    return 0


def _down(_: argparse.Namespace, home: Home) -> int:
    print("engines are down" if down(home) else "engines were not running")
    return 0


def _status(arguments: argparse.Namespace, home: Home) -> int:
    status = running(home)
    if arguments.json:
        print(json.dumps(status or {"running": False, "home": str(home.path)}))
    elif status is None:
        print("engines are not running; start them with `kubelab up`")
    else:
        print(f"profile {status['profile']} · runtime level {status['level']} · API {status['server']} · {home.path}")
        for each in status["components"]:
            note = f"  {each['last_error'].splitlines()[0]}" if each["last_error"] else ""
            print(
                f"{each['name']:14} {each['state']:9} pid {each['pid'] or '-':<8} restarts {each['restarts']}"
                f"  up {each['uptime_seconds']:.0f} s{note}"
            )
    return 0 if status else NOT_RUNNING


def _doctor(arguments: argparse.Namespace, home: Home) -> int:
    from kubelab.doctor import main as examine

    return examine(home, as_json=arguments.json)


def _reset(arguments: argparse.Namespace, home: Home) -> int:
    if not home.path.exists():
        print(f"nothing to remove at {home.path}")
        return 0
    if not arguments.yes and not _confirmed(home):
        return 1
    code = _reset_real_engines(home)
    down(home)
    with locked(home):
        shutil.rmtree(home.path)
    print(f"removed {home.path}")
    return code


def _reset_real_engines(home: Home) -> int:
    """Remove what the course made in engines of the user's own. 1 where one did not let us."""
    from kubelab.settings import docker_engine, docker_leavings

    code = 0
    for address in docker_engine.used(home):
        try:
            removed = docker_leavings.remove(address)
        except Exception as error:  # the SDK's, its transports' and the system's
            label = " ".join(f"--filter label={each}" for each in docker_leavings.FILTER["label"])
            print(f"kubelab: {address.url}: {error}. What is left there: docker ps -a {label}", file=sys.stderr)
            code = 1
            continue
        print(f"removed from the Docker Engine at {address.url}: {', '.join(removed) or 'nothing'}")
    return code


def _confirmed(home: Home) -> bool:
    from kubelab.settings import docker_engine, docker_leavings

    what = f"{home.path}, with all objects, images and certificates"
    if others := ", ".join(each.url for each in docker_engine.used(home)):
        what += f"; and everything labelled {docker_leavings.FILTER['label'][0]} in the Docker Engine at {others}"
    if not sys.stdin.isatty():
        raise LifecycleError(f"reset removes {what}. Next: say --yes.")
    return input(f"Remove {what}? [y/N] ").strip().lower() == "y"


def _base_image(arguments: argparse.Namespace, home: Home) -> int:
    from kubelab.images.base import NAME, ensure_base_image
    from kubelab.images.store import ImageStore

    store = ImageStore(home.ensure().images)
    image = ensure_base_image(store)
    if arguments.save:
        with Path(arguments.save).open("wb") as archive:
            store.save([NAME], archive)
    print(image.id)
    return 0


def _env(_: argparse.Namespace, home: Home) -> int:
    from kubelab.settings.docker_engine import NoEngine, shell_variables

    try:
        variables = shell_variables(home)
    except NoEngine as error:
        raise LifecycleError(str(error)) from error
    print("export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items()))
    return 0


def _node(arguments: argparse.Namespace, home: Home) -> int:
    ask(home, f"node-{arguments.action}", arguments.name)
    states = {"stop": "lost", "cut": "cut off"}
    print(f"{arguments.name} is {states.get(arguments.action, 'back')}")
    return 0


def _restart(arguments: argparse.Namespace, home: Home) -> int:
    ask(home, "restart", arguments.name)
    print(f"{arguments.name} is restarted")
    return 0


def _logs(arguments: argparse.Namespace, home: Home) -> int:
    path = home.log / f"{arguments.name}.log"
    if not path.exists():
        there = ", ".join(sorted(each.stem for each in home.log.glob("*.log"))) or "none yet"
        raise LifecycleError(f"no log of {arguments.name!r}; there are: {there}")
    with path.open("rb") as log:
        shutil.copyfileobj(log, sys.stdout.buffer)
    return 0


def _lab(arguments: argparse.Namespace, home: Home) -> int:
    from kubelab.desk import open_lab

    return open_lab(home, arguments.port, arguments.options)


if __name__ == "__main__":
    main()
