"""How fast nodes are given up, by the state of their zones."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab.cluster.controllers.zones import FULL, NORMAL, PARTIAL, PERIOD, SLOW_PERIOD, ZONE_LABEL, Zones, state_of
from unit.cluster.builders import make_node


def nodes(zone: str, ready: int, unready: int) -> list[dict[str, Any]]:
    made = [make_node(f"{zone}{n}", labels={ZONE_LABEL: zone}) for n in range(ready + unready)]
    for node in made[ready:]:
        node["status"]["conditions"][0]["status"] = "Unknown"
    return made


@pytest.mark.parametrize(
    ("ready", "unready", "state"),
    [(0, 0, NORMAL), (3, 0, NORMAL), (0, 1, FULL), (1, 2, NORMAL), (2, 3, PARTIAL), (3, 3, NORMAL), (0, 3, FULL)],
)
def test_the_state_of_a_zone(ready: int, unready: int, state: str):
    assert state_of(nodes("a", ready, unready)) == state


def test_one_node_in_ten_seconds_in_each_zone():
    zones, a, b = Zones(), nodes("a", 1, 2), nodes("b", 1, 1)
    zones.observe([*a, *b])
    assert [zones.may_give_up(node, 0.0) for node in (a[1], a[2], b[1])] == [True, False, True]
    assert not zones.may_give_up(a[2], PERIOD - 1)
    assert zones.may_give_up(a[2], PERIOD)


def test_a_zone_that_is_silent_as_a_whole_is_given_up_like_any_other_while_another_is_heard():
    zones, dark = Zones(), nodes("a", 0, 3)
    zones.observe([*dark, *nodes("b", 1, 0)])
    assert zones.may_give_up(dark[0], 0.0)


def test_a_small_zone_in_part_disrupted_is_left_alone_and_a_large_one_goes_on_slowly():
    zones, small, large = Zones(), nodes("a", 2, 3), nodes("b", 10, 50)
    zones.observe([*small, *large])
    assert not zones.may_give_up(small[4], 0.0)
    assert zones.may_give_up(large[59], 0.0)
    assert not zones.may_give_up(large[58], SLOW_PERIOD - 1)


def test_where_nobody_is_heard_nobody_is_given_up_and_the_first_voice_is_told():
    zones, silent = Zones(), [*nodes("a", 0, 1), *nodes("b", 0, 2)]
    assert zones.observe(silent) is False
    assert not zones.may_give_up(silent[0], 0.0)
    assert zones.observe([*nodes("a", 1, 0), *nodes("b", 0, 2)]) is True
    assert zones.observe([*nodes("a", 1, 0), *nodes("b", 0, 2)]) is False
