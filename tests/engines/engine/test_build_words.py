"""What either engine says of a Dockerfile that is wrong or odd: the same status and the same stream, word for word."""

from __future__ import annotations

import pytest

from engines.engine import corpus_context
from engines.engine.bad_dockerfiles import LINES, WHOLE
from engines.engine.parity import post_build, told

pytestmark = [pytest.mark.timeout(180), pytest.mark.requires("dockerd")]


@pytest.mark.parametrize("dockerfile", [*WHOLE, *(f"FROM kl/base\n{line}\n" for line in LINES)])
def test_both_engines_say_the_same(both_engines, dockerfile):
    said = {}
    for name, client in both_engines.items():
        status, lines = post_build(client, corpus_context.context(dockerfile), t="words")
        said[name] = status, told(lines)
    assert said["embedded"] == said["host"]
