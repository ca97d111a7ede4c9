"""What a client asks for in `POST /containers/create`: completed from the image, and refused where it is not served.

Upstream: moby's api/types/container (Config, HostConfig), daemon/{create,container}.go. Every field is either honoured,
or harmless in the value it has, or named in a 400. Mounts are in containers_mounts.py, limits in containers_limits.py.
"""

from __future__ import annotations

import copy
import ipaddress
from pathlib import Path
from typing import Any

from kubelab.engine import containers_health, containers_limits, containers_log_config
from kubelab.engine.containers_ports import publications
from kubelab.engine.errors import DockerError
from kubelab.images.base import PATH
from kubelab.images.store import Image
from kubelab.runtime.api import ContainerConfig, DNSConfig, Mount, RuntimeServiceError
from kubelab.runtime.containers import signal_number
from kubelab.runtime.rootfs import MASKED, READONLY

Fields = dict[str, Any]

_CONFIG_HONOURED = (
    "Hostname Domainname User AttachStdin AttachStdout AttachStderr ExposedPorts Tty OpenStdin StdinOnce Env Cmd Image "
    "WorkingDir Entrypoint Labels StopSignal StopTimeout Shell OnBuild ArgsEscaped Healthcheck Volumes MacAddress"
)
_HOST_HONOURED = (
    "Binds Mounts Tmpfs VolumesFrom VolumeDriver PortBindings PublishAllPorts AutoRemove Memory MemorySwap CpuShares "
    "NanoCpus CpuPeriod CpuQuota PidsLimit ReadonlyRootfs ExtraHosts Dns DnsOptions DnsSearch NetworkMode "
    "RestartPolicy LogConfig ConsoleSize ContainerIDFile ShmSize CapAdd CapDrop GroupAdd OomScoreAdj Ulimits Sysctls "
    "Init SecurityOpt Links MemorySwappiness MemoryReservation OomKillDisable BlkioWeight CpusetCpus CpusetMems "
    "DeviceCgroupRules UTSMode Runtime"
)
CONFIG_HONOURED, HOST_HONOURED = frozenset(_CONFIG_HONOURED.split()), frozenset(_HOST_HONOURED.split())
# Values that ask for what is there anyway.
HARMLESS: Fields = {
    "IpcMode": ("private", "shareable"),
    "CgroupnsMode": ("private", "host"),
    "Isolation": ("default",),
    "MaskedPaths": (list(MASKED),),
    "ReadonlyPaths": (list(READONLY),),
}
RUNTIMES = ("kubelab", "runc")  # the second is what clients call a default runtime by its name upstream
POLICIES = ("", "no", "always", "on-failure", "unless-stopped")
# HostConfig as dockerd shows it where nothing is asked for.
HOST_DEFAULTS: Fields = {
    "Binds": None, "ContainerIDFile": "", "NetworkMode": "bridge", "PortBindings": None, "AutoRemove": False,
    "VolumeDriver": "", "VolumesFrom": None, "CapAdd": None, "CapDrop": None, "CgroupnsMode": "private", "Dns": None,
    "DnsOptions": None, "DnsSearch": None, "ExtraHosts": None, "GroupAdd": None, "IpcMode": "private", "Cgroup": "",
    "Links": None, "OomScoreAdj": 0, "PidMode": "", "Privileged": False, "PublishAllPorts": False,
    "ReadonlyRootfs": False, "SecurityOpt": None, "UTSMode": "", "UsernsMode": "",
    "ShmSize": containers_limits.SHM_SIZE, "Runtime": "kubelab", "ConsoleSize": [0, 0], "Isolation": "", "CpuShares": 0,
    "Memory": 0, "NanoCpus": 0, "CgroupParent": "", "BlkioWeight": 0, "CpuPeriod": 0, "CpuQuota": 0, "CpusetCpus": "",
    "CpusetMems": "", "Devices": None, "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": None,
    "OomKillDisable": False, "PidsLimit": None, "Ulimits": None, "MaskedPaths": list(MASKED),
    "ReadonlyPaths": list(READONLY),
}  # fmt: skip


def complete(body: Fields, image: Image) -> tuple[Fields, Fields, list[str]]:
    """Config and HostConfig as the container will have them, and warnings. Raises DockerError 400 for what is not
    served."""
    asked = {name: value for name, value in (body.get("HostConfig") or {}).items() if value is not None}
    host = {**copy.deepcopy(HOST_DEFAULTS), **copy.deepcopy(asked)}
    given = {name: value for name, value in body.items() if name not in ("HostConfig", "NetworkingConfig")}
    host["Runtime"] = given.pop("Runtime", None) or host["Runtime"]  # where the docker SDK has it
    _refuse("", given, CONFIG_HONOURED)
    _refuse("HostConfig.", asked, HOST_HONOURED)
    config = _merge(given, image.run_config)
    _check_config(config)
    _check_host(host)
    containers_limits.check(host)
    containers_limits.complete(host)
    warnings = containers_limits.discard(host)
    host["NetworkMode"] = "bridge" if host["NetworkMode"] in ("", "default") else host["NetworkMode"]
    if host["NetworkMode"] == "host":
        warnings.append("the host's network is the lab's machine for containers, not the computer's own")
    publications(config, host)  # raises where a port cannot be served
    return config, host, warnings


def _refuse(prefix: str, given: Fields, honoured: frozenset[str]) -> None:
    for name, value in given.items():
        empty = value in (None, "", 0, False) or value in ([], {}, [0, 0])
        if name not in honoured and not empty and value not in HARMLESS.get(name, ()):
            raise DockerError(400, f"{prefix}{name} is not supported by this engine: leave it out")


def _check_config(config: Fields) -> None:
    if not (config["Entrypoint"] or config["Cmd"]):
        raise DockerError(400, "No command specified")
    folder = config["WorkingDir"]
    if folder and not folder.startswith("/"):
        raise DockerError(400, f"the working directory '{folder}' is invalid, it needs to be an absolute path")
    if config["StopSignal"]:
        check_signal(config["StopSignal"])
    containers_health.check(config.get("Healthcheck") or {})
    for line in config["Env"]:
        if not line or line.startswith("="):
            raise DockerError(400, f"invalid environment variable: {line}")


def check_signal(name: str) -> int:
    """Its number. Raises DockerError 400 in dockerd's words."""
    try:
        number = signal_number(name.upper())
    except RuntimeServiceError:
        number = 0
    if not 0 < number < 65:
        raise DockerError(400, f"Invalid signal: {name}")
    return number


def _check_host(host: Fields) -> None:
    host["RestartPolicy"] = check_restart_policy(host.get("RestartPolicy") or {}, auto_remove=bool(host["AutoRemove"]))
    host["LogConfig"] = containers_log_config.check(host.get("LogConfig") or {})
    extra_hosts(host)
    if (runtime := host["Runtime"]) not in RUNTIMES:
        raise DockerError(400, f"unknown or invalid runtime name: {runtime}")
    if host["UTSMode"] not in ("", "host"):
        raise DockerError(400, f"invalid UTS mode: {host['UTSMode']}")
    for address in host.get("Dns") or ():
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise DockerError(400, f"{address} is not an ip address") from None


def check_restart_policy(policy: Fields, *, auto_remove: bool) -> Fields:
    """Completed. Raises DockerError 400 (moby: container.ValidateRestartPolicy)."""
    name, count = policy.get("Name") or "", policy.get("MaximumRetryCount") or 0
    if name not in POLICIES:
        raise DockerError(400, f"invalid restart policy '{name}'")
    if name != "on-failure" and count:
        raise DockerError(400, f"maximum retry count cannot be used with restart policy '{name}'")
    if count < 0:
        raise DockerError(400, "maximum retry count cannot be negative")
    if auto_remove and name not in ("", "no"):
        raise DockerError(400, "can't create 'AutoRemove' container with restart policy")
    return {"Name": name or "no", "MaximumRetryCount": count}


def _merge(given: Fields, image: Fields) -> Fields:
    """The request over the image's own configuration (moby: image merge in daemon/commit.go)."""
    config = {
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": True, "AttachStderr": True,
        "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": [], "Cmd": None, "Image": "", "Volumes": None,
        "WorkingDir": "", "Entrypoint": None, "OnBuild": None, "Labels": {},
    }  # fmt: skip
    config |= {name: value for name, value in given.items() if value is not None}
    for name in ("User", "WorkingDir", "StopSignal"):
        config[name] = config.get(name) or image.get(name) or ""
    if not config["Entrypoint"] and config["Entrypoint"] != [""]:
        config["Entrypoint"] = image.get("Entrypoint")
        if not config["Cmd"]:
            config["Cmd"] = image.get("Cmd")
    elif config["Entrypoint"] == [""]:
        config["Entrypoint"] = None
    config["Env"] = _merge_env(image.get("Env") or [], config["Env"] or [])
    config["Labels"] = {**(image.get("Labels") or {}), **(config["Labels"] or {})}
    config["ExposedPorts"] = {**(image.get("ExposedPorts") or {}), **(config.get("ExposedPorts") or {})}
    config["Volumes"] = {**(image.get("Volumes") or {}), **(config.get("Volumes") or {})} or None
    config |= containers_health.merge(config.get("Healthcheck"), image.get("Healthcheck"))
    for name in ("Cmd", "Entrypoint"):
        if isinstance(config[name], str):
            config[name] = [config[name]]
    return config


def _merge_env(image: list[str], given: list[str]) -> list[str]:
    """The request's as they came, then those of the image that it does not name; a bare NAME takes one away."""
    names = {line.partition("=")[0] for line in given}
    return [*given, *(line for line in image if line.partition("=")[0] not in names)]


def extra_hosts(host: Fields, gateway: str = "") -> dict[str, str]:
    """`name:ip` lines, for /etc/hosts; `host-gateway` is the network's. Raises DockerError 400."""
    found = {}
    for line in host.get("ExtraHosts") or ():
        name, _, ip = line.partition("=" if "=" in line else ":")
        if ip == "host-gateway":
            ip = gateway
        else:
            try:
                ipaddress.ip_address(ip.strip("[]"))
            except ValueError:
                raise DockerError(400, f'invalid IP address in add-host: "{ip}"') from None
        found[name] = ip.strip("[]")
    return found


def dns_config(host: Fields, servers: tuple[str, ...], options: tuple[str, ...]) -> DNSConfig:
    """What `--dns*` ask for, over the given."""
    return DNSConfig(
        servers or tuple(host.get("Dns") or ()),
        tuple(each for each in host.get("DnsSearch") or () if each != "."),
        tuple(host.get("DnsOptions") or ()) or options,
    )


def runtime_config(
    config: Fields,
    host: Fields,
    *,
    name: str,
    image_id: str,
    labels: Fields,
    log: Path,
    mounts: tuple[Mount, ...] = (),
    groups: tuple[int, ...] = (),
) -> ContainerConfig:
    """The container for the runtime."""
    env = [tuple(line.split("=", 1)) for line in config["Env"] if "=" in line]
    if config["Tty"] and not any(each[0] == "TERM" for each in env):
        env.insert(0, ("TERM", "xterm"))
    if not any(each[0] == "PATH" for each in env):
        env.insert(0, ("PATH", PATH))
    log_max_bytes, log_max_files = containers_log_config.limits(host["LogConfig"])
    return ContainerConfig(
        name=name,
        image=image_id,
        argv=tuple([*(config["Entrypoint"] or ()), *(config["Cmd"] or ())]),
        env=tuple(env),
        working_dir=config["WorkingDir"] or "/",
        user=config["User"],
        mounts=mounts,
        labels=labels,
        log_path=str(log),
        log_max_bytes=log_max_bytes,
        log_max_files=log_max_files,
        tty=config["Tty"],
        stdin=config["OpenStdin"],
        stdin_once=config["StdinOnce"],
        resources=containers_limits.resources(host),
        security=containers_limits.security(host, groups),
        ulimits=containers_limits.ulimits(host),
        oom_score_adj=host["OomScoreAdj"],
        init=bool(host.get("Init")),
        readonly_rootfs=bool(host.get("ReadonlyRootfs")),
        stop_signal=config["StopSignal"],
    )
