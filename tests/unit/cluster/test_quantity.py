"""Quantities, by upstream's examples (apimachinery/pkg/api/resource/quantity_test.go)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster import quantity


@pytest.mark.parametrize(
    ("text", "canonical", "amount"),
    [
        ("0.5", "500m", "0.5"),
        ("1024Mi", "1Gi", 2**30),
        ("100000", "100k", 100000),
        ("1.5Gi", "1536Mi", 3 * 2**29),
        ("0.1Mi", "104857600m", "104857.6"),
        ("1e3", "1e3", 1000),
        ("12E", "12E", "12E18"),
        ("0", "0", 0),
        (2, "2", 2),
        (0.25, "250m", "0.25"),
    ],
)
def test_canonical_form_and_amount(text, canonical, amount):
    assert quantity.canonical(text) == canonical
    assert quantity.parse(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "1.1.1", "12Q", "1 Gi", "abc", "1ki", "--1"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(quantity.QuantityError, match="quantities must match the regular expression"):
        quantity.parse(text)


def test_cpu_in_thousandths_is_rounded_up():
    assert [quantity.milli(text) for text in ("1", "100m", "0.0001")] == [1000, 100, 1]


@given(st.integers(0, 10**15), st.sampled_from(["", "m", "k", "M", "Ki", "Mi"]))
def test_the_canonical_form_is_the_same_amount_and_stays(number, suffix):
    text = f"{number}{suffix}"
    canonical = quantity.canonical(text)
    assert quantity.parse(canonical) == quantity.parse(text)
    assert quantity.canonical(canonical) == canonical
