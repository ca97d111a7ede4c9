"""Selectors, by upstream's examples (apimachinery/pkg/labels/selector_test.go, pkg/fields)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster.apiserver import fieldselector, labelselector
from kubelab.cluster.apiserver.labelselector import SelectorError
from kubelab.cluster.selectors import label_selector_matches


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("x=y", {"x": "y"}, True),
        ("x=y,z=w", {"x": "y", "z": "w"}, True),
        ("x==y", {"x": "y"}, True),
        ("x!=y", {"x": "z"}, True),
        ("x!=y", {}, True),
        ("notin in (in, x)", {"notin": "in"}, True),
        ("x in (a,b)", {"x": "c"}, False),
        ("x notin (a,b)", {}, True),
        ("x", {"x": ""}, True),
        ("!x", {"x": ""}, False),
        ("x=", {"x": ""}, True),
        ("x=,y=1", {"x": "", "y": "1"}, True),
        ("x>1", {"x": "2"}, True),
        ("x<1", {"x": "abc"}, False),
        ("example.com/a=b", {"example.com/a": "b"}, True),
    ],
)
def test_label_selectors(text, labels, matches):
    assert labelselector.parse(text)(labels) is matches


@pytest.mark.parametrize("text", ["x==a==b", "!x=a", "x in", "x in (a", ",x", "x,", "x>abc", "-x=1", "x=a b"])
def test_what_is_no_label_selector_is_refused(text):
    with pytest.raises(SelectorError):
        labelselector.parse(text)


names = st.text("abc", min_size=1, max_size=3)


@given(st.dictionaries(names, names), st.dictionaries(names, names, min_size=1))
def test_a_map_as_text_selects_what_the_map_selects(labels, wanted):
    expected = all(labels.get(key) == value for key, value in wanted.items())
    assert labelselector.parse(labelselector.to_string(wanted))(labels) is expected
    assert label_selector_matches({"matchLabels": wanted}, labels) is expected


def test_label_selector_objects():
    selector = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["d"]}]}
    assert label_selector_matches(selector, {"a": "b"})
    assert not label_selector_matches(selector, {"a": "b", "c": "d"})
    assert not label_selector_matches(None, {})
    assert label_selector_matches({}, {"any": "thing"})
    assert labelselector.to_string(selector) == "a=b,c notin (d)"


POD = {"metadata": {"name": "a", "namespace": "n"}, "spec": {"nodeName": "node-1"}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("metadata.name=a", True),
        ("metadata.name==a,status.phase!=Failed", True),
        ("spec.nodeName=", False),
        ("spec.hostNetwork=false", True),
        ("status.podIP=", True),
    ],
)
def test_field_selectors(text, matches):
    assert fieldselector.parse(text, "Pod")(POD) is matches


def test_fields_that_cannot_be_selected_by():
    with pytest.raises(SelectorError, match=r"field label not supported: spec.image"):
        fieldselector.parse("spec.image=x", "Pod")
    with pytest.raises(SelectorError, match="invalid selector"):
        fieldselector.parse("metadata.name", "Pod")
    assert fieldselector.required_name("status.phase=x,metadata.name=web") == "web"
