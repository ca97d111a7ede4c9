"""Bars and sizes as dockerd prints them."""

import pytest

from kubelab.images.registry.progress import human_size, progress_bar


@pytest.mark.parametrize(
    ("current", "total", "expected"),
    [
        (113, 113, "[==================================================>]     113B/113B"),
        (512, 5000, "[=====>                                             ]     512B/5kB"),
        (512, 1, "[==================================================>]     512B"),
        (512, 0, "    512B"),
    ],
)
def test_bar(current, total, expected):
    assert progress_bar(current, total) == expected


@pytest.mark.parametrize(("size", "expected"), [(0, "0B"), (999, "999B"), (1500, "1.5kB"), (123456789, "123.5MB")])
def test_sizes(size, expected):
    assert human_size(size) == expected
