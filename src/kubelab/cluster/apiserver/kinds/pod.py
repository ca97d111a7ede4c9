"""Pods: admission, status on create, and how long a deletion leaves them.

Upstream: pkg/registry/core/pod/strategy.go; plugin/pkg/admission/{serviceaccount,defaulttolerationseconds,priority}.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.apiserver import apiaccess, coverage, errors, limitranger, podwarnings
from kubelab.cluster.apiserver.defaults import pod as defaults
from kubelab.cluster.apiserver.fielderrors import FieldError
from kubelab.cluster.apiserver.kinds import priorityclass, scheduling
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.strategy import Strategy
from kubelab.cluster.apiserver.validation import pod as validation
from kubelab.cluster.apiserver.validation import podupdate
from kubelab.cluster.apiserver.validation.ephemeral import ephemeral_update
from kubelab.cluster.resources import PODS, SERVICEACCOUNTS

Object = dict[str, Any]
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
FINISHED = ("Succeeded", "Failed")


class ServiceAccountMissing(errors.RetryableError):
    """The pod's service account is not there (yet): a new namespace gets its `default` one a moment later."""


class PodStrategy(Strategy):
    warns_on_update = False
    returns_deleted_object = True
    has_status = True
    has_generation = True

    def default(self, obj: Object) -> None:
        defaults.pod(obj)

    def admit(self, registry: Registry, obj: Object, old: Object | None) -> None:
        if old is not None:
            return
        spec = obj["spec"]
        self._service_account(registry, obj)
        _no_runtime_class(obj)
        priorityclass.admit(registry, obj)
        limitranger.admit(registry, obj)
        config = registry.config
        _tolerate(spec, NOT_READY, config.default_not_ready_toleration_seconds)
        _tolerate(spec, UNREACHABLE, config.default_unreachable_toleration_seconds)

    def _service_account(self, registry: Registry, obj: Object) -> None:
        spec, meta = obj["spec"], obj["metadata"]
        name = spec.setdefault("serviceAccountName", "default")
        spec["serviceAccount"] = name
        namespace = meta["namespace"]
        account = registry.store.get(registry.key(SERVICEACCOUNTS, namespace, name))
        if account is None:
            why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            error = errors.forbidden(self.resource, meta.get("name", ""), why)
            raise ServiceAccountMissing(error.code, error.reason, str(error), error.body["details"])
        apiaccess.mount(spec, account.load())
        if not spec.get("imagePullSecrets") and account.load().get("imagePullSecrets"):
            spec["imagePullSecrets"] = account.load()["imagePullSecrets"]

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
        scheduling.prepare(obj)

    def prepare_update(self, obj: Object, old: Object, subresource: str) -> None:
        if subresource == "ephemeralcontainers":
            wanted = obj.get("spec", {}).get("ephemeralContainers") or []
            obj["spec"] = {**old["spec"], **({"ephemeralContainers": wanted} if wanted else {})}
        super().prepare_update(obj, old, subresource)

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.pod(obj)

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        if subresource == "ephemeralcontainers":
            return ephemeral_update(obj, old)
        if subresource == "status":
            return podupdate.pod_status_update(obj, old)
        return [] if subresource else podupdate.pod_update(obj, old)

    def warnings(self, obj: Object) -> list[str]:
        named = podwarnings.of_name(obj["metadata"]["name"], "the Pod's hostname")
        return named + podwarnings.of_pod(obj) + coverage.warnings("pod", obj["spec"], "spec")

    def grace_period(self, obj: Object, asked: int | None) -> int:
        """Nobody has to stop anything for a pod without a node, or one that has finished."""
        if not obj["spec"].get("nodeName") or (obj.get("status") or {}).get("phase") in FINISHED:
            return 0
        seconds = asked if asked is not None else obj["spec"].get("terminationGracePeriodSeconds", 30)
        return seconds if seconds >= 0 else 1


def _no_runtime_class(pod: Object) -> None:
    """RuntimeClasses are not served, so there is none of any name (upstream: plugin/pkg/admission/runtimeclass)."""
    if name := pod["spec"].get("runtimeClassName"):
        raise errors.forbidden(PODS, pod["metadata"].get("name", ""), f'pod rejected: RuntimeClass "{name}" not found')


def _tolerate(spec: Object, key: str, seconds: int) -> None:
    """Add the NoExecute toleration unless the pod has its own say about this taint."""
    for toleration in spec.get("tolerations") or ():
        covers = toleration.get("key") == key or (not toleration.get("key") and toleration.get("operator") == "Exists")
        if covers and toleration.get("effect") in (None, "", "NoExecute"):
            return
    added = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
    spec.setdefault("tolerations", []).append(added)


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort (pkg/apis/core/v1/helper/qos)."""
    guaranteed, any_set = True, False
    for container in defaults.containers(spec):
        resources = container.get("resources") or {}
        limits, requests = _counted(resources.get("limits")), _counted(resources.get("requests"))
        any_set = any_set or bool(limits or requests)
        guaranteed = guaranteed and set(limits) == {"cpu", "memory"} and requests == limits
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _counted(amounts: Object | None) -> dict[str, Any]:
    parsed = {name: quantity.parse((amounts or {}).get(name, 0)) for name in ("cpu", "memory")}
    return {name: amount for name, amount in parsed.items() if amount}
