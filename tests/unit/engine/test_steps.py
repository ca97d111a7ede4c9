"""Configurations, arguments and the cache: which steps are the same."""

import io

import pytest

from harness_images import make_tar
from kubelab.engine.builder import steps
from kubelab.engine.builder.arguments import BuildArguments
from kubelab.engine.builder.cache import LayerCache
from kubelab.engine.builder.instructions import parse_ports, quoted
from kubelab.engine.builder.run_config import EMPTY, changed, differences, nop, set_variable, start_from
from kubelab.images import ImageStore


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Cmd", ["x"]),
        ("Env", ["A=1"]),
        ("Labels", {"a": "b"}),
        ("User", "me"),
        ("Entrypoint", ["x"]),
        ("ExposedPorts", {"80/tcp": {}}),
        ("Volumes", {"/v": {}}),
        ("Tty", True),
    ],
)
def test_what_makes_a_step_another(field, value):
    assert not differences(EMPTY, EMPTY)
    assert differences(EMPTY, changed(EMPTY, **{field: value}))


@pytest.mark.parametrize(("field", "value"), [("WorkingDir", "/a"), ("Hostname", "h"), ("Image", "i"), ("Cmd", [])])
def test_what_does_not(field, value):
    assert not differences(EMPTY, changed(EMPTY, **{field: value}))


def test_order_counts_for_words_and_not_for_labels():
    assert differences(changed(EMPTY, Env=["A=1", "B=2"]), changed(EMPTY, Env=["B=2", "A=1"]))
    assert not differences(changed(EMPTY, Labels={"a": "1", "b": "2"}), changed(EMPTY, Labels={"b": "2", "a": "1"}))


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path)


def step(store, parent, word, layer=None):
    config = changed(EMPTY, Cmd=nop(EMPTY, word))
    return steps.commit(store, parent, EMPTY, config, layer), config


def test_cache_finds_the_newest_child_and_stops_at_the_first_miss(store):
    base, _ = step(store, "", "BASE")
    step(store, base, "A")
    newest, config = step(store, base, "A")
    cache = LayerCache(store, enabled=True)
    assert cache.find(base, config).image == newest
    assert cache.find(newest, config).reason == "first"
    assert cache.find(base, config).reason == "after-miss"
    assert LayerCache(store, enabled=False).find(base, config).reason == "no-cache"


def test_steps_from_scratch_are_found_too(store):
    image, config = step(store, "", "A")
    assert LayerCache(store, enabled=True).find("", config).image == image


def test_history_and_layers_of_a_commit(store):
    base, _ = step(store, "", "A", io.BytesIO(make_tar({"f": "x"})))
    empty, _ = step(store, base, "B", io.BytesIO(bytes(1024)))
    image = store.get_image(empty)
    assert [entry["created_by"] for entry in image.config["history"]] == [
        "/bin/sh -c #(nop)  A",
        "/bin/sh -c #(nop)  B",
    ]
    assert [bool(entry.get("empty_layer")) for entry in image.config["history"]] == [False, True]
    assert len(image.diff_ids) == 1
    assert image.parent == base
    assert image.run_config["Image"] == base


def test_stage_starts_with_a_path():
    assert start_from(None)["Env"] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    assert start_from({"Env": ["A=1", "PATH=/x"]})["Env"] == ["A=1", "PATH=/x"]


def test_variables_are_set_where_they_stand():
    config = changed(EMPTY, Env=["A=1", "B=2"])
    set_variable(config, "A", "3")
    set_variable(config, "C", "4")
    assert config["Env"] == ["A=3", "B=2", "C=4"]


def test_arguments():
    arguments = BuildArguments({"GIVEN": "g", "UNUSED": "u", "HTTP_PROXY": "p", "NOVALUE": None})
    arguments.declare_global("META", "m")
    arguments.declare("GIVEN", "default")
    arguments.declare("DEFAULT", "d")
    arguments.declare("META", None)
    arguments.declare("NONE", None)
    allowed = arguments.allowed({"SET": "by ENV"})
    assert allowed == {"DEFAULT": "d", "GIVEN": "g", "HTTP_PROXY": "p", "META": "m"}
    assert arguments.shown(allowed) == ["DEFAULT=d", "GIVEN=g", "META=m"]
    assert arguments.unused() == ["NOVALUE", "UNUSED"]
    assert arguments.allowed({"GIVEN": "e"}).get("GIVEN") is None
    arguments.begin_stage()
    assert arguments.allowed({}) == {"HTTP_PROXY": "p"}


@pytest.mark.parametrize(
    ("written", "ports"),
    [("80", ["80/tcp"]), ("53/UDP", ["53/udp"]), ("1-3/sctp", ["1/sctp", "2/sctp", "3/sctp"])],
)
def test_ports(written, ports):
    assert parse_ports(written) == ports


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("x", "Invalid containerPort: x"),
        ("3-1", "Invalid containerPort: 3-1"),
        ("70000", "Invalid containerPort: 70000"),
        ("1/x", "Invalid proto: x"),
    ],
)
def test_what_is_no_port(written, message):
    with pytest.raises(ValueError, match=message):
        parse_ports(written)


@pytest.mark.parametrize(("words", "printed"), [([], "[]"), (["a", 'b"c', "d\\e", "é"], '["a" "b\\"c" "d\\\\e" "é"]')])
def test_quoted_as_go_does(words, printed):
    assert quoted(words) == printed
