"""Tokens of service accounts: made by TokenRequest, and known again when a pod shows one.

Upstream: pkg/registry/core/serviceaccount/storage/token.go, pkg/serviceaccount/claims.go.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import cache
from typing import Any

from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.authentication import User
from kubelab.cluster.apiserver.fielderrors import FieldError, invalid
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.requestinfo import RequestInfo
from kubelab.cluster.apiserver.signingkey import SigningKey
from kubelab.cluster.resources import NODES, PODS, SECRETS, SERVICEACCOUNTS

Object = dict[str, Any]
ISSUER = "https://kubernetes.default.svc.cluster.local"  # and the API server's own audience
DEFAULT_SECONDS, MIN_SECONDS, MAX_SECONDS = 3600, 600, 1 << 32
BINDABLE = {("v1", "Pod"): PODS, ("v1", "Node"): NODES, ("v1", "Secret"): SECRETS}
EXTRA = "authentication.kubernetes.io/"


# -- making


def request(registry: Registry, info: RequestInfo, obj: Object) -> Object:
    """POST serviceaccounts/NAME/token: the TokenRequest with its token."""
    account = registry.get(SERVICEACCOUNTS, info.name, info.namespace)
    spec = obj.setdefault("spec", {})
    spec["audiences"] = spec.get("audiences") or [ISSUER]
    seconds = spec.setdefault("expirationSeconds", DEFAULT_SECONDS)
    spec.setdefault("boundObjectRef", None)
    problems = _check_seconds(seconds)
    if problems:
        raise errors.invalid("TokenRequest", "authentication.k8s.io", info.name, problems)
    now = int(registry.clock.now().timestamp())
    claims = {
        "aud": spec["audiences"],
        "exp": now + seconds,
        "iat": now,
        "iss": ISSUER,
        "jti": str(uuid.uuid4()),
        "kubernetes.io": {
            "namespace": info.namespace,
            **_bound(registry, info, spec["boundObjectRef"]),
            "serviceaccount": {"name": info.name, "uid": account["metadata"]["uid"]},
        },
        "nbf": now,
        "sub": f"system:serviceaccount:{info.namespace}:{info.name}",
    }
    meta = {"name": info.name, "namespace": info.namespace, "creationTimestamp": registry.now()}
    until = datetime.fromtimestamp(claims["exp"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {"token": signing_key(registry).sign(claims), "expirationTimestamp": until}
    return {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": meta, "spec": spec, "status": status}


def _check_seconds(seconds: int) -> list[FieldError]:
    if seconds < MIN_SECONDS:
        return [invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")]
    if seconds > MAX_SECONDS:
        return [invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


def _bound(registry: Registry, info: RequestInfo, reference: Object | None) -> Object:
    """The object with which the token ends, as its claim; a pod's node with it."""
    if not reference:
        return {}
    kind, name = reference.get("kind") or "", reference.get("name") or ""
    resource = BINDABLE.get((reference.get("apiVersion") or "", kind))
    if resource is None:
        raise errors.bad_request(f"cannot bind token for object of type {reference.get('apiVersion')}, Kind={kind}")
    found = registry.get(resource, name, info.namespace if resource.namespaced else "")
    found_uid, asked_uid = found["metadata"]["uid"], reference.get("uid")
    if asked_uid and asked_uid != found_uid:
        why = (
            f"the UID in the bound object reference ({asked_uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict(resource, name, why)
    claim = {kind.lower(): {"name": name, "uid": found_uid}}
    if resource is PODS:
        if found["spec"].get("serviceAccountName") != info.name:
            why = (
                f'cannot bind token for serviceaccount "{info.name}" to pod running with different serviceaccount name.'
            )
            raise errors.bad_request(why)
        claim |= _node_of(registry, found)
    return claim


def _node_of(registry: Registry, pod: Object) -> Object:
    name = pod["spec"].get("nodeName") or ""
    node = registry.store.get(registry.key(NODES, "", name)) if name else None
    return {"node": {"name": name, "uid": node.load()["metadata"]["uid"]}} if node is not None else {}


# -- knowing again


def authenticate(registry: Registry, token: str, audience: str = ISSUER) -> User | None:
    """The user of a token that was signed here, is in its time, and whose account and bound object are still there."""
    claims = signing_key(registry).claims(token)
    now = registry.clock.now().timestamp()
    if claims is None or not claims["nbf"] <= now < claims["exp"] or audience not in claims["aud"]:
        return None
    private = claims["kubernetes.io"]
    namespace, account = private["namespace"], private["serviceaccount"]
    bound = [(SERVICEACCOUNTS, account)]
    bound += [(resource, private[kind.lower()]) for (_, kind), resource in BINDABLE.items() if kind.lower() in private]
    if "pod" in private:
        bound = [(resource, claim) for resource, claim in bound if resource is not NODES]
    for resource, claim in bound:
        record = registry.store.get(registry.key(resource, namespace if resource.namespaced else "", claim["name"]))
        if record is None or record.load()["metadata"]["uid"] != claim["uid"]:
            return None
    extra = {EXTRA + "credential-id": [f"JTI={claims['jti']}"]}
    for kind in ("pod", "node"):
        if kind in private:
            extra[f"{EXTRA}{kind}-name"] = [private[kind]["name"]]
            extra[f"{EXTRA}{kind}-uid"] = [private[kind]["uid"]]
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(claims["sub"], account["uid"], groups, extra)


# -- the key


def signing_key(registry: Registry) -> SigningKey:
    """The key of this API server's settings. Raises ValueError where its file holds none."""
    return _read(registry.config.service_account_signing_key_file)


@cache
def _read(path: str) -> SigningKey:
    return SigningKey(path)
