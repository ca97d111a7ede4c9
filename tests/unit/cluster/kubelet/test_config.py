"""KubeletConfiguration from its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubelab.cluster.kubelet.config import KubeletConfiguration, parse_duration

from .conftest import SETTINGS


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("5m0s", 300), ("1h2m3.5s", 3723.5), ("250ms", 0.25), ("0", 0), ("0s", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["10", "s", "1 m", "", "1x", "10s!"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration(text)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "node-1.json"
    nested = {"crashLoopBackOff": {"maxContainerRestartPeriod": "15s"}, "nodeStatusUpdateFrequency": "2s"}
    path.write_text(json.dumps({"kind": "KubeletConfiguration", **SETTINGS, **nested}))
    config = KubeletConfiguration.load(path)
    assert (config.maxContainerRestartPeriod, config.nodeStatusUpdateFrequency) == (15.0, 2.0)
    assert (config.node_ip, config.maxPods) == ("172.31.0.11", 110)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cgroupDriver": "systemd"}, 'strict decoding error: unknown field "cgroupDriver"'),
        ({"nodeName": ""}, "nodeName: Required value"),
        ({"syncFrequency": "often"}, 'time: invalid duration "often"'),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, change: dict[str, str], message: str) -> None:
    path = tmp_path / "node-1.json"
    path.write_text(json.dumps({**SETTINGS, **change}))
    with pytest.raises(ValueError, match=f"node-1.json: {message}"):
        KubeletConfiguration.load(path)
