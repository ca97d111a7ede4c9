"""`$(NAME)`, with upstream's cases (third_party/forked/golang/expansion/expand_test.go)."""

from __future__ import annotations

import pytest

from kubelab.cluster.kubelet.expansion import expand

VALUES = {"VAR_A": "A", "VAR_B": "B", "VAR_REF": "$(VAR_A)", "VAR_EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(VAR_A)", "A"),
        ("___$(VAR_B)___", "___B___"),
        ("$(VAR_A)$(VAR_B)", "AB"),
        ("$(VAR_REF)", "$(VAR_A)"),
        ("f00-$(VAR_EMPTY)-b4r", "f00--b4r"),
        ("$$(VAR_A)", "$(VAR_A)"),
        ("$$$(VAR_A)", "$A"),
        ("$$$$", "$$"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$VAR_A", "$VAR_A"),
        ("$(VAR_A", "$(VAR_A"),
        ("$()", "$()"),
        ("costs $5", "costs $5"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert expand(text, VALUES) == expected
