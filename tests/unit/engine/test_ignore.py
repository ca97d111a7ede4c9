"""Patterns of .dockerignore, held against the docker SDK's own matcher."""

import pytest
from docker.utils.build import PatternMatcher
from hypothesis import assume, given
from hypothesis import strategies as st

from kubelab.engine.builder.ignore import ignored, read_patterns


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.py", "a.py", True),
        ("*.py", "d/a.py", False),
        ("**/*.py", "d/e/a.py", True),
        ("**/*.py", "a.py", True),
        ("d", "d/e/f", True),
        ("d/", "d/e", True),
        ("/d", "d", True),
        ("d/*", "d/e/f", True),
        ("d/**", "d/e/f", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c].txt", "b.txt", True),
        ("[^a-c].txt", "b.txt", False),
        ("a.b", "axb", False),
        ("\\*", "*", True),
        ("\\*", "x", False),
    ],
)
def test_patterns(pattern, path, expected):
    assert ignored(path, read_patterns(pattern)) is expected


def test_last_pattern_that_matches_decides():
    patterns = read_patterns("# comment\n\n*.md\n!README.md\n  docs  \n!docs/keep\n")
    assert [name for name in ("a.md", "README.md", "docs/x", "docs/keep", "b") if ignored(name, patterns)] == [
        "a.md",
        "docs/x",
    ]


_part = st.sampled_from(["a", "b", "ab", "a.c", "*", "a*", "?", "**"])
_pattern = st.builds(
    lambda negated, parts: negated + "/".join(parts),
    st.sampled_from(["", "!"]),
    st.lists(_part, min_size=1, max_size=3),
)
_path = st.lists(st.sampled_from(["a", "b", "ab", "a.c", "c"]), min_size=1, max_size=3).map("/".join)


def test_what_double_stars_name_is_left_out_with_everything_in_it():
    """Upstream: moby/patternmatcher, MatchesOrParentMatches. The SDK looks only at parents as deep as the pattern."""
    assert ignored("b/a", ["**/b"]) and ignored("a/a/b", ["a/**/a"])


@given(st.lists(_pattern, min_size=1, max_size=3), _path)
def test_same_as_the_sdk(patterns, path):
    assume(not any("**" in pattern and "/" in pattern for pattern in patterns))  # see above
    assert ignored(path, read_patterns("\n".join(patterns))) == PatternMatcher(patterns).matches(path)
