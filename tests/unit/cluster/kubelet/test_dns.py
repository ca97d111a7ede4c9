"""A pod's resolv.conf, host name and hosts file (upstream: dns_test.go and kubelet_pods_test.go of pkg/kubelet)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubelab.cluster.kubelet.config import KubeletConfiguration
from kubelab.cluster.kubelet.dns import HostnameError, hosts_file, pod_dns, pod_names
from kubelab.runtime.api import DNSConfig

from .builders import make_pod
from .conftest import SETTINGS

CLUSTER = ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local")


def find(tmp_path: Path, *, cluster: bool = True, warned: list[str] | None = None, **spec: Any) -> DNSConfig:
    host = tmp_path / "resolv.conf"
    host.write_text("nameserver 1.2.3.4\nsearch lan.\noptions ndots:2 edns0\n")
    settings = {**SETTINGS, "resolvConf": str(host), **({"clusterDNS": ["10.96.0.10"]} if cluster else {})}
    hear = (warned if warned is not None else []).append
    return pod_dns(make_pod(**spec), KubeletConfiguration.from_dict(settings), lambda _, text: hear(text))


@pytest.mark.parametrize("policy", ["ClusterFirst", "ClusterFirstWithHostNet"])
def test_cluster_first(tmp_path: Path, policy: str) -> None:
    assert find(tmp_path, dnsPolicy=policy) == DNSConfig(("10.96.0.10",), (*CLUSTER, "lan"), ("ndots:5",))


def test_default_is_the_hosts(tmp_path: Path) -> None:
    assert find(tmp_path, dnsPolicy="Default") == DNSConfig(("1.2.3.4",), ("lan",), ("ndots:2", "edns0"))


def test_none_is_only_dns_config(tmp_path: Path) -> None:
    own = {"nameservers": ["1.1.1.1"], "searches": ["x.y"], "options": [{"name": "ndots", "value": "2"}, {"name": "a"}]}
    assert find(tmp_path, dnsPolicy="None", dnsConfig=own) == DNSConfig(("1.1.1.1",), ("x.y",), ("ndots:2", "a"))


def test_dns_config_adds_to_the_policys(tmp_path: Path) -> None:
    own = {
        "nameservers": ["1.1.1.1"],
        "searches": ["svc.cluster.local", "x.y"],
        "options": [{"name": "ndots", "value": "2"}],
    }
    found = find(tmp_path, dnsConfig=own)
    assert found == DNSConfig(("10.96.0.10", "1.1.1.1"), (*CLUSTER, "lan", "x.y"), ("ndots:2",))


def test_more_name_servers_than_libc_reads(tmp_path: Path) -> None:
    warned: list[str] = []
    own = {"nameservers": ["1.1.1.1", "2.2.2.2", "3.3.3.3"]}
    assert len(find(tmp_path, dnsConfig=own, warned=warned).servers) == 3
    assert warned == [
        "Nameserver limits were exceeded, some nameservers have been omitted, "
        "the applied nameserver line is: 10.96.0.10 1.1.1.1 2.2.2.2"
    ]


def test_without_a_cluster_dns_the_hosts_is_used(tmp_path: Path) -> None:
    warned: list[str] = []
    assert find(tmp_path, cluster=False, warned=warned).servers == ("1.2.3.4",)
    assert "does not have ClusterDNS IP configured" in warned[0]


def test_names() -> None:
    assert pod_names(make_pod(), "cluster.local").hostname == "p"
    named = pod_names(make_pod(hostname="h", subdomain="s"), "cluster.local")
    assert (named.short, named.domain, named.hostname) == ("h", "s.ns.svc.cluster.local", "h")
    assert (
        pod_names(make_pod(subdomain="s", setHostnameAsFQDN=True), "cluster.local").hostname
        == "p.s.ns.svc.cluster.local"
    )
    assert pod_names(make_pod(setHostnameAsFQDN=True), "cluster.local").hostname == "p"


def test_a_host_name_that_linux_does_not_take() -> None:
    pod = make_pod(hostname="h" * 40, subdomain="s" * 20, setHostnameAsFQDN=True)
    with pytest.raises(HostnameError, match=r"is too long \(64 characters is the max, 82 characters requested\)"):
        pod_names(pod, "cluster.local")


def test_the_hosts_file() -> None:
    pod = make_pod(subdomain="s", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}])
    lines = hosts_file(pod, pod_names(pod, "cluster.local"), "10.244.1.5").splitlines()
    assert lines[0] == "# Kubernetes-managed hosts file."
    assert lines[-4:] == [
        "10.244.1.5\tp.s.ns.svc.cluster.local\tp",
        "",
        "# Entries added by HostAliases.",
        "1.2.3.4\ta\tb",
    ]
