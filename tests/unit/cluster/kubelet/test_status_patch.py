"""The patches that carry pod statuses to the API: applied to the old status they must give the new one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelab.cluster.kubelet.status_patch import status_patch

from .fakes import strategic

CONDITION = {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers with …"}


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"phase": "Running"}, {"phase": "Running"}, {}),
        ({"phase": "Pending"}, {"phase": "Running"}, {"phase": "Running"}),
        ({"reason": "x", "qosClass": "Burstable"}, {}, {"reason": None}),
        (
            {"conditions": [CONDITION]},
            {"conditions": [{"type": "Ready", "status": "True"}]},
            {
                "conditions": [{"type": "Ready", "status": "True", "reason": None, "message": None}],
                "$setElementOrder/conditions": [{"type": "Ready"}],
            },
        ),
        (
            {"podIPs": [{"ip": "10.0.0.1"}]},
            {"podIPs": [{"ip": "10.0.0.2"}]},
            {
                "podIPs": [{"ip": "10.0.0.2"}, {"$patch": "delete", "ip": "10.0.0.1"}],
                "$setElementOrder/podIPs": [{"ip": "10.0.0.2"}],
            },
        ),
        (
            {"containerStatuses": [{"name": "a", "state": {"waiting": {}}}]},
            {"containerStatuses": [{"name": "a", "state": {"running": {}}}]},
            {"containerStatuses": [{"name": "a", "state": {"running": {}}}]},
        ),
    ],
)
def test_patches(old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any]) -> None:
    assert status_patch(old, new) == patch


def conditions() -> st.SearchStrategy[list[dict[str, str]]]:
    one = st.fixed_dictionaries(
        {"type": st.sampled_from("ABCD"), "status": st.sampled_from(["True", "False"])},
        optional={"reason": st.sampled_from(["x", "y"])},
    )
    return st.lists(one, unique_by=lambda c: c["type"], min_size=1)


def statuses() -> st.SearchStrategy[dict[str, Any]]:
    ips = st.lists(st.fixed_dictionaries({"ip": st.sampled_from(["1", "2", "3"])}), unique_by=json.dumps, min_size=1)
    phases = st.sampled_from(["Pending", "Running"])
    return st.fixed_dictionaries(
        {"phase": phases, "conditions": conditions(), "podIPs": ips}, optional={"reason": phases}
    )


@settings(database=None)
@given(statuses(), statuses())
def test_a_patch_leads_from_any_status_to_any_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert strategic(old, status_patch(old, new)) == new
