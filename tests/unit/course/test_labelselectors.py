"""Label selectors, against what the API server's own select."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster.selectors import label_selector_matches
from kubelab.course.labelselectors import matches, words

KEYS, VALUES = st.sampled_from(["app", "tier", "env"]), st.sampled_from(["a", "b", "c"])
LABELS = st.dictionaries(KEYS, VALUES)
EXPRESSIONS = st.one_of(
    st.fixed_dictionaries(
        {"key": KEYS, "operator": st.sampled_from(["In", "NotIn"]), "values": st.lists(VALUES, min_size=1, max_size=2)}
    ),
    st.fixed_dictionaries({"key": KEYS, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)


@given(equal=LABELS, expressions=st.lists(EXPRESSIONS, max_size=3), labels=LABELS)
def test_they_select_what_the_controllers_do(equal, expressions, labels):
    selector = {"matchLabels": equal, "matchExpressions": expressions}
    assert matches(selector, labels) == label_selector_matches(selector, labels)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"app": "web"}, "app=web"),
        ({"matchLabels": {"app": "web"}}, "app=web"),
        (
            {
                "matchExpressions": [
                    {"key": "app", "operator": "In", "values": ["a", "b"]},
                    {"key": "old", "operator": "DoesNotExist"},
                    {"key": "new", "operator": "Exists"},
                    {"key": "tier", "operator": "NotIn", "values": ["x"]},
                ]
            },
            "app in (a,b),!old,new,tier notin (x)",
        ),
    ],
)
def test_they_are_written_as_kubectl_takes_them(selector, text):
    assert words(selector) == text
