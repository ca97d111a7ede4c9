"""Each Dockerfile of corpus/, built on the embedded engine and on dockerd over the same base image: field by field."""

from __future__ import annotations

import pytest

from engines.engine.parity import CORPUS, Case, context_of, look_at, post_build, timeless, told

pytestmark = [pytest.mark.timeout(180), pytest.mark.requires("dockerd")]


@pytest.mark.parametrize("name", sorted(path.stem for path in CORPUS.iterdir()))
def test_both_engines_make_the_same_image(both_engines, name):
    case = Case.read(CORPUS / f"{name}.Dockerfile")
    context, tag = context_of(case), name.replace("_", "-")
    streams = {each: post_build(client, context, t=tag, **case.query) for each, client in both_engines.items()}
    assert streams["embedded"][0] == streams["host"][0]
    assert told(streams["embedded"][1]) == told(streams["host"][1])
    ours, theirs = look_at(both_engines["embedded"], tag), look_at(both_engines["host"], tag)
    assert ours.history == theirs.history
    assert ours.inspect == theirs.inspect
    assert ours.config == theirs.config
    assert ours.layers == theirs.layers
    for mine, real, layer in zip(ours.diff_ids, theirs.diff_ids, ours.layers, strict=True):
        assert mine == real or not timeless(layer)
    again = {each: post_build(client, context, t=tag, **case.query) for each, client in both_engines.items()}
    assert told(again["embedded"][1]) == told(again["host"][1])
