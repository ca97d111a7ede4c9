"""What a request's path asks for: verb, resource, namespace, name, subresource.

Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from kubelab.cluster.resources import EVENTS, EVENTS_V1, NAMESPACES, Resource, by_plural

NAMESPACE_SUBRESOURCES = ("status", "finalize")
VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class RequestInfo:
    """A request on objects. `rest` is what follows a subresource in the path, which `proxy` passes on."""

    verb: str  # get, list, create, update, patch, delete, deletecollection
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""

    @property
    def stored(self) -> Resource:
        """The resource under which the objects are kept."""
        return EVENTS if self.resource is EVENTS_V1 else self.resource


def parse(method: str, raw_path: str) -> RequestInfo | None:
    """The objects that a path (as sent, still percent-encoded) is about; None where no served resource has it."""
    group, version, parts = split(raw_path)
    if not parts:
        return None
    namespace, parts = namespace_of(group, parts)
    resource = by_plural(group, version, parts[0])
    if resource is None or (namespace and not resource.namespaced):
        return None
    name = parts[1] if len(parts) > 1 else ""
    if name and resource.namespaced and not namespace:
        return None
    verb = VERBS.get(method, method.lower())
    if not name:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    subresource = parts[2] if len(parts) > 2 else ""
    rest = "/".join(raw_path.split("/")[-len(parts) + 3 :]) if len(parts) > 3 else ""
    return RequestInfo(verb, resource, namespace, name, subresource, rest)


def split(raw_path: str) -> tuple[str, str, list[str]]:
    """(group, version, what follows); [] for a path that is no object's."""
    parts = [unquote(part) for part in raw_path.lstrip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        return "", parts[1], _trimmed(parts[2:])
    if parts[0] == "apis" and len(parts) > 3:
        return parts[1], parts[2], _trimmed(parts[3:])
    return "", "", []


def _trimmed(parts: list[str]) -> list[str]:
    """Without the empty part of a trailing slash, except below a subresource, where `proxy/` differs from `proxy`."""
    return parts[:-1] if parts[-1] == "" and len(parts) < 4 else parts


def namespace_of(group: str, parts: list[str]) -> tuple[str, list[str]]:
    """Take `namespaces/NS/` off, unless the path is about the namespace itself."""
    about_itself = len(parts) < 3 or (group == "" and len(parts) == 3 and parts[2] in NAMESPACE_SUBRESOURCES)
    if parts[0] != NAMESPACES.plural or about_itself:
        return "", parts
    return parts[1], parts[2:]
