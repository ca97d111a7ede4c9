"""What a client asks for in `POST /containers/create`: completed from the image, and refused where it is not served.

Upstream: moby's api/types/container (Config, HostConfig) and daemon/create.go. Every field is either honoured, or
harmless in the value it has, or named in a 400.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from kubelab.engine.containers_ports import publications
from kubelab.engine.errors import DockerError
from kubelab.images.base import PATH
from kubelab.images.store import Image
from kubelab.runtime.api import ContainerConfig, Mount, Resources

Fields = dict[str, Any]

_CONFIG_HONOURED = (
    "Hostname User AttachStdin AttachStdout AttachStderr ExposedPorts Tty OpenStdin StdinOnce Env Cmd Image WorkingDir "
    "Entrypoint Labels StopSignal StopTimeout Shell OnBuild ArgsEscaped"
)
_HOST_HONOURED = (
    "Binds Mounts PortBindings PublishAllPorts AutoRemove Memory ReadonlyRootfs ExtraHosts NetworkMode RestartPolicy "
    "LogConfig ConsoleSize ContainerIDFile ShmSize"
)
CONFIG_HONOURED, HOST_HONOURED = frozenset(_CONFIG_HONOURED.split()), frozenset(_HOST_HONOURED.split())
# Values that ask for what is there anyway.
HARMLESS: Fields = {
    "MemorySwappiness": (-1,),
    "MemorySwap": (-1,),
    "PidsLimit": (-1,),
    "IpcMode": ("private",),
    "CgroupnsMode": ("private", "host"),
    "Isolation": ("default",),
    "Runtime": ("kubelab",),
    "VolumeDriver": ("local",),
    "MaskedPaths": (None,),
    "ReadonlyPaths": (None,),
}
NETWORKS = ("", "default", "bridge")
SHM_SIZE = 64 << 20


def complete(body: Fields, image: Image) -> tuple[Fields, Fields]:
    """Config and HostConfig as the container will have them. Raises DockerError 400 for what is not served."""
    host = copy.deepcopy(body.get("HostConfig") or {})
    given = {name: value for name, value in body.items() if name not in ("HostConfig", "NetworkingConfig")}
    _refuse("", given, CONFIG_HONOURED | {"Healthcheck", "Volumes"})
    _refuse("HostConfig.", host, HOST_HONOURED)
    _check_config(given, {mount.container_path for mount in listed_mounts(host)})
    _check_host(host)
    _check_networks(body.get("NetworkingConfig") or {})
    config = _merge(given, image.run_config)
    if not (config["Entrypoint"] or config["Cmd"]):
        raise DockerError(400, "no command specified")
    host["NetworkMode"] = "bridge"
    host.setdefault("RestartPolicy", {"Name": "no", "MaximumRetryCount": 0})
    host["LogConfig"] = {"Type": "json-file", "Config": {}}
    publications(config, host)  # raises where a port cannot be served
    return config, host


def _refuse(prefix: str, given: Fields, honoured: frozenset[str]) -> None:
    for name, value in given.items():
        empty = value in (None, "", 0, False) or value in ([], {}, [0, 0])
        if name not in honoured and not empty and value not in HARMLESS.get(name, ()):
            raise DockerError(400, f"{prefix}{name} is not supported by this engine: leave it out")


def _check_config(config: Fields, bound: set[str]) -> None:
    healthcheck = config.get("Healthcheck") or {}
    if healthcheck.get("Test") not in (None, [], ["NONE"]):
        raise DockerError(
            400, "Healthcheck is not supported by this engine: leave it out, or watch the container itself"
        )
    for path in set(config.get("Volumes") or ()) - bound:  # the SDK names the targets of binds here too
        raise DockerError(400, f"volume {path} is not supported by this engine: bind a folder with -v /path:{path}")


def _check_host(host: Fields) -> None:
    if (mode := host.get("NetworkMode") or "") not in NETWORKS:
        raise DockerError(400, f"network {mode} is not supported by this engine: only the default bridge is there")
    if (policy := (host.get("RestartPolicy") or {}).get("Name") or "no") != "no":
        raise DockerError(400, f"restart policy {policy} is not supported by this engine: start the container again")
    log = host.get("LogConfig") or {}
    if (log.get("Type") or "json-file") != "json-file" or log.get("Config"):
        raise DockerError(400, f"logging driver {log.get('Type') or 'json-file'} with options is not supported")
    if (host.get("ShmSize") or SHM_SIZE) != SHM_SIZE:
        raise DockerError(400, "HostConfig.ShmSize is not supported by this engine: leave it out")
    if 0 < (host.get("Memory") or 0) < 6 << 20:
        raise DockerError(400, "Minimum memory limit allowed is 6MB")


def _check_networks(networking: Fields) -> None:
    for name, endpoint in (networking.get("EndpointsConfig") or {}).items():
        if name not in NETWORKS:
            raise DockerError(400, f"network {name} is not supported by this engine: only the default bridge is there")
        for field, value in (endpoint or {}).items():
            if value:
                raise DockerError(400, f"NetworkingConfig.{field} is not supported by this engine: leave it out")


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
    for name in ("Cmd", "Entrypoint"):
        if isinstance(config[name], str):
            config[name] = [config[name]]
    return config


def _merge_env(image: list[str], given: list[str]) -> list[str]:
    names = {line.partition("=")[0] for line in given}
    kept = [line for line in image if line.partition("=")[0] not in names]
    lines = [*kept, *(line for line in given if "=" in line)]  # a bare NAME takes the variable away
    if not any(line.startswith("PATH=") for line in lines):
        lines.insert(0, f"PATH={PATH}")
    return lines


def mounts(host: Fields) -> list[Mount]:
    """The folders and files that are bound. Raises DockerError 400 where one is no bind, or not there."""
    found = listed_mounts(host)
    for mount in found:
        if not Path(mount.host_path).exists():
            message = f'invalid mount config for type "bind": bind source path does not exist: {mount.host_path}'
            raise DockerError(400, message)
    return found


def listed_mounts(host: Fields) -> list[Mount]:
    """The same, as they were asked for, whether the host still has them or not."""
    found = [_bind(text) for text in host.get("Binds") or ()]
    for mount in host.get("Mounts") or ():
        if mount.get("Type") != "bind":
            raise DockerError(400, f"mount type {mount.get('Type')} is not supported by this engine: use type=bind")
        found.append(Mount(mount["Target"], mount["Source"], bool(mount.get("ReadOnly"))))
    return found


def _bind(text: str) -> Mount:
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not source.startswith("/"):
        raise DockerError(400, f"volume {source} is not supported by this engine: bind a folder with -v /path:/path")
    if not target.startswith("/"):
        raise DockerError(400, f"invalid volume specification: '{text}': mount path must be absolute")
    if set(mode.split(",")) - {"", "ro", "rw", "z", "Z", "rprivate"}:
        raise DockerError(400, f"invalid mode: {mode}")
    return Mount(target, source, "ro" in mode.split(","))


def extra_hosts(host: Fields) -> dict[str, str]:
    """`name:ip` lines, for /etc/hosts."""
    found = {}
    for line in host.get("ExtraHosts") or ():
        name, _, ip = line.partition(":")
        if not ip or ip == "host-gateway":
            raise DockerError(400, f'invalid IP address in add-host: "{ip}"')
        found[name] = ip
    return found


def runtime_config(
    config: Fields, host: Fields, *, name: str, image_id: str, labels: Fields, log: Path
) -> ContainerConfig:
    """The container for the runtime."""
    env = [tuple(line.split("=", 1)) for line in config["Env"]]
    if config["Tty"]:
        env.insert(1, ("TERM", "xterm"))
    return ContainerConfig(
        name=name,
        image=image_id,
        argv=tuple([*(config["Entrypoint"] or ()), *(config["Cmd"] or ())]),
        env=tuple(env),
        working_dir=config["WorkingDir"] or "/",
        user=config["User"],
        mounts=tuple(mounts(host)),
        labels=labels,
        log_path=str(log),
        tty=config["Tty"],
        stdin=config["OpenStdin"],
        stdin_once=config["StdinOnce"],
        resources=Resources(memory_limit=host.get("Memory") or 0),
        readonly_rootfs=bool(host.get("ReadonlyRootfs")),
        stop_signal=config["StopSignal"],
    )
