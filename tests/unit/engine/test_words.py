"""Quotes, escapes and variables, as buildkit's shell/lex.go has them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.engine.builder.words import WordError, expand, expand_words, split_words

ENV = {"FOO": "foo", "TWO": "a b", "EMPTY": ""}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("plain", "plain"),
        ("$FOO", "foo"),
        ("${FOO}", "foo"),
        ("$FOObar", ""),
        ("${FOO}bar", "foobar"),
        ("$NOSUCH", ""),
        ("\\$FOO", "$FOO"),
        ("'$FOO'", "$FOO"),
        ('"$FOO"', "foo"),
        ('"\\$FOO"', "$FOO"),
        ('"a\\b"', "a\\b"),
        ("a\\b", "ab"),
        ("$", "$"),
        ("a$", "a$"),
        ("$1x", "x"),
        ("${FOO:-x}", "foo"),
        ("${NOSUCH:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${FOO:+x}", "x"),
        ("${NOSUCH:+x}", ""),
        ("${NOSUCH:-${FOO}}", "foo"),
        ("${NOSUCH:-$TWO}", "a b"),
        ("'it''s'", "its"),
        ("trailing\\", "trailing"),
    ],
)
def test_expand(word, expected):
    assert expand(word, ENV, "\\") == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("${FOO", "missing ':' in substitution"),
        ("${", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${NONE:?x}", "NONE: x"),
        ("${NONE?}", "NONE: is not allowed to be unset"),
        ("${FOO:-x", "syntax error: missing '}'"),
        ("'open", "unexpected end of statement while looking for matching single-quote"),
        ('"open', "unexpected end of statement while looking for matching double-quote"),
    ],
)
def test_what_cannot_be_expanded(word, message):
    with pytest.raises(WordError) as error:
        expand(word, ENV, "\\")
    assert str(error.value) == f"failed to process {json.dumps(word)}: {message}"


def test_words_from_variables_are_split_and_quoted_ones_are_not():
    assert expand_words("$TWO", ENV, "\\") == ["a", "b"]
    assert expand_words('"$TWO"', ENV, "\\") == ["a b"]
    assert expand_words("x$TWO", ENV, "\\") == ["xa", "b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b  c", ["a", "b", "c"]),
        ("a='x y' b", ["a='x y'", "b"]),
        ('a="x \\" y"', ['a="x \\" y"']),
        ("a\\ b c", ["a\\ b", "c"]),
        ("'' b", ["''", "b"]),
        ("'a\\' b", ["'a\\'", "b"]),
        ("a\\", ["a"]),
        ("   ", []),
    ],
)
def test_split(text, words):
    assert split_words(text, "\\") == words


@given(st.text(alphabet="ab '\"\\$ {}:-+", max_size=12))
def test_anything_is_a_word_or_an_error(text):
    split_words(text, "\\")
    try:
        assert isinstance(expand(text, ENV, "\\"), str)
    except WordError as error:
        assert str(error).startswith("failed to process")


@given(st.text(alphabet="ab.$\\\"' ", max_size=12))
def test_single_quotes_keep_everything(text):
    if "'" not in text:
        assert expand(f"'{text}'", ENV, "\\") == text
