"""A registry over a store in memory, at a time that stands still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubelab.clock import VirtualClock
from kubelab.cluster.apiserver import bootstrap, kinds
from kubelab.cluster.apiserver.config import Config
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import SERVICEACCOUNTS
from kubelab.cluster.store import Store


@pytest.fixture
def registry() -> Iterator[Registry]:
    store = Store(":memory:")
    config = Config("", "", "", service_cluster_ip_range="10.96.0.0/24", service_node_port_range="30000-30003")
    made = Registry(store, config, VirtualClock(), kinds.strategies())
    bootstrap.create(made, "127.0.0.1", 6443)
    made.create(SERVICEACCOUNTS, {"metadata": {"name": "default"}}, "default")
    yield made
    store.close()
