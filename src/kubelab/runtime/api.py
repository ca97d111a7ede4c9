"""The runtime's interface, in the words of the Container Runtime Interface (CRI).

Upstream: https://github.com/kubernetes/cri-api, pkg/apis/runtime/v1/api.proto. A *sandbox* is the pod's shared part
(network, IPC, host name), a *container* runs in one. The kubelet and the Docker engine are its two clients; they reach
it through `kubelab.runtime.client.RuntimeClient`, which speaks to the runtime daemon over a unix socket.

Beyond CRI there is one noun: a *machine*, the part of a node that the runtime makes (its network, on which the bridge
for its pods stands). Each node agent owns one, and the Docker engine owns one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """How containers are isolated here. Found by trying, best first; `$KUBELAB_RUNTIME` forces one."""

    NAMESPACES = "namespaces"
    PROCESS = "process"


class SandboxState(StrEnum):
    READY = "SANDBOX_READY"
    NOTREADY = "SANDBOX_NOTREADY"


class ContainerState(StrEnum):
    CREATED = "CONTAINER_CREATED"
    RUNNING = "CONTAINER_RUNNING"
    EXITED = "CONTAINER_EXITED"
    UNKNOWN = "CONTAINER_UNKNOWN"


@dataclass(frozen=True)
class MachineConfig:
    """A machine's place in the lab's network. Ensuring the same machine twice changes nothing."""

    name: str
    address: str  # on the lab's LAN with prefix, "172.31.0.11/24"; level process: a loopback address "127.x.0.11/8"
    pod_cidr: str  # "10.244.1.0/24"; level process: within 127.0.0.0/8


@dataclass(frozen=True)
class DNSConfig:
    """What goes into a sandbox's /etc/resolv.conf."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkConfig:
    """A further network of a machine, for `docker network create`. Ensuring the same twice changes nothing."""

    id: str
    machine: str
    cidr: str
    gateway: str
    bridge: str  # the interface's name, 15 characters at most
    internal: bool = False  # nothing but the network itself is reached from it
    ip_range: str = ""  # the part of `cidr` that addresses are handed out from; "" is all of it
    reserved: tuple[str, ...] = ()  # addresses that are never handed out


@dataclass(frozen=True)
class Endpoint:
    """A sandbox's place in a network."""

    network: str  # its ID, "" is the machine's own for pods
    interface: str
    ip: str
    prefix: int
    gateway: str  # "" in an internal one


@dataclass(frozen=True)
class PodSandboxConfig:
    name: str
    namespace: str
    uid: str
    machine: str
    hostname: str = ""
    domainname: str = ""
    attempt: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    share_process_namespace: bool = False
    host_aliases: dict[str, str] = field(default_factory=dict)  # host name -> IP, into /etc/hosts
    dns: DNSConfig = field(default_factory=DNSConfig)
    sysctls: dict[str, str] = field(default_factory=dict)  # namespaced ones: "net.core.somaxconn" -> "1024"
    memory_volumes: dict[str, int] = field(default_factory=dict)  # folder of the host -> bytes: memory that all its
    # containers share is mounted there, for them alone; 0 is half of the machine's memory. Level process: left on disk
    network: str = "pod"  # | "none": only lo | "node": the machine's own | "container:ID": that of another sandbox
    shm_size: int = 0  # bytes of /dev/shm; 0 is 64 MiB, as containerd's
    mac_address: str = ""  # of its interface on the network "pod"; "" is the one that goes with its address


@dataclass(frozen=True)
class Mount:
    """A bind of the host's file or folder, or (type "tmpfs") memory of the container's own."""

    container_path: str
    host_path: str = ""  # "" for tmpfs
    readonly: bool = False
    sub_path: str = ""  # of the host's folder, which no symbolic link leads out of; made where it is missing
    type: str = "bind"  # "bind" | "tmpfs"
    size: int = 0  # tmpfs: bytes; 0 is half of the machine's memory
    mode: int = 0o1777  # tmpfs: of its root
    options: tuple[str, ...] = ()  # tmpfs: of "noexec", "nosuid", "nodev", "noatime"


@dataclass(frozen=True)
class Resources:
    """CRI's LinuxContainerResources; 0 sets no limit, or leaves the kernel's default."""

    memory_limit: int = 0  # bytes
    memory_swap: int = 0  # bytes of memory and swap together, -1 without limit
    cpu_shares: int = 0  # relative weight, 1024 is one share
    cpu_quota: int = 0  # microseconds of processor time in each period
    cpu_period: int = 0  # microseconds; 0 is 100,000
    pids_limit: int = 0  # processes and threads
    cpuset_cpus: tuple[int, ...] = ()  # the processors that it may run on; () is every one


@dataclass(frozen=True)
class Security:
    """CRI's LinuxContainerSecurityContext. Capabilities without "CAP_"; "ALL" stands for every one of them."""

    add_capabilities: tuple[str, ...] = ()  # over Docker's default set
    drop_capabilities: tuple[str, ...] = ()
    no_new_privileges: bool = False
    supplementary_groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class ContainerConfig:
    name: str
    image: str  # image ID ("sha256:…") in the image store
    argv: tuple[str, ...]  # entrypoint and arguments, already resolved against the image's config
    env: tuple[tuple[str, str], ...] = ()  # complete: the image's Env is already in it
    working_dir: str = "/"
    user: str = ""  # "uid[:gid]" or a name of the image's /etc/passwd; "" is root
    mounts: tuple[Mount, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    attempt: int = 0
    log_path: str = ""  # CRI log format (see kubelab.runtime.logs); "" keeps no log
    log_max_bytes: int = 0  # the log is put aside when it has so many; 0: never
    log_max_files: int = 1  # of logs put aside and the one that is written to, so many are kept
    tty: bool = False
    stdin: bool = False  # keep stdin open for attach
    stdin_once: bool = False  # the first attach's end closes it
    stop_signal: str = ""  # "SIGTERM", "15"; "" is the image's StopSignal, else SIGTERM
    resources: Resources = Resources()
    security: Security = Security()
    ulimits: tuple[tuple[str, int, int], ...] = ()  # ("nofile", soft, hard), -1 without limit (getrlimit(2))
    oom_score_adj: int = 0  # what may not be lowered here is left as it is
    init: bool = False  # PID 1 is a small init that reaps orphans and passes signals on
    readonly_rootfs: bool = False
    target_id: str = ""  # a container of the same sandbox whose PID namespace it joins (CRI: NamespaceMode TARGET)


@dataclass(frozen=True)
class PodSandboxStatus:
    id: str
    config: PodSandboxConfig
    state: SandboxState
    created_at: str  # RFC 3339 with nanoseconds, UTC
    ip: str
    pid: int  # of the pause process, as the host sees it; 0 where there is none
    namespaces: dict[str, int] = field(default_factory=dict)  # "net" -> inode number
    endpoints: tuple[Endpoint, ...] = ()  # by `connect_sandbox`


@dataclass(frozen=True)
class ContainerStatus:
    id: str
    sandbox_id: str
    config: ContainerConfig
    state: ContainerState
    created_at: str
    started_at: str = ""
    finished_at: str = ""
    exit_code: int = 0
    reason: str = ""  # "Completed" | "Error" | "OOMKilled" | "StartError" | "ContainerCannotRun"
    message: str = ""
    pid: int = 0  # as the host sees it
    namespaces: dict[str, int] = field(default_factory=dict)
    paused: bool = False


@dataclass(frozen=True)
class ContainerStats:
    id: str
    memory_bytes: int  # working set: what cannot be taken back at once; without a cgroup the resident memory
    cpu_nanoseconds: int  # since start
    pids: int
    memory_usage: int = 0  # with the page cache, where a cgroup counts it
    memory_limit: int = 0  # 0 is none
    memory_stat: dict[str, int] = field(default_factory=dict)  # the cgroup's memory.stat
    cpu_user: int = 0  # nanoseconds
    cpu_system: int = 0
    throttling: tuple[int, int, int] = (0, 0, 0)  # periods, throttled ones, nanoseconds waited
    from_cgroup: int = 0  # 1 or 2: the version of the cgroup that these are from; 0: summed over processes


@dataclass(frozen=True)
class ContainerEvent:
    """CRI's GetContainerEvents: something happened to a container or sandbox; ask for its status."""

    type: str  # "CONTAINER_{CREATED,STARTED,STOPPED,DELETED}_EVENT"
    container_id: str
    sandbox_id: str
    machine: str


@dataclass(frozen=True)
class ExecResult:
    stdout: bytes
    stderr: bytes
    exit_code: int


class RuntimeServiceError(Exception):
    """What the runtime could not do: `code` is "NotFound", "InvalidArgument", "FailedPrecondition", "DeadlineExceeded"
    or "Unknown" (gRPC's names, as CRI runtimes answer), the message says what, and where there is one the next step."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
