"""Security contexts of pods and containers.

Upstream: pkg/apis/core/validation/validation.go (ValidateSecurityContext, validatePodSpecSecurityContext). The fields
that only Windows nodes read are not looked at: there are none.
"""

from __future__ import annotations

import re
from typing import Any

from kubelab.cluster.apiserver.fielderrors import (
    FieldError,
    GoValue,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubelab.cluster.apiserver.validation.common import optional, relative_path, unix_id

Object = dict[str, Any]
PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"


def pod(context: Object, spec: Object, path: str) -> list[FieldError]:
    problems = unix_id(context.get("fsGroup"), f"{path}.fsGroup", "group")
    problems += unix_id(context.get("runAsUser"), f"{path}.runAsUser", "user")
    problems += unix_id(context.get("runAsGroup"), f"{path}.runAsGroup", "group")
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        problems += unix_id(group, f"{path}.supplementalGroups[{index}]", "group")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        problems.append(invalid(f"{path}.shareProcessNamespace", True, text))
    problems += _sysctls(context.get("sysctls") or [], f"{path}.sysctls")
    policies = ("Always", "OnRootMismatch")
    problems += optional(context.get("fsGroupChangePolicy"), policies, f"{path}.fsGroupChangePolicy")
    problems += _seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    problems += _app_armor(context.get("appArmorProfile"), f"{path}.appArmorProfile")
    policies = ("Merge", "Strict")
    problems += optional(context.get("supplementalGroupsPolicy"), policies, f"{path}.supplementalGroupsPolicy")
    policies = ("MountOption", "Recursive")
    return problems + optional(context.get("seLinuxChangePolicy"), policies, f"{path}.seLinuxChangePolicy")


def container(context: Object, path: str, *, host_users: bool) -> list[FieldError]:
    problems = unix_id(context.get("runAsUser"), f"{path}.runAsUser", "user")
    problems += unix_id(context.get("runAsGroup"), f"{path}.runAsGroup", "group")
    proc = context.get("procMount")
    problems += optional(proc, ("Default", "Unmasked"), f"{path}.procMount")
    if host_users and proc == "Unmasked":
        problems.append(invalid(f"{path}.procMount", proc, "`hostUsers` must be false to use `Unmasked`"))
    problems += _seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        problems += _escalation(context, path)
    return problems + _app_armor(context.get("appArmorProfile"), f"{path}.appArmorProfile")


def _escalation(context: Object, path: str) -> list[FieldError]:
    """What gives more rights than the parent has, beside a promise not to. (Upstream shows a pointer's text here.)"""
    problems: list[FieldError] = []
    shown = GoValue("core.SecurityContext{…}")
    start = "cannot set `allowPrivilegeEscalation` to false and"
    if context.get("privileged"):
        problems.append(invalid(path, shown, f"{start} `privileged` to true"))
    if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
        problems.append(invalid(path, shown, f"{start} `capabilities.Add` CAP_SYS_ADMIN"))
    return problems


def _sysctls(found: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, sysctl in enumerate(found):
        where, name = f"{path}[{index}].name", sysctl.get("name") or ""
        if not name:
            problems.append(required(where))
        elif len(name) > 253 or not re.fullmatch(SYSCTL, name):
            text = f"must have at most 253 characters and match regex ^{SYSCTL}$"
            problems.append(invalid(where, name, text))
        elif name in seen:
            problems.append(duplicate(where, name))
        seen.add(name)
    return problems


def _seccomp(profile: Object | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    problems: list[FieldError] = []
    if not kind:
        problems.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in PROFILES:
        problems.append(not_supported(f"{path}.type", kind, PROFILES))
    if kind == "Localhost":
        if local is None:
            text = "must be set when seccomp type is Localhost"
            return [*problems, required(f"{path}.localhostProfile", text)]
        return problems + relative_path(local, f"{path}.localhostProfile")
    if local is not None:
        shown = GoValue(f'core.SeccompProfile{{Type:"{kind}", LocalhostProfile:(*string)(…)}}')
        problems.append(invalid(f"{path}.localhostProfile", shown, "can only be set when seccomp type is Localhost"))
    return problems


def _app_armor(profile: Object | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    kind, local, where = profile.get("type") or "", profile.get("localhostProfile"), f"{path}.localhostProfile"
    if kind == "Localhost":
        if not (local or "").strip():
            return [required(where, "must be set when AppArmor type is Localhost")]
        padded = local != local.strip()
        return [invalid(where, local, "must not be padded with whitespace")] if padded else []
    if not kind:
        return [required(f"{path}.type", "type is required when appArmorProfile is set")]
    if kind not in PROFILES:
        return [not_supported(f"{path}.type", kind, PROFILES)]
    return [] if local is None else [invalid(where, local, "can only be set when AppArmor type is Localhost")]


def host_users(spec: Object, path: str) -> list[FieldError]:
    """A pod with users of its own has all namespaces of its own."""
    if spec.get("hostUsers") is not False:
        return []
    text = "when `pod.Spec.HostUsers` is false"
    fields = (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
    return [forbidden(f"{path}.{shown}", text) for field, shown in fields if spec.get(field)]
