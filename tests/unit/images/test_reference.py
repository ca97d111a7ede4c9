"""References: long and short forms, and what is no name (github.com/distribution/reference)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.images.reference import InvalidReference, parse


@pytest.mark.parametrize(
    ("written", "familiar"),
    [
        ("foo", "foo:latest"),
        ("docker.io/library/foo", "foo:latest"),
        ("index.docker.io/foo:1", "foo:1"),
        ("docker.io/user/foo:1", "user/foo:1"),
        ("user/foo", "user/foo:latest"),
        ("localhost/foo", "localhost/foo:latest"),
        ("localhost:5000/a/b:v1.2-x", "localhost:5000/a/b:v1.2-x"),
        ("127.0.0.1:5000/foo", "127.0.0.1:5000/foo:latest"),
        ("example.com/foo", "example.com/foo:latest"),
        ("library/foo", "foo:latest"),
        (f"foo@sha256:{'a' * 64}", f"foo@sha256:{'a' * 64}"),
    ],
)
def test_familiar_form(written, familiar):
    assert str(parse(written).tagged()) == familiar


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("", "invalid reference format"),
        ("foo:", "invalid reference format"),
        ("-foo", "invalid reference format"),
        ("foo/../bar", "invalid reference format"),
        ("foo:bar/baz", "invalid reference format"),
        ("foo@sha256:abc", "invalid reference format"),
        ("a" * 64, f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal strings"),
    ],
)
def test_what_is_no_name(written, message):
    with pytest.raises(InvalidReference) as error:
        parse(written)
    assert str(error.value) == message


_component = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)?", fullmatch=True)


@given(st.lists(_component, min_size=1, max_size=3), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True))
def test_familiar_form_means_the_same_image(path, tag):
    reference = parse("/".join(path) + ":" + tag)
    assert parse(str(reference)) == reference
