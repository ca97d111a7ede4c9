"""Anything may be in a Dockerfile or a .dockerignore: the answer is the builder's error or the right result, soon."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.engine.builder.dockerfile import Dockerfile, DockerfileError, parse
from kubelab.engine.builder.ignore import ignored, read_patterns
from kubelab.engine.builder.words import WordError, expand

_INSTRUCTIONS = "FROM ARG ENV RUN COPY ADD CMD LABEL ONBUILD HEALTHCHECK SHELL VOLUME EXPOSE"
_PARTS = 'base AS x a=b $A ${B:-c} / 0 [ ] "a" \' " <<EOF EOF <<-E --from=0 --chown=1 --x \\ # # escape=`'
_BLANKS = ["\n", "\n", " ", "\\\n", "\t"]
WORDS = st.sampled_from([*_INSTRUCTIONS.split(), *_PARTS.split(), *_BLANKS])
DOCKERFILES = st.one_of(st.text(), st.lists(WORDS, max_size=40).map(" ".join))


@given(DOCKERFILES)
def test_dockerfile_is_parsed_or_refused(text):
    try:
        parsed = parse(text)
    except DockerfileError:
        return
    assert isinstance(parsed, Dockerfile)
    assert parsed.stages
    assert all(step.original for stage in parsed.stages for step in stage.instructions)


@given(DOCKERFILES)
def test_what_was_parsed_is_parsed_again_from_its_own_lines(text):
    try:
        parsed = parse(text)
    except DockerfileError:
        return
    steps = [step for stage in parsed.stages for step in stage.instructions]
    if parsed.escape != "\\" or any(step.heredocs for step in steps):
        return
    lines = [*(step.original for step in parsed.arguments)]
    for stage in parsed.stages:
        lines += [stage.original, *(step.original for step in stage.instructions)]
    if any(set(line) & set("\\\r\v\f\x1c\x1d\x1e\x85\u2028\u2029") for line in lines):
        return
    again = parse("\n".join(lines))
    assert [(s.base, s.name, [(i.name, i.args, i.flags) for i in s.instructions]) for s in again.stages] == [
        (s.base, s.name, [(i.name, i.args, i.flags) for i in s.instructions]) for s in parsed.stages
    ]


@given(st.text(), st.dictionaries(st.sampled_from("ABC"), st.text(max_size=5)))
def test_words_are_expanded_or_refused(word, variables):
    with contextlib.suppress(WordError):
        assert isinstance(expand(word, variables, "\\"), str)


@given(st.text(alphabet="ab*?/!.[]\\^-# \n", max_size=30), st.text(alphabet="ab./", min_size=1, max_size=10))
def test_patterns_always_decide(text, path):
    assert ignored(path, read_patterns(text)) in (True, False)


def test_time_grows_with_the_length_of_a_pattern_alone():
    """With a regular expression that tries every way to share the text out, none of these would end."""
    assert not ignored("a" * 500, ["**/" * 20 + "a*" * 100 + "b"])
    assert ignored("a" * 500 + "b", ["a*" * 100 + "b"])


@pytest.mark.parametrize("pattern", ["[", "[a", "[]a]", "[z-a]", "\\", "!", "[a-]"])
def test_malformed_pattern_names_nothing_nor_do_its_neighbours(pattern):
    """Upstream: moby, builder/remotecontext/detect.go takes no notice of patternmatcher's error."""
    assert not ignored("Dockerfile", read_patterns(f"Dockerfile\n{pattern}\n"))


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [("**x", "d/ax", True), ("a**b", "a/c/b", True), ("a**b", "axb", False), ("a**", "ab/c", True), ("/a", "/a", True)],
)
def test_double_stars_that_are_not_a_part_of_their_own(pattern, path, expected):
    assert ignored(path, read_patterns(pattern)) is expected
