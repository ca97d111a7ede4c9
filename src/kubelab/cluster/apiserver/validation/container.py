"""What a container may be. Upstream: pkg/apis/core/validation/validation.go (validateContainerCommon and callers)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, duplicate, forbidden, invalid, not_found, required
from kubelab.cluster.apiserver.validation import mounts, resources, securitycontext
from kubelab.cluster.apiserver.validation.common import one_of, optional
from kubelab.cluster.apiserver.validation.env import env, env_from
from kubelab.cluster.apiserver.validation.probe import lifecycle, probe

Object = dict[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
NOT_INIT = "may not be set for init containers without restartPolicy=Always"
NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"
EPHEMERAL_FIELDS = {  # what an ephemeral container may have (allowedEphemeralContainerFields)
    *("name", "image", "command", "args", "workingDir", "envFrom", "env", "volumeMounts", "volumeDevices"),
    *("terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin"),
    *("stdinOnce", "tty", "targetContainerName"),
}


@dataclass
class Surroundings:
    """What a container's rules need of its pod."""

    volumes: mounts.Volumes = field(default_factory=dict)
    restart_policy: str = "Always"
    grace_period: int | None = None
    host_users: bool = True


def containers(found: list[Object], path: str, pod: Surroundings) -> list[FieldError]:
    if not found:
        return [required(path)]
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, c in enumerate(found):
        where = f"{path}[{index}]"
        problems += _common(c, where, pod)
        if c.get("name", "") in seen:
            problems.append(duplicate(f"{where}.name", c.get("name", "")))
        seen.add(c.get("name", ""))
        problems += _running(c, where, pod)
        if c.get("restartPolicy") is not None:
            problems.append(forbidden(f"{where}.restartPolicy", "may not be set for non-init containers"))
    return problems + _host_ports(found, path)


def init_containers(found: list[Object], regular: list[Object], path: str, pod: Surroundings) -> list[FieldError]:
    problems: list[FieldError] = []
    seen = {c.get("name", "") for c in regular}
    for index, c in enumerate(found):
        where = f"{path}[{index}]"
        problems += _common(c, where, pod)
        problems += optional(c.get("restartPolicy"), ("Always",), f"{where}.restartPolicy")
        name = c.get("name", "")
        if name in seen:
            problems.append(duplicate(f"{where}.name", name))
        elif name:
            seen.add(name)
        problems += _host_ports([c], path)
        if c.get("restartPolicy") == "Always":
            problems += _running(c, where, pod)
        else:
            given = [name for name in ("lifecycle", *PROBES) if name in c]
            problems += [forbidden(f"{where}.{name}", NOT_INIT) for name in given]
    return problems


def ephemeral_containers(found: list[Object], spec: Object, path: str, pod: Surroundings) -> list[FieldError]:
    """Containers for debugging: no ports, probes, resources, and a target that is there."""
    problems: list[FieldError] = []
    others = {c.get("name", "") for kind in ("containers", "initContainers") for c in spec.get(kind) or ()}
    seen = set(others)
    for index, c in enumerate(found):
        where, name, target = f"{path}[{index}]", c.get("name", ""), c.get("targetContainerName")
        problems += _common(c, where, pod) + trimmed_image(c, where)
        if name in seen:
            problems.append(duplicate(f"{where}.name", name))
        seen.add(name)
        if target and target not in others:
            problems.append(not_found(f"{where}.targetContainerName", target))
        extra = [key for key, value in c.items() if key not in EPHEMERAL_FIELDS and value]
        problems += [forbidden(f"{where}.{key}", NOT_EPHEMERAL) for key in extra]
        for at, mount in enumerate(c.get("volumeMounts") or ()):
            given = [key for key in ("subPath", "subPathExpr") if mount.get(key)]
            problems += [forbidden(f"{where}.volumeMounts[{at}].{key}", NOT_EPHEMERAL) for key in given]
    return problems


def trimmed_image(c: Object, path: str) -> list[FieldError]:
    """A rule for pods only, not for templates (validateContainerOnlyForPod)."""
    image = c.get("image") or ""
    if image.strip() == image:
        return []
    return [invalid(f"{path}.image", image, "must not have leading or trailing whitespace")]


def _common(c: Object, path: str, pod: Surroundings) -> list[FieldError]:
    problems: list[FieldError] = []
    if not c.get("name"):
        problems.append(required(f"{path}.name"))
    else:
        problems += [invalid(f"{path}.name", c["name"], text) for text in names.dns1123_label(c["name"])]
    if not c.get("image"):
        problems.append(required(f"{path}.image"))
    return [
        *problems,
        *one_of(c.get("terminationMessagePolicy"), MESSAGE_POLICIES, f"{path}.terminationMessagePolicy"),
        *_ports(c.get("ports") or [], f"{path}.ports"),
        *env(c.get("env") or [], f"{path}.env"),
        *env_from(c.get("envFrom") or [], f"{path}.envFrom"),
        *mounts.mounts(c, f"{path}.volumeMounts", pod.volumes),
        *mounts.devices(c, f"{path}.volumeDevices", pod.volumes),
        *one_of(c.get("imagePullPolicy"), PULL_POLICIES, f"{path}.imagePullPolicy"),
        *resources.requirements(c.get("resources") or {}, f"{path}.resources"),
        *resources.resize_policy(c.get("resizePolicy") or [], f"{path}.resizePolicy", pod.restart_policy),
        *securitycontext.container(
            c.get("securityContext") or {}, f"{path}.securityContext", host_users=pod.host_users
        ),
    ]


def _running(c: Object, path: str, pod: Surroundings) -> list[FieldError]:
    """Hooks and probes, of what runs as long as the pod does."""
    problems = lifecycle(c.get("lifecycle") or {}, f"{path}.lifecycle", pod.grace_period)
    for name in PROBES:
        if name in c:
            problems += probe(c[name], f"{path}.{name}", pod.grace_period, once=name != "readinessProbe")
    return problems


def _ports(ports: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where, name = f"{path}[{index}]", port.get("name")
        if name:
            wrong = names.port_name(name)
            problems += [invalid(f"{where}.name", name, text) for text in wrong]
            if not wrong and name in seen:
                problems.append(duplicate(f"{where}.name", name))
            seen.add(name)
        number = port.get("containerPort", 0)
        if not number:
            problems.append(required(f"{where}.containerPort"))
        else:
            problems += [invalid(f"{where}.containerPort", number, text) for text in names.port_number(number)]
        if port.get("hostPort"):
            problems += [invalid(f"{where}.hostPort", port["hostPort"], t) for t in names.port_number(port["hostPort"])]
        problems += one_of(port.get("protocol"), PROTOCOLS, f"{where}.protocol")
    return problems


def _host_ports(found: list[Object], path: str) -> list[FieldError]:
    """Two containers cannot have the same port of the node."""
    problems: list[FieldError] = []
    seen: set[str] = set()
    for at, c in enumerate(found):
        for index, port in enumerate(c.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if key in seen:
                problems.append(duplicate(f"{path}[{at}].ports[{index}].hostPort", key))
            seen.add(key)
    return problems
