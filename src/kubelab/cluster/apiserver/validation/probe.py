"""Probes and lifecycle handlers. Upstream: pkg/apis/core/validation/validation.go (validateProbe, validateHandler)."""

from __future__ import annotations

import re
from typing import Any

from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, not_supported, required
from kubelab.cluster.apiserver.validation.common import at_least, port

Object = dict[str, Any]
NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
HOOKS = ("exec", "httpGet", "tcpSocket", "sleep")
SCHEMES = ("HTTP", "HTTPS")
HEADER = re.compile("[-A-Za-z0-9]+")
HEADER_RULE = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for"
    " validation is '[-A-Za-z0-9]+')"
)


def probe(p: Object, path: str, grace_period: int | None, *, once: bool) -> list[FieldError]:
    """A probe; with `once` (liveness, startup) one success must be enough."""
    problems = handler(p, path, HANDLERS, grace_period)
    for field in NUMBERS:
        problems += at_least(p, field, 0, path)
    grace = p.get("terminationGracePeriodSeconds")
    where = f"{path}.terminationGracePeriodSeconds"
    if grace is not None and grace <= 0:
        problems.append(invalid(where, grace, "must be greater than 0"))
    if once and p.get("successThreshold") != 1:
        problems.append(invalid(f"{path}.successThreshold", p.get("successThreshold", 0), "must be 1"))
    if not once and grace is not None:
        problems.append(invalid(where, grace, "must not be set for readinessProbes"))
    return problems


def lifecycle(hooks: Object, path: str, grace_period: int | None) -> list[FieldError]:
    return [
        problem
        for name in ("postStart", "preStop")
        if name in hooks
        for problem in handler(hooks[name], f"{path}.{name}", HOOKS, grace_period)
    ]


def handler(h: Object, path: str, kinds: tuple[str, ...], grace_period: int | None) -> list[FieldError]:
    """Exactly one way to do it, well described."""
    given = [kind for kind in kinds if kind in h]
    if not given:
        return [required(path, "must specify a handler type")]
    problems = _action(given[0], h[given[0]], f"{path}.{given[0]}", grace_period)
    return problems + [forbidden(f"{path}.{kind}", "may not specify more than 1 handler type") for kind in given[1:]]


def _action(kind: str, what: Object, where: str, grace_period: int | None) -> list[FieldError]:
    if kind == "exec":
        return [] if what.get("command") else [required(f"{where}.command")]
    if kind == "sleep":
        seconds = what.get("seconds", 0)
        if grace_period is None or 0 <= seconds <= grace_period:
            return []
        text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_period})"
        return [invalid(where, seconds, text)]
    if kind == "httpGet":
        return _http_get(what, where)
    return port(what.get("port", 0), f"{where}.port")


def _http_get(what: Object, where: str) -> list[FieldError]:
    problems = [] if what.get("path") else [required(f"{where}.path")]
    problems += port(what.get("port", 0), f"{where}.port")
    if what.get("scheme") not in SCHEMES:
        problems.append(not_supported(f"{where}.scheme", what.get("scheme") or "", SCHEMES))
    for header in what.get("httpHeaders") or ():
        if not HEADER.fullmatch(header.get("name") or ""):
            problems.append(invalid(f"{where}.httpHeaders", header.get("name") or "", HEADER_RULE))
    return problems
