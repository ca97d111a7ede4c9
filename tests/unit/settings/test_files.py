"""The config files: read back by the components that they are for, at both levels and in both profiles."""

import csv
import ipaddress
import json
import stat

import pytest

from kubelab.cluster import kubeconfig
from kubelab.cluster.apiserver.config import Config
from kubelab.cluster.controllers.config import ControllerConfig
from kubelab.cluster.kubelet.config import KubeletConfiguration
from kubelab.settings import files
from kubelab.settings.addresses import Addresses


@pytest.fixture(params=["namespaces", "process"])
def level(request):
    return request.param


@pytest.fixture
def settings(home, level):
    return files.write(home, level, "class")


def test_every_component_accepts_its_file(settings, home):
    api = Config.load(home.component_config("kube-apiserver"))
    assert api.secure_port == settings.ports["kube-apiserver"]
    assert api.default_unreachable_toleration_seconds == 5
    manager = ControllerConfig.from_dict(json.loads(home.component_config("kube-controller-manager").read_text()))
    assert (manager.node_monitor_period, manager.node_monitor_grace_period) == (1, 8)
    for name in files.NODES:
        kubelet = KubeletConfiguration.load(home.component_config(name))
        assert kubelet.nodeName == name
        assert kubelet.maxContainerRestartPeriod == 5


def test_upstream_timings(home, level):
    files.write(home, level, "upstream")
    kubelet = KubeletConfiguration.load(home.component_config("node-1"))
    assert (kubelet.maxContainerRestartPeriod, kubelet.nodeLeaseDurationSeconds) == (300, 40)
    assert Config.load(home.component_config("kube-apiserver")).default_not_ready_toleration_seconds == 300


def test_every_kubeconfig_s_token_is_in_the_token_file(settings, home):
    with (home.pki / "tokens.csv").open() as file:
        users = {row[0]: row[1:] for row in csv.reader(file)}
    student = kubeconfig.read(home.kubeconfig)
    assert users[student.token] == ["kubernetes-admin", "kubernetes-admin", "system:masters"]
    node = kubeconfig.read(home.component_kubeconfig("node-2"))
    assert users[node.token] == ["system:node:node-2", "system:node:node-2", "system:nodes"]
    assert node.server == settings.server
    assert node.ca_pem == (home.pki / "ca.crt").read_text()


def test_only_the_owner_reads_what_holds_a_token(settings, home):
    for path in [
        home.kubeconfig,
        home.pki / "tokens.csv",
        *home.config.glob("*.kubeconfig"),
        *home.config.glob("node*"),
    ]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_second_start_keeps_port_and_tokens(settings, home, level):
    before = home.kubeconfig.read_bytes()
    files.write(home, level, "upstream")
    assert home.kubeconfig.read_bytes() == before


def test_networks_do_not_overlap(settings, level):
    addresses = settings.addresses
    networks = [addresses.lan, addresses.bridge, addresses.services, addresses.pods(1), addresses.pods(2)]
    parsed = [ipaddress.ip_network(network) for network in networks]
    assert not any(a.overlaps(b) for number, a in enumerate(parsed) for b in parsed[:number])
    assert all(network.is_loopback for network in parsed) == (level == "process")


def test_two_homes_rarely_share_a_loopback_prefix(tmp_path):
    prefixes = {Addresses.of("process", tmp_path / str(number)).loopback for number in range(50)}
    assert len(prefixes) > 35
    assert not prefixes & {"127.0", "127.1"}
