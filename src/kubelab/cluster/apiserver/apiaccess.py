"""The volume by which a pod reaches the API: its account's token, the cluster's CA and its namespace.

Upstream: plugin/pkg/admission/serviceaccount/admission.go (mountServiceAccountToken, TokenVolumeSource).
"""

from __future__ import annotations

import secrets
from typing import Any

from kubelab.cluster.apiserver.defaults import pod as defaults
from kubelab.cluster.apiserver.registry import NAME_LETTERS

Object = dict[str, Any]
PREFIX = "kube-api-access-"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
# An hour, and a sign for upstream's API server that the token was mounted by default.
TOKEN_SECONDS = 3607


def mount(spec: Object, account: Object) -> None:
    """Add the volume, and its mount to each container that has nothing of its own at that path."""
    if not _wanted(spec, account):
        return
    existing = next((v["name"] for v in spec.get("volumes") or () if v.get("name", "").startswith(PREFIX)), "")
    name = existing or PREFIX + "".join(secrets.choice(NAME_LETTERS) for _ in range(5))
    added = False
    for container in defaults.containers(spec):
        mounts = container.get("volumeMounts") or []
        if not any(known.get("mountPath") == MOUNT_PATH for known in mounts):
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
            added = True
    if added and not existing:
        spec["volumes"] = [*(spec.get("volumes") or ()), {"name": name, "projected": _source()}]


def _wanted(spec: Object, account: Object) -> bool:
    """The pod says, or else its account; by default it is mounted."""
    for said in (spec, account):
        if said.get("automountServiceAccountToken") is not None:
            return bool(said["automountServiceAccountToken"])
    return True


def _source() -> Object:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    certificate = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": certificate},
            {"downwardAPI": {"items": [namespace]}},
        ],
        "defaultMode": defaults.DEFAULT_MODE,
    }
