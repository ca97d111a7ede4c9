"""A pod's /etc/resolv.conf and host name: what `dnsPolicy`, `dnsConfig`, `hostname` and `subdomain` come to.

Upstream: pkg/kubelet/network/dns/dns.go (GetPodDNS), GeneratePodHostNameAndDomain and ensureHostsFile in
pkg/kubelet/kubelet_pods.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.config import KubeletConfiguration
from kubelab.cluster.kubelet.podutil import Pod
from kubelab.runtime.api import DNSConfig

MAX_NAMESERVERS, MAX_SEARCHES, MAX_SEARCH_LENGTH = 3, 32, 2048
MAX_HOSTNAME = 64  # of Linux
CLUSTER_OPTIONS = ("ndots:5",)
HOSTS_HEADER = "# Kubernetes-managed hosts file.\n"
ALIASES_HEADER = "\n# Entries added by HostAliases.\n"
LOCAL_HOSTS = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)
Warn = Callable[[str, str], None]  # reason, message of an event about the pod


class HostnameError(Exception):
    """The pod's name cannot be its host name; the message is upstream's."""


def pod_dns(pod: Pod, config: KubeletConfiguration, warn: Warn) -> DNSConfig:
    """What goes into the pod's resolv.conf; `warn` hears of what had to be left out."""
    policy, namespace = pod["spec"].get("dnsPolicy", "ClusterFirst"), podutil.namespace(pod)
    base = parse_resolv_conf(Path(config.resolvConf))
    if policy == "None":
        base = DNSConfig()
    elif policy.startswith("ClusterFirst"):
        if config.clusterDNS:
            domain = config.clusterDomain
            searches = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *base.searches)
            base = DNSConfig(tuple(config.clusterDNS), _unique(searches), CLUSTER_OPTIONS)
        else:
            message = (
                'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. '
                'Falling back to "Default" policy.'
            )
            warn("MissingClusterDNS", f'pod: "{podutil.describe(pod)}". {message}')
    return _fit(_merge(base, pod["spec"].get("dnsConfig") or {}), warn)


def parse_resolv_conf(path: Path) -> DNSConfig:
    """resolv.conf(5), as the host has it; name servers add up, of the other lines the last one counts."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return DNSConfig()
    for word, *values in (line.split() for line in lines if line.strip() and not line.strip().startswith("#")):
        if word == "nameserver":
            servers += values[:1]
        elif word == "search":
            searches = [value.removesuffix(".") for value in values]
        elif word == "options":
            options = values
    return DNSConfig(tuple(servers), tuple(searches), tuple(options))


def _merge(base: DNSConfig, own: dict[str, Any]) -> DNSConfig:
    """`dnsConfig` adds to what the policy gives; an option of the same name takes its place."""
    options = dict(option.partition(":")[::2] for option in base.options)
    options |= {option["name"]: option.get("value") or "" for option in own.get("options") or []}
    return DNSConfig(
        _unique((*base.servers, *(own.get("nameservers") or []))),
        _unique((*base.searches, *(own.get("searches") or []))),
        tuple(f"{name}:{value}" if value else name for name, value in options.items()),
    )


def _fit(found: DNSConfig, warn: Warn) -> DNSConfig:
    servers, searches = found.servers[:MAX_NAMESERVERS], list(found.searches[:MAX_SEARCHES])
    if servers != found.servers:
        kept = " ".join(servers)
        message = "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is"
        warn("DNSConfigForming", f"{message}: {kept}")
    while len(" ".join(searches)) > MAX_SEARCH_LENGTH:
        searches.pop()
    if len(searches) != len(found.searches):
        kept = " ".join(searches)
        message = "Search Line limits were exceeded, some search paths have been omitted, the applied search line is"
        warn("DNSConfigForming", f"{message}: {kept}")
    return DNSConfig(servers, tuple(searches), found.options)


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


@dataclass(frozen=True)
class PodNames:
    """`domain` is "" for a pod without a subdomain; `hostname` is what the kernel says in the pod."""

    short: str
    domain: str
    hostname: str


def pod_names(pod: Pod, cluster_domain: str) -> PodNames:
    """HostnameError where `setHostnameAsFQDN` asks for a name that Linux does not take."""
    spec = pod["spec"]
    short = (spec.get("hostname") or podutil.name(pod))[:63].rstrip("-.")
    domain = ""
    if subdomain := spec.get("subdomain"):
        domain = f"{subdomain}.{podutil.namespace(pod)}.svc.{cluster_domain}"
    if not (spec.get("setHostnameAsFQDN") and domain):
        return PodNames(short, domain, short)
    whole = f"{short}.{domain}"
    if len(whole) > MAX_HOSTNAME:
        raise HostnameError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {whole} is too long "
            f"({MAX_HOSTNAME} characters is the max, {len(whole)} characters requested)"
        )
    return PodNames(short, domain, whole)


def hosts_file(pod: Pod, names: PodNames, ip: str) -> str:
    """/etc/hosts of a pod whose address is `ip`."""
    own = f"{ip}\t{names.short}.{names.domain}\t{names.short}\n" if names.domain else f"{ip}\t{names.short}\n"
    text = HOSTS_HEADER + LOCAL_HOSTS + own
    if aliases := pod["spec"].get("hostAliases"):
        lines = ("\t".join([alias["ip"], *(alias.get("hostnames") or [])]) for alias in aliases)
        text += ALIASES_HEADER + "".join(f"{line}\n" for line in lines)
    return text
