"""Values that dockerd refuses in filters and names, with its words (asked of dockerd 20.10)."""

import pytest

from kubelab.engine import query
from kubelab.engine.errors import DockerError
from kubelab.images.reference import InvalidReference, parse, with_tag


@pytest.mark.parametrize(
    ("values", "expected"), [(["true"], True), (["1"], True), (["false"], False), (["0"], False), (None, True)]
)
def test_filter_that_is_true_or_false(values, expected):
    assert query.boolean({} if values is None else {"dangling": values}, "dangling", True) is expected


@pytest.mark.parametrize("values", [["foo"], ["True"], ["yes"], [], ["true", "false"]])
def test_filter_that_is_neither(values):
    with pytest.raises(DockerError) as error:
        query.boolean({"dangling": values}, "dangling", True)
    assert (error.value.status, str(error.value)) == (400, f"invalid filter 'dangling=[{' '.join(values)}]'")


def test_tag_of_a_name():
    assert str(with_tag(parse("a/b:1"), "2")) == "a/b:2"
    assert str(with_tag(parse("a/b:1"), "")) == "a/b:1"


@pytest.mark.parametrize("tag", ["a b", "-x", "x" * 129])
def test_tag_that_is_none(tag):
    with pytest.raises(InvalidReference, match=r"^invalid tag format$"):
        with_tag(parse("a/b"), tag)
