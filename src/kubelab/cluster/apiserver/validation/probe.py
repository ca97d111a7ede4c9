"""Probes and lifecycle handlers. Upstream: pkg/apis/core/validation/validation.go (validateProbe, validateHandler)."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, required
from kubelab.cluster.apiserver.validation.common import at_least, one_of, port

Object = dict[str, Any]
NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")


def probe(p: Object, path: str, *, once: bool) -> list[FieldError]:
    """A probe; with `once` (liveness, startup) one success must be enough."""
    problems = handler(p, path, HANDLERS)
    for field in NUMBERS:
        problems += at_least(p, field, 0, path)
    if once and p.get("successThreshold", 1) != 1:
        problems.append(invalid(f"{path}.successThreshold", p["successThreshold"], "must be 1"))
    grace = p.get("terminationGracePeriodSeconds")
    if grace is not None:
        if not once:
            text = "must not be set for readinessProbes"
            problems.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, text))
        elif grace <= 0:
            text = "must be greater than 0"
            problems.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, text))
    return problems


def handler(h: Object, path: str, kinds: tuple[str, ...]) -> list[FieldError]:
    """Exactly one way to do it, well described."""
    given = [kind for kind in kinds if kind in h]
    if not given:
        return [required(path, "must specify a handler type")]
    problems = [forbidden(f"{path}.{kind}", "may not specify more than 1 handler type") for kind in given[1:]]
    kind, what = given[0], h[given[0]]
    where = f"{path}.{kind}"
    if kind == "exec" and not what.get("command"):
        problems.append(required(f"{where}.command"))
    if kind in ("httpGet", "tcpSocket", "grpc"):
        problems += port(what.get("port", 0), f"{where}.port")
    if kind == "httpGet":
        if not what.get("path"):
            problems.append(required(f"{where}.path"))
        problems += one_of(what.get("scheme"), ("HTTP", "HTTPS"), f"{where}.scheme")
    return problems
