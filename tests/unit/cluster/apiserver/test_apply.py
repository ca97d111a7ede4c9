"""Server-side apply: who owns what, and what that does. Cases as in structured-merge-diff's integration tests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster.apiserver import fieldset
from kubelab.cluster.apiserver.apply import Applied, apply
from kubelab.cluster.apiserver.schema import types

POD = types().of_kind("v1", "Pod")


def pod(*containers: dict, **meta) -> dict:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": list(containers)}}


def applied(current: dict | None, config: dict, manager: str = "a", now: str = "then") -> Applied:
    return apply(current, config, POD, manager, now)


def paths_of(result: Applied, manager: str) -> set:
    return next(paths for key, paths in result.conflicts.items() if key.name == manager)


def containers(obj: dict) -> dict[str, dict]:
    return {c["name"]: c for c in obj["spec"]["containers"]}


def test_what_a_manager_no_longer_names_goes():
    first = applied(None, pod({"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}]}, labels={"x": "y"})).obj
    second = applied(first, pod({"name": "c", "image": "i"})).obj
    assert "x" not in (second["metadata"].get("labels") or {})
    assert not containers(second)["c"].get("env")


def test_what_nobody_applied_stays():
    first = applied(None, pod({"name": "c", "image": "i"})).obj
    first["spec"]["containers"].append({"name": "sidecar", "image": "s"})
    first["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    second = applied(first, pod({"name": "c", "image": "j"})).obj
    assert containers(second) == {
        "c": {"name": "c", "image": "j", "imagePullPolicy": "Never"},
        "sidecar": {"name": "sidecar", "image": "s"},
    }


def test_a_list_item_goes_whole():
    first = applied(None, pod({"name": "c", "image": "i"}, {"name": "d", "image": "i"})).obj
    first["spec"]["containers"][1]["imagePullPolicy"] = "Never"
    assert list(containers(applied(first, pod({"name": "c", "image": "i"})).obj)) == ["c"]


def test_two_appliers_of_one_value_share_it():
    first = applied(None, pod({"name": "c", "image": "i"})).obj
    shared = applied(first, pod({"name": "c", "image": "i"}), "b")
    assert shared.conflicts == {}
    left = applied(shared.obj, pod({"name": "c"})).obj
    assert containers(left)["c"]["image"] == "i"


def test_another_value_is_a_conflict_and_takes_the_field_over_when_forced():
    first = applied(None, pod({"name": "c", "image": "i"})).obj
    other = applied(first, pod({"name": "c", "image": "j"}), "b")
    assert [fieldset.text(path) for path in paths_of(other, "a")] == ['.spec.containers[name="c"].image']
    owners = {entry["manager"]: entry["fieldsV1"] for entry in other.obj["metadata"]["managedFields"]}
    item = 'k:{"name":"c"}'
    assert "f:image" not in owners["a"]["f:spec"]["f:containers"][item]
    assert "f:image" in owners["b"]["f:spec"]["f:containers"][item]


def test_applying_the_same_again_changes_nothing():
    first = applied(None, pod({"name": "c", "image": "i"})).obj
    assert applied(first, pod({"name": "c", "image": "i"}), now="later").obj == first


names = st.text("ab", min_size=1, max_size=2)
configs = st.builds(
    lambda images, labels: pod(*({"name": n, "image": i} for n, i in images.items()), labels=labels),
    st.dictionaries(names, names, min_size=1),
    st.dictionaries(names, names),
)


@given(configs)
def test_a_set_of_fields_survives_its_form(config: dict):
    paths = fieldset.of(config, POD)
    assert fieldset.from_fields_v1(fieldset.to_fields_v1(paths)) == paths


@given(configs, configs)
def test_the_result_is_what_was_applied_last(first: dict, second: dict):
    result = applied(applied(None, first).obj, second).obj
    assert containers(result) == containers(second)
    assert (result["metadata"].get("labels") or {}) == second["metadata"]["labels"]
