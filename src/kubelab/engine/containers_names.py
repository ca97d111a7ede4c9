"""Names of containers: the rule for a given one, and a random `adjective_name` where none is given.

Upstream: moby's daemon/names (the rule) and internal/namesgenerator (the form).
"""

from __future__ import annotations

import random
import re
from collections.abc import Container as Names

from kubelab.engine.errors import DockerError

RULE = r"[a-zA-Z0-9][a-zA-Z0-9_.-]"
_VALID = re.compile(rf"/?{RULE}+")

_ADJECTIVES = (
    "agile amused awake brave breezy bright calm careful cheerful clever cosy curious daring eager earnest fair "
    "gentle glad graceful happy humble jolly keen kind lively lucid mellow merry modest nimble patient playful "
    "polite proud quick quiet serene sharp steady sunny swift tidy upbeat vivid warm witty zesty"
)
# People to whom computing owes something.
_PEOPLE = (
    "allen babbage backus bartik berners booth borg cerf church codd conway dahl dijkstra easley engelbart estrin "
    "floyd goldberg hamilton hoare holberton hopper iverson johnson kahn kay kernighan kleene knuth lamarr lamport "
    "liskov lovelace mccarthy minsky neumann nygaard perlis perlman postel rabin ritchie sammet shannon snyder "
    "spaerck stallman tarjan thompson torvalds turing wilkes wirth wilson zuse"
)
ADJECTIVES, PEOPLE = _ADJECTIVES.split(), _PEOPLE.split()


def random_name(taken: Names[str]) -> str:
    """A name that is not taken; a digit is added where ten tries fail, as moby does."""
    for attempt in range(11):
        name = f"{random.choice(ADJECTIVES)}_{random.choice(PEOPLE)}" + (
            str(random.randrange(10)) if attempt > 9 else ""
        )
        if name not in taken:
            return name
    return f"{name}{random.randrange(10**6)}"


def check(name: str) -> str:
    """The name without the slash that clients may put before it. Raises DockerError 400."""
    if not _VALID.fullmatch(name):
        raise DockerError(400, f"Invalid container name ({name}), only {RULE} are allowed")
    return name.removeprefix("/")
