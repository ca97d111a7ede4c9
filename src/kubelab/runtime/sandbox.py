"""The pod sandbox: what a pod's containers share, held by a *pause* process."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from kubelab.runtime.api import DNSConfig, Endpoint, PodSandboxConfig, PodSandboxStatus, SandboxState
from kubelab.runtime.logs import timestamp

ETC_FILES = ("hosts", "hostname", "resolv.conf")  # of /etc
LOCAL_HOSTS = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)  # as libnetwork's etchosts begins the file


@dataclass
class Sandbox:
    """The daemon's record of a sandbox. `folder` holds the /etc files that its containers share."""

    id: str
    config: PodSandboxConfig
    folder: Path
    ip: str = ""
    pid: int = 0
    state: SandboxState = SandboxState.NOTREADY
    shares: Sandbox | None = None  # whose network it has
    namespaces: dict[str, int] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)  # by network
    created_at: str = field(default_factory=timestamp)

    @property
    def hostname(self) -> str:
        return self.config.hostname or self.config.name

    @property
    def names(self) -> list[str]:
        """Its own in /etc/hosts (libnetwork's etchosts)."""
        domain = self.config.domainname
        return [f"{self.hostname}.{domain}", self.hostname] if domain else [self.hostname]

    def status(self) -> PodSandboxStatus:
        return PodSandboxStatus(
            self.id, self.config, self.state, self.created_at, self.ip, self.pid, dict(self.namespaces),
            tuple(self.endpoints.values()),
        )  # fmt: skip

    def etc_files(self) -> dict[str, Path]:
        """Container path -> file of ours, mounted where the container's config mounts nothing itself."""
        return {f"/etc/{name}": self.folder / name for name in ETC_FILES}

    def write_etc(self) -> None:
        """A client may mount files of its own in place of these."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "hostname").write_text(self.hostname + "\n")
        (self.folder / "resolv.conf").write_text(_resolv_conf(self.config.dns))
        lines = [*LOCAL_HOSTS, *((address, name) for name, address in self.config.host_aliases.items())]
        for address in dict.fromkeys(filter(None, (self.ip, *(each.ip for each in self.endpoints.values())))):
            lines.append((address, " ".join(self.names)))
        (self.folder / "hosts").write_text("".join(f"{address}\t{names}\n" for address, names in lines))

    def remove_files(self) -> None:
        for file in self.etc_files().values():
            file.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.folder.rmdir()


def _resolv_conf(dns: DNSConfig) -> str:
    """As containerd writes it."""
    lines = [f"search {' '.join(dns.searches)}"] if dns.searches else []
    lines += [f"nameserver {server}" for server in dns.servers]
    lines += [f"options {' '.join(dns.options)}"] if dns.options else []
    return "".join(f"{line}\n" for line in lines) or "# no name server\n"
