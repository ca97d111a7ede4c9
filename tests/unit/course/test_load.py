"""Measured load: bounded, counted, and put into words that are the same in every run."""

from __future__ import annotations

from types import SimpleNamespace

from kubelab.course import anatomy, plots
from kubelab.course.load import Load, Request, Sample

from .cluster_double import ClusterDouble


def finished(**samples: list[bool]) -> Load:
    load = Load(SimpleNamespace(), {name: Request("service/x", "/") for name in samples})
    load.samples = {
        name: [Sample(i * 1.0, ok, 0.5) for i, ok in enumerate(answers)] for name, answers in samples.items()
    }
    return load


def test_each_feature_is_asked_until_the_block_ends(cluster: ClusterDouble):
    lab = SimpleNamespace(namespace="lab", engines=SimpleNamespace(api_client=cluster.api))
    with Load(
        lab,
        {
            "browse": Request("service/shop:http", "/catalog"),
            "order": Request("service/shop:http", "/orders", "POST", {}),
        },
    ) as load:
        load.keep_on(0.5)
        load.mark("half a second")
    asked = len(cluster.proxied)
    assert {"browse": load.rate("browse"), "order": load.rate("order")} == {"browse": 1.0, "order": 1.0}
    assert set(cluster.proxied) == {("GET", "catalog"), ("POST", "orders")}
    assert 4 <= asked <= 12 and load.marks[0][0] >= 0.5
    assert len(cluster.proxied) == asked


def test_a_server_that_is_away_loses_every_request(cluster: ClusterDouble):
    lab = SimpleNamespace(namespace="lab", engines=SimpleNamespace(api_client=cluster.api))
    cluster.stop()
    with Load(lab, {"browse": Request("service/shop:http", "/catalog")}) as load:
        load.keep_on(0.3)
    assert load.verdicts() == {"browse": "lost to the end"} and load.lost("browse") == len(load.samples["browse"]) > 0


def test_verdicts_rates_and_outages():
    load = finished(a=[True, True], b=[True, False, False, True], c=[False], d=[True, True, False, False])
    assert load.verdicts() == {
        "a": "all answered",
        "b": "lost for a while",
        "c": "lost to the end",
        "d": "lost to the end",
    }
    assert (load.rate("b"), load.lost("b"), load.outage("a"), load.outage("b")) == (0.5, 2, 0.0, 1.5)


def test_seconds_between_two_marks():
    load = finished(a=[True])
    load.marks = [(1.0, "release"), (2.5, "done"), (4.0, "release")]
    assert load.seconds_between("release", "done") == 1.5


def test_the_comparison_is_in_words_and_the_plots_say_what_they_are():
    loads = {"monolith": finished(browse=[True, False]), "microservices": finished(browse=[True, True])}
    assert plots.compare(loads).rows == [["browse", "lost for a while", "all answered"]]
    for plot in (plots.timeline(loads, "A crash"), plots.bars({"monolith": {"browse": 1.0}}, "A crash", "seconds")):
        text = plot._repr_mimebundle_()["text/plain"]
        assert text == "Plot: A crash. Run the cell to see it."


def test_shared_namespaces_are_those_with_the_same_number():
    links = {
        "web": "net:[1]\nipc:[2]\nuts:[3]\npid:[4]\nmnt:[5]\n",
        "companion": "net:[1]\nipc:[2]\nuts:[3]\npid:[6]\nmnt:[7]\n",
    }
    lab = SimpleNamespace(
        namespace="lab",
        read=lambda target: {"spec": {"containers": [{"name": "web"}, {"name": "companion"}]}},
        exec=lambda pod, command, container: links[container],
    )
    table = anatomy.shared_table(lab, "pair")
    assert {row[0]: row[3] for row in table.rows} == {
        "net": "shared",
        "ipc": "shared",
        "uts": "shared",
        "pid": "own",
        "mnt": "own",
    }
    assert table.rows[0][1:3] == ["net:[1]", "net:[1]"]
