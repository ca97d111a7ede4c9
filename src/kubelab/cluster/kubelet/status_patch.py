"""The strategic merge patch that turns one pod status into another.

Upstream: apimachinery's strategicpatch.CreateTwoWayMergePatch, for the one type. Conditions merge by `type`, so that
those of others stay; addresses merge by `ip`; container statuses are replaced whole.
"""

from __future__ import annotations

from typing import Any

Status = dict[str, Any]
NOT_OURS = ("qosClass", "observedGeneration")  # the API server's
MERGE_KEYS = {"conditions": "type", "podIPs": "ip", "hostIPs": "ip"}


def status_patch(old: Status, new: Status) -> Status:
    """What to send; empty where there is nothing to change. Fields that are gone are sent as null."""
    gone = [field for field in old if field not in new and field not in NOT_OURS]
    patch: Status = dict.fromkeys(gone)
    for field, value in new.items():
        if old.get(field) == value:
            continue
        key = MERGE_KEYS.get(field)
        patch[field] = value if key is None else _merge(old.get(field) or [], value, key)
        if key is not None:  # as upstream's kubelet does: so PodScheduled, which is there first, comes last
            patch[f"$setElementOrder/{field}"] = [{key: element[key]} for element in value]
    return {field: value for field, value in patch.items() if value != []}


def _merge(old: list[Status], new: list[Status], key: str) -> list[Status]:
    """The elements that differ, each whole, and an order to delete for those that are gone."""
    before = {element[key]: element for element in old}
    changed: list[Status] = []
    for element in new:
        known = before.pop(element[key], {})
        if known != element:
            changed.append({**{field: None for field in known if field not in element}, **element})
    return changed + [{"$patch": "delete", key: gone} for gone in before]
