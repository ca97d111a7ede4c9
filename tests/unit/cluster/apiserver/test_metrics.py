"""Two readings make a figure."""

from __future__ import annotations

import pytest

from kubelab.cluster.apiserver.metrics.points import Point, Points, Scrape, parse
from kubelab.cluster.kubelet.metrics_routes import exposition

KEY = ("default", "p")


def scrape(time: float, cpu: float, start: float = 0.0) -> Scrape:
    return Scrape(Point(time, cpu, 1024), {KEY: {"c": Point(time, cpu, 2048, start)}})


def test_usage_is_what_was_used_between_two_scrapes():
    points = Points()
    points.add("node-1", scrape(100, 1.0))
    assert points.node("node-1") is None and points.pod(KEY) is None
    points.add("node-1", scrape(110, 6.0))
    assert points.node("node-1").cpu == pytest.approx(0.5)
    usage = points.pod(KEY)["c"]
    assert (usage.cpu, usage.window, usage.memory) == (pytest.approx(0.5), 10, 2048)
    points.keep(set())
    assert points.node("node-1") is None


def test_a_young_container_is_measured_from_its_start_and_so_is_one_that_began_again():
    points = Points()
    points.add("node-1", scrape(100, 1.0, start=98))
    assert points.pod(KEY)["c"].cpu == pytest.approx(0.5)
    points.add("node-1", scrape(110, 3.0, start=104))
    assert points.pod(KEY)["c"].cpu == pytest.approx(0.5)


def test_what_the_kubelet_writes_is_read_again():
    labels = {"container": "c", "namespace": "default", "pod": "p"}
    text = exposition(
        [
            ("container_cpu_usage_seconds_total", labels, 1.25, 100.5),
            ("container_memory_working_set_bytes", labels, 4096, 100.5),
            ("container_start_time_seconds", labels, 1795630392.125, 0.0),
            ("node_cpu_usage_seconds_total", {}, 7.5, 101.0),
            ("node_memory_working_set_bytes", {}, 8192, 101.0),
            ("resource_scrape_error", {}, 0.0, 0.0),
        ]
    )
    assert "# TYPE container_cpu_usage_seconds_total counter\n" in text
    found = parse(text)
    assert found.node == Point(101.0, 7.5, 8192)
    assert found.pods == {KEY: {"c": Point(100.5, 1.25, 4096, 1795630392.125)}}
