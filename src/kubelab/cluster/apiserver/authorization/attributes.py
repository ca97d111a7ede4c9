"""What is to be decided: who wants to do what to which object or path.

Upstream: staging/src/k8s.io/apiserver/pkg/authorization/authorizer/interfaces.go, pkg/endpoints/request/requestinfo.go
and pkg/endpoints/handlers/responsewriters/errors.go (the words of a refusal).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubelab.cluster.apiserver import errors, fieldselector, requestinfo
from kubelab.cluster.apiserver.authentication import User

TRUE = ("1", "t", "T", "true", "TRUE", "True")


@dataclass(frozen=True)
class Attributes:
    """A request as authorizers see it. With `path` it is about a path that is no object's, else about a resource."""

    user: User
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""

    @property
    def full_resource(self) -> str:
        """`pods`, `pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def __str__(self) -> str:
        """What is refused, in upstream's words."""
        who = f'User "{self.user.name}" cannot {self.verb}'
        if self.path:
            return f'{who} path "{self.path}"'
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return f'{who} resource "{self.full_resource}" in API group "{self.group}" {where}'


def of_request(user: User, method: str, raw_path: str, query: Mapping[str, str]) -> Attributes:
    """The attributes of an HTTP request, whether or not what it asks for is served."""
    group, version, parts = requestinfo.split(raw_path)
    if not parts:
        return Attributes(user, _NON_RESOURCE_VERBS.get(method, method.lower()), path=raw_path or "/")
    namespace, parts = requestinfo.namespace_of(group, parts)
    name = parts[1] if len(parts) > 1 else ""
    verb = requestinfo.VERBS.get(method, method.lower())
    if group == "" and parts[0] == "namespaces" and not namespace:
        namespace = name  # whoever may read namespaces within one may read that one
    selector = ""
    if not name:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    if verb in ("list", "deletecollection"):
        selector = query.get("fieldSelector", "")
        name = fieldselector.required_name(selector) if verb == "list" else ""
    if verb == "list" and query.get("watch", "") in TRUE:
        verb = "watch"
    subresource = parts[2] if len(parts) > 2 else ""
    return Attributes(user, verb, group, version, parts[0], subresource, namespace, name, "", selector)


_NON_RESOURCE_VERBS = {"GET": "get", "HEAD": "head", "POST": "post", "PUT": "put", "PATCH": "patch", "DELETE": "delete"}


def forbidden(attributes: Attributes, reason: str = "") -> errors.StatusError:
    """403 in upstream's words: `pods "x" is forbidden: User "u" cannot get resource "pods" …`."""
    words = f"{attributes}: {reason}" if reason else str(attributes)
    if attributes.path:
        return errors.StatusError(403, "Forbidden", f"forbidden: {words}")
    qualified = f"{attributes.resource}.{attributes.group}" if attributes.group else attributes.resource
    named = f' "{attributes.name}"' if attributes.name else ""
    details = {"name": attributes.name, "group": attributes.group, "kind": attributes.resource}
    return errors.StatusError(403, "Forbidden", f"{qualified}{named} is forbidden: {words}", details)
