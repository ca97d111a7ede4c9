"""`kubelab doctor`: what is in force, what was tried, what failed, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict

from kubelab.home import Home

from . import clients, docker, engines, isolation, machine
from .finding import Finding, State


def examine(home: Home) -> list[Finding]:
    """Everything found, in the order in which to read it."""
    status, found = engines.examine(home)
    return [
        *machine.examine(home),
        *found,
        *docker.examine(home),
        *isolation.examine(home, running=status is not None),
        *clients.examine(home),
    ]


def main(home: Home, *, as_json: bool = False) -> int:
    """Print what was found. 1 where something failed, else 0."""
    findings = examine(home)
    if as_json:
        print(json.dumps([asdict(each) for each in findings], indent=2))
    else:
        for each in findings:
            print(each)
        failed = [each for each in findings if each.state is State.FAILED]
        print(f"\n{len(failed)} problem{'' if len(failed) == 1 else 's'} found" if failed else "\nno problem found")
    return 1 if any(each.state is State.FAILED for each in findings) else 0
