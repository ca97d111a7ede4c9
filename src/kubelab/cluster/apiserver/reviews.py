"""Questions about the caller: who am I, what may I do. They are answered at once, and nothing is stored.

Upstream: pkg/registry/authentication/{selfsubjectreview,tokenreview}, pkg/registry/authorization and pkg/apis/
authorization/validation. The authorizer that answers is the one that decides about requests.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.authentication import Authenticator, User
from kubelab.cluster.apiserver.authorization import Attributes, Authorizer
from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, required
from kubelab.cluster.apiserver.requestinfo import RequestInfo

Object = dict[str, Any]
EXACTLY_ONE = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def answer(
    info: RequestInfo, review: Object, user: User, authenticator: Authenticator, authorizer: Authorizer
) -> Object:
    """The review with its status. Raises 422 where the question is none."""
    spec = review.setdefault("spec", {}) if info.resource is not r.SELFSUBJECTREVIEWS else {}
    problems = _check(info, spec)
    if problems:
        raise errors.invalid(info.resource.kind, info.resource.group, "", problems)
    meta = {**review.get("metadata", {}), "creationTimestamp": None}
    head = {"kind": review["kind"], "apiVersion": review["apiVersion"], "metadata": meta}
    if info.resource is r.SELFSUBJECTREVIEWS:
        return {**head, "status": {"userInfo": user.info()}}
    if info.resource is r.TOKENREVIEWS:
        return {**head, "spec": spec, "status": _token_status(spec, authenticator)}
    if info.resource is r.SELFSUBJECTRULESREVIEWS:
        return {**head, "spec": spec, "status": authorizer.rules_for(user, spec["namespace"])}
    allowed, reason = authorizer.authorize(_attributes(spec, user if info.resource is _SELF else _subject(spec)))
    return {**head, "spec": spec, "status": {"allowed": allowed, **({"reason": reason} if reason else {})}}


_SELF = r.SELFSUBJECTACCESSREVIEWS


def _subject(spec: Object) -> User:
    return User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), spec.get("extra") or {})


def _attributes(spec: Object, user: User) -> Attributes:
    asked = spec.get("resourceAttributes")
    if asked is None:
        path = spec["nonResourceAttributes"]
        return Attributes(user, path.get("verb", ""), path=path.get("path", "") or "/")
    fields = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
    selector = (asked.get("fieldSelector") or {}).get("rawSelector", "")
    return Attributes(user, *(asked.get(field, "") for field in fields), field_selector=selector)


def _token_status(spec: Object, authenticator: Authenticator) -> Object:
    user = authenticator.by_token(spec["token"])
    if user is None:
        return {"user": {}, "error": "[invalid bearer token]"}
    return {"authenticated": True, "user": user.info(), "audiences": spec.get("audiences") or [authenticator.audience]}


def _check(info: RequestInfo, spec: Object) -> list[FieldError]:
    if info.resource is r.TOKENREVIEWS:
        return [] if spec.get("token") else [required("spec.token")]
    if info.resource is r.SELFSUBJECTRULESREVIEWS:
        return [] if spec.get("namespace") else [required("spec.namespace")]
    if info.resource is r.SELFSUBJECTREVIEWS:
        return []
    problems: list[FieldError] = []
    if bool(spec.get("resourceAttributes")) == bool(spec.get("nonResourceAttributes")):
        problems.append(invalid("spec.resourceAttributes", spec.get("resourceAttributes"), EXACTLY_ONE))
    if info.resource is not r.SELFSUBJECTACCESSREVIEWS and not (spec.get("user") or spec.get("groups")):
        problems.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    if info.resource is r.LOCALSUBJECTACCESSREVIEWS:
        problems += _check_local(info, spec)
    return problems


def _check_local(info: RequestInfo, spec: Object) -> list[FieldError]:
    if spec.get("nonResourceAttributes"):
        return [forbidden("spec.nonResourceAttributes", "disallowed on this kind of request")]
    namespace = (spec.get("resourceAttributes") or {}).get("namespace")
    return (
        []
        if namespace == info.namespace
        else [invalid("spec.resourceAttributes.namespace", namespace or "", "must match metadata.namespace")]
    )
