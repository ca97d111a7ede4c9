"""Signs of life, and what is said of a node that gives none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kubelab.cluster.controllers.config import ControllerConfig
from kubelab.cluster.controllers.nodehealth import NodeHealth, unknown_conditions
from kubelab.cluster.controllers.tainteviction import toleration_seconds
from unit.cluster.builders import make_node

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
TAINT = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
OTHER = {"key": "dedicated", "value": "gpu", "effect": "NoExecute"}


def lease(renewed: str) -> dict:
    return {"spec": {"renewTime": renewed}}


def test_a_renewed_lease_is_a_sign_of_life_whatever_time_it_names():
    health, node = NodeHealth(), make_node()
    health.observe(node, lease("2026-01-01T00:00:00.000000Z"), 0)
    health.observe(node, lease("2026-01-01T00:00:00.000000Z"), 30)
    assert health.silent_for(node, 30) == 30
    health.observe(node, lease("1999-01-01T00:00:00.000000Z"), 40)  # the node's clock may be wrong
    assert health.silent_for(node, 45) == 5


def test_a_heartbeat_in_the_status_is_one_too():
    health, node = NodeHealth(), make_node()
    health.observe(node, None, 0)
    node["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-01-01T00:10:00Z"
    health.observe(node, None, 10)
    assert health.silent_for(node, 10) == 0


def test_what_the_kubelet_reported_becomes_unknown():
    found = {c["type"]: c for c in unknown_conditions(make_node(), NOW)}
    assert set(found) == {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}
    assert found["Ready"]["reason"] == "NodeStatusUnknown"
    assert found["Ready"]["message"] == "Kubelet stopped posting node status."
    assert found["Ready"]["lastTransitionTime"] == "2026-01-01T01:00:00Z"
    assert found["DiskPressure"]["reason"] == "NodeStatusNeverUpdated"


def test_what_is_unknown_already_keeps_its_time():
    node = make_node()
    node["status"]["conditions"] = unknown_conditions(node, NOW)
    assert unknown_conditions(node, datetime(2027, 1, 1, tzinfo=UTC)) == node["status"]["conditions"]


@pytest.mark.parametrize(
    ("taints", "tolerations", "expected"),
    [
        ([TAINT], [], 0),
        ([TAINT], [{"key": TAINT["key"], "operator": "Exists", "tolerationSeconds": 300}], 300),
        ([TAINT], [{"operator": "Exists"}], None),
        ([TAINT, OTHER], [{"key": TAINT["key"], "operator": "Exists", "tolerationSeconds": 300}], 0),
        ([TAINT, OTHER], [{"operator": "Exists", "tolerationSeconds": 5}, {"operator": "Exists"}], 5),
        ([OTHER], [{"key": "dedicated", "value": "gpu", "tolerationSeconds": -1}], 0),
        ([OTHER], [{"key": "dedicated", "value": "cpu"}], 0),
    ],
)
def test_how_long_a_pod_may_stay(taints: list, tolerations: list, expected: float | None):
    assert toleration_seconds(taints, tolerations) == expected


def test_upstreams_defaults():
    config = ControllerConfig.from_dict({})
    assert (config.node_monitor_period, config.node_monitor_grace_period) == (5, 50)


def test_settings_under_upstreams_names():
    given = {"nodeLifecycleController": {"nodeMonitorPeriod": "1s", "nodeMonitorGracePeriod": "1m30s"}}
    config = ControllerConfig.from_dict(given)
    assert (config.node_monitor_period, config.node_monitor_grace_period) == (1, 90)


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(ValueError, match="nodeLifecycleController: unknown setting podEvictionTimeout"):
        ControllerConfig.from_dict({"nodeLifecycleController": {"podEvictionTimeout": "5m"}})
