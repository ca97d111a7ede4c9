"""Deleting objects: at once, gracefully, or not before the last finalizer is gone.

Upstream: staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go (BeforeDelete) and generic/registry/store.go (Delete,
deletionFinalizersForGarbageCollection).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.fielderrors import FieldError, invalid, not_supported
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import NAMESPACES, Resource

Object = dict[str, Any]
ORPHAN, FOREGROUND, BACKGROUND = "Orphan", "Foreground", "Background"
FINALIZER = {ORPHAN: "orphan", FOREGROUND: "foregroundDeletion"}
IMMORTAL = ("default", "kube-system", "kube-public")
TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class DeleteOptions:
    """meta/v1 DeleteOptions. `propagation` "" is the kind's default."""

    grace_period_seconds: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


def parse(options: Object) -> DeleteOptions:
    """DeleteOptions from their JSON. Raises 422 for values that make no sense."""
    problems: list[FieldError] = []
    policy, orphan = options.get("propagationPolicy"), options.get("orphanDependents")
    if policy is not None and orphan is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        problems.append(invalid("propagationPolicy", policy, text))
    if policy is not None and policy not in (ORPHAN, FOREGROUND, BACKGROUND):
        problems.append(not_supported("propagationPolicy", policy, (FOREGROUND, BACKGROUND, ORPHAN, "nil")))
    grace = options.get("gracePeriodSeconds")
    dry_run = options.get("dryRun") or []
    if any(value != "All" for value in dry_run):
        problems.append(not_supported("dryRun", dry_run, ("All",)))
    if problems:
        raise errors.invalid("DeleteOptions", "meta.k8s.io", "", problems)
    if policy is None and orphan is not None:
        policy = ORPHAN if orphan else BACKGROUND
    preconditions = options.get("preconditions") or {}
    return DeleteOptions(
        grace_period_seconds=grace if grace is None or grace >= 0 else 1,
        propagation=policy or "",
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        dry_run=bool(dry_run),
    )


def delete(
    registry: Registry, resource: Resource, name: str, namespace: str, options: DeleteOptions
) -> tuple[Object, bool]:
    """Delete an object, or begin to. Returns its last known state and whether it is gone."""
    record = registry.record(resource, name, namespace)
    old = record.load()
    check(resource, old, options)
    obj = record.load()
    waits = _grace(registry, resource, obj, options)
    waits = _finalizers(registry, resource, obj, options) or waits
    if options.dry_run:
        return obj, not waits
    if not waits:
        return registry.remove(resource, record, obj), True
    if obj == old:
        return obj, False
    meta = obj["metadata"]
    if meta.get("generation") and not old["metadata"].get("deletionTimestamp"):
        meta["generation"] += 1
    return registry.replace(resource, record, obj, old), False


def check(resource: Resource, obj: Object, options: DeleteOptions) -> None:
    """Raises 403 for what may never go, 409 where a precondition does not hold."""
    meta = obj["metadata"]
    if resource == NAMESPACES and meta["name"] in IMMORTAL:
        raise errors.forbidden(resource, meta["name"], "this namespace may not be deleted")
    if options.uid and options.uid != meta["uid"]:
        raise errors.precondition(resource, meta, "UID", options.uid)
    if options.resource_version and options.resource_version != meta["resourceVersion"]:
        raise errors.precondition(resource, meta, "ResourceVersion", options.resource_version)


def _grace(registry: Registry, resource: Resource, obj: Object, options: DeleteOptions) -> bool:
    """Set the deletion's time and grace period. Returns whether somebody (the kubelet) still has to finish it."""
    meta = obj["metadata"]
    if meta.get("deletionTimestamp"):
        left, asked = meta.get("deletionGracePeriodSeconds"), options.grace_period_seconds
        if left and asked is not None and asked < left:  # only a shorter period may be asked for
            due = datetime.strptime(meta["deletionTimestamp"], TIME) - timedelta(seconds=left - asked)
            meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"] = due.strftime(TIME), asked
        return bool(meta.get("deletionGracePeriodSeconds"))
    seconds = registry.strategy(resource).grace_period(obj, options.grace_period_seconds)
    if seconds is None:
        return False
    due = registry.clock.now() + timedelta(seconds=seconds)
    meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"] = due.strftime(TIME), seconds
    return seconds > 0


def _finalizers(registry: Registry, resource: Resource, obj: Object, options: DeleteOptions) -> bool:
    """Add the finalizer of the propagation policy. Returns whether the object has to wait for finalizers."""
    meta = obj["metadata"]
    before = meta.get("finalizers") or []
    policy = options.propagation
    if not policy:
        set_already = next((p for p, finalizer in FINALIZER.items() if finalizer in before), "")
        policy = set_already or registry.strategy(resource).default_propagation
    finalizers = [f for f in before if f not in FINALIZER.values()]
    if policy in FINALIZER:
        finalizers.append(FINALIZER[policy])
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)
    waits = bool(finalizers) or (resource == NAMESPACES and bool((obj.get("spec") or {}).get("finalizers")))
    if waits and not meta.get("deletionTimestamp"):
        meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"] = registry.now(), 0
    if resource == NAMESPACES and waits:
        meta.pop("deletionGracePeriodSeconds", None)
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    return waits
