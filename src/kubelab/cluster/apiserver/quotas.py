"""Admission by ResourceQuota: nothing is made beyond what its namespace may have.

Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota (controller.go: checkRequest). It runs after
validation; what is made is charged to the quota's status at once, in the same breath; the controller counts again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelab.cluster import quantity
from kubelab.cluster import quota as counting
from kubelab.cluster.apiserver import errors
from kubelab.cluster.resources import EVENTS, PODS, RESOURCEQUOTAS, SERVICES, Resource
from kubelab.cluster.store import Record

if TYPE_CHECKING:
    from kubelab.cluster.apiserver.registry import Registry

Object = dict[str, Any]


class StatusUnknown(errors.RetryableError):
    """A quota that the controller has not counted for yet."""


Charges = list[tuple[Record, Object]]


def check(registry: Registry, resource: Resource, obj: Object, old: Object | None) -> Charges:
    """The quotas of the object's namespace with it counted, to be charged when it is written. Raises 403."""
    if not resource.namespaced or resource == EVENTS or (old is not None and resource != SERVICES):
        return []
    records = registry.records(RESOURCEQUOTAS, obj["metadata"].get("namespace", ""))
    charged = ((record, _charged(record.load(), resource, obj, old)) for record in records)
    return [(record, quota) for record, quota in charged if quota is not None]


def charge(registry: Registry, charges: Charges) -> None:
    for record, quota in charges:
        registry.replace(RESOURCEQUOTAS, record, quota, record.load())


def _charged(quota: Object, resource: Resource, obj: Object, old: Object | None) -> Object | None:
    """The quota with the object counted; None where it is not concerned."""
    status = quota.setdefault("status", {})
    hard, used = status.get("hard") or quota["spec"].get("hard") or {}, status.get("used") or {}
    name = quota["metadata"]["name"]
    if not counting.covers({"spec": {**quota["spec"], "hard": hard}}, resource, obj):
        return None
    if resource == PODS:
        lacking = counting.unspecified(hard, obj["spec"])
        if lacking:
            each = "; ".join(f"{what} for: {','.join(containers)}" for what, containers in lacking.items())
            raise _refused(resource, obj, f"failed quota: {name}: must specify {each}")
    names = sorted(what for what in hard if counting.counts(resource, what))
    if any(what not in used for what in names):
        error = _refused(resource, obj, f"status unknown for quota: {name}, resources: {','.join(names)}")
        raise StatusUnknown(error.code, error.reason, str(error), error.body["details"])
    asked = _asked(resource, obj, old, hard)
    if not asked:
        return None
    after = counting.add(used, asked)
    exceeded = sorted(what for what in asked if quantity.parse(after[what]) > quantity.parse(hard[what]))
    if exceeded:
        shown = (",".join(f"{what}={of[what]}" for what in exceeded) for of in (asked, used, hard))
        words = "exceeded quota: {}, requested: {}, used: {}, limited: {}".format(name, *shown)
        raise _refused(resource, obj, words)
    status["used"] = after
    return quota


def _asked(resource: Resource, obj: Object, old: Object | None, hard: Object) -> counting.Usage:
    """What the write adds, of what the quota limits; an update that uses less adds nothing."""
    usage = counting.usage(resource, obj)
    if old is not None:
        before = counting.usage(resource, old)
        usage = {what: quantity.subtract(amount, before.get(what, "0")) for what, amount in usage.items()}
    return {what: amount for what, amount in usage.items() if what in hard and quantity.parse(amount) > 0}


def _refused(resource: Resource, obj: Object, why: str) -> errors.StatusError:
    return errors.forbidden(resource, obj["metadata"].get("name", ""), why)
