"""Bars of the anatomy: neighbours in one namespace are one bar."""

from kubelab.widgets.pod_anatomy import bars


def test_neighbours_that_share_are_one_bar():
    assert bars(["net:[1]", "net:[1]", "net:[2]"]) == [
        {"from": 0, "to": 1, "link": "net:[1]", "shared": True},
        {"from": 2, "to": 2, "link": "net:[2]", "shared": False},
    ]


def test_where_nothing_is_shared_each_has_its_own():
    assert [bar["shared"] for bar in bars(["pid:[1]", "pid:[2]"])] == [False, False]
