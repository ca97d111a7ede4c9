"""Patches, by RFC 7386's and upstream's own examples (strategicpatch/patch_test.go)."""

from __future__ import annotations

import pytest

from kubelab.cluster.apiserver import patch
from kubelab.cluster.apiserver.errors import StatusError
from kubelab.cluster.apiserver.schema import types
from kubelab.cluster.apiserver.strategic import StrategicPatchError, strategic_merge

POD = types().of_kind("v1", "Pod")
DEPLOYMENT = types().of_kind("apps/v1", "Deployment")


def containers(*items: dict) -> dict:
    return {"spec": {"containers": list(items)}}


@pytest.mark.parametrize(
    ("current", "change", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(current, change, result):
    assert patch.apply(current, change, patch.MERGE_PATCH, POD) == result


def test_json_patch():
    change = [{"op": "replace", "path": "/a/0", "value": 2}, {"op": "remove", "path": "/b"}]
    assert patch.apply({"a": [1], "b": 1}, change, patch.JSON_PATCH, POD) == {"a": [2]}
    with pytest.raises(StatusError) as error:
        patch.apply({"a": 1}, [{"op": "test", "path": "/a", "value": 2}], patch.JSON_PATCH, POD)
    assert error.value.code == 422


def test_lists_with_a_merge_key_are_merged_by_it():
    current = containers({"name": "a", "image": "1"}, {"name": "b", "image": "1"})
    change = containers({"name": "b", "image": "2"}, {"name": "c", "image": "3"})
    assert strategic_merge(current, change, POD) == containers(
        {"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"}
    )


def test_directives_delete_and_replace():
    current = containers({"name": "a"}, {"name": "b"})
    assert strategic_merge(current, containers({"$patch": "delete", "name": "a"}), POD) == containers({"name": "b"})
    replaced = containers({"name": "z"}, {"$patch": "replace"})
    assert strategic_merge(current, replaced, POD) == containers({"name": "z"})
    labels = {"metadata": {"labels": {"$patch": "replace", "x": "y"}}}
    assert strategic_merge({"metadata": {"labels": {"a": "b"}}}, labels, POD) == {"metadata": {"labels": {"x": "y"}}}


def test_the_order_of_a_list_can_be_set():
    current = containers({"name": "a"}, {"name": "b"}, {"name": "server"})
    change = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    assert strategic_merge(current, change, POD) == containers({"name": "b"}, {"name": "a"}, {"name": "server"})


def test_lists_of_scalars_are_united_and_reduced():
    current = {"metadata": {"finalizers": ["a", "b"]}}
    added = strategic_merge(current, {"metadata": {"finalizers": ["b", "c"]}}, POD)
    assert added == {"metadata": {"finalizers": ["a", "b", "c"]}}
    reduced = strategic_merge(current, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}, POD)
    assert reduced == {"metadata": {"finalizers": ["b"]}}


def test_retained_keys_drop_the_others():
    current = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(current, change, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_atomic_lists_are_replaced():
    current = containers({"name": "a", "args": ["1", "2"]})
    assert strategic_merge(current, containers({"name": "a", "args": ["3"]}), POD) == containers(
        {"name": "a", "args": ["3"]}
    )


def test_an_item_without_its_key_is_refused():
    with pytest.raises(StrategicPatchError, match="does not contain declared merge key: name"):
        strategic_merge(containers({"name": "a"}), containers({"image": "x"}), POD)


def test_the_current_object_is_not_touched():
    current = containers({"name": "a", "image": "1"})
    strategic_merge(current, containers({"name": "a", "image": "2"}), POD)
    assert current == containers({"name": "a", "image": "1"})
