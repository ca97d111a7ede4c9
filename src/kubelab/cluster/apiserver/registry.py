"""Objects in the store: read, create, update and their rules that hold for every kind.

Upstream: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go and pkg/registry/rest. Everything here
runs without awaiting, so between reading an object and writing it nothing else can happen. Deletion: `deletion.py`.
"""

from __future__ import annotations

import secrets
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.apiserver import errors, managedfields, objectmeta, quotas
from kubelab.cluster.apiserver.allocators import AddressPool, PortPool
from kubelab.cluster.apiserver.authorization import Authorizer
from kubelab.cluster.apiserver.config import Config
from kubelab.cluster.apiserver.schema import types
from kubelab.cluster.apiserver.strategy import Strategy
from kubelab.cluster.resources import NAMESPACES, RESOURCES, Resource
from kubelab.cluster.store import Record, Store

Object = dict[str, Any]
NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's pkg/util/rand: no vowels, so no words
MAX_GENERATED_BASE = 58
GENERATE_TRIES = 8


@dataclass
class Options:
    """How a write is to be done. `warnings` collects what the answer's `Warning:` headers will say."""

    dry_run: bool = False
    field_manager: str = "kube-apiserver"  # who is noted as having changed what changes
    subresource: str = ""  # through which it is written
    applied: bool = False  # server-side apply: the object brings its managedFields
    warnings: list[str] = field(default_factory=list)


class Registry:
    """The API's objects. Returned objects are the caller's own copies."""

    def __init__(self, store: Store, config: Config, clock: Clock, strategies: dict[Resource, Strategy]) -> None:
        self.store, self.config, self.clock = store, config, clock
        self._strategies = strategies
        self.addresses = AddressPool(config.service_cluster_ip_range)
        self.node_ports = PortPool(config.node_ports)
        self.writes: Counter[Resource] = Counter()  # for caches over a resource: they are stale when it goes up
        self.authorizer = Authorizer(self)
        for resource in RESOURCES:
            for record in self.records(resource):
                self.strategy(resource).restore(self, record.load())

    def strategy(self, resource: Resource) -> Strategy:
        return self._strategies[resource]

    def now(self) -> str:
        """The time as objects carry it: `2026-01-31T12:00:00Z`."""
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    # -- reads

    @staticmethod
    def key(resource: Resource, namespace: str, name: str) -> str:
        return f"{Registry.prefix(resource, namespace)}{name}"

    @staticmethod
    def prefix(resource: Resource, namespace: str = "") -> str:
        base = f"/registry/{resource.qualified}/"
        return f"{base}{namespace}/" if resource.namespaced and namespace else base

    def record(self, resource: Resource, name: str, namespace: str = "") -> Record:
        """Raises 404 where there is no such object."""
        found = self.store.get(self.key(resource, namespace, name))
        if found is None:
            raise errors.not_found(resource, name)
        return found

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        return self.record(resource, name, namespace).load()

    def records(self, resource: Resource, namespace: str = "") -> list[Record]:
        return self.store.list(self.prefix(resource, namespace))

    # -- create

    def create(self, resource: Resource, obj: Object, namespace: str = "", options: Options | None = None) -> Object:
        """Default, admit, validate and store a new object."""
        options = options or Options()
        strategy = self.strategy(resource)
        meta = obj.setdefault("metadata", {})
        self._check_namespace(resource, meta, namespace)
        if meta.get("resourceVersion"):
            raise errors.StatusError(500, "", "resourceVersion should not be set on objects to be created")
        generated = not meta.get("name") and bool(meta.get("generateName"))
        for _ in range(GENERATE_TRIES if generated else 1):
            if generated:
                meta["name"] = _generate(meta["generateName"])
            if not meta.get("name") or self.store.get(self.key(resource, namespace, meta["name"])) is None:
                break
        self._admit_namespace(resource, meta.get("name", ""), namespace)
        if resource.namespaced:
            meta["namespace"] = namespace
        strategy.default(obj)
        if not options.applied:
            self._track(resource, obj, None, options)
        strategy.admit(self, obj, None)
        objectmeta.fill(obj, namespace if resource.namespaced else "", self.now(), str(uuid.uuid4()))
        strategy.prepare_create(obj)
        problems = objectmeta.validate(obj, resource, strategy.validate_name) + strategy.validate(obj)
        if problems:
            raise errors.invalid(resource.kind, resource.group, meta.get("name", ""), problems)
        if self.store.get(self.key(resource, namespace, meta["name"])) is not None:
            taken = errors.generated_name_taken if generated else errors.already_exists
            raise taken(resource, meta["name"])
        options.warnings.extend(strategy.warnings(obj))
        charges = quotas.check(self, resource, obj, None)
        if options.dry_run:
            return obj
        strategy.allocate(self, obj, None)
        quotas.charge(self, charges)
        self.writes[resource] += 1
        return self.store.create(self.key(resource, namespace, meta["name"]), objectmeta.ordered(obj)).load()

    def _track(self, resource: Resource, obj: Object, old: Object | None, options: Options) -> None:
        """Note whose the fields are. What comes of admission is nobody's."""
        status = obj.pop("status", None) if old is None and self.strategy(resource).has_status else None
        key = managedfields.Manager(
            options.field_manager, managedfields.UPDATE, resource.api_version, options.subresource
        )
        managedfields.track(obj, old, types().of_kind(resource.api_version, resource.kind), key, self.now())
        if status is not None:
            obj["status"] = status

    def _check_namespace(self, resource: Resource, meta: Object, namespace: str) -> None:
        found = meta.get("namespace") or ""
        if resource.namespaced and found and found != namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )

    def _admit_namespace(self, resource: Resource, name: str, namespace: str) -> None:
        """Nothing is made in a namespace that is not there, or is going (plugin NamespaceLifecycle)."""
        if not resource.namespaced:
            return
        owner = self.record(NAMESPACES, namespace).load()
        if owner["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            message = f"namespace {namespace} is being terminated"
            cause = {"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}
            raise errors.forbidden(resource, name, why, [cause])

    # -- update

    def update(
        self,
        resource: Resource,
        name: str,
        obj: Object,
        namespace: str = "",
        options: Options | None = None,
        subresource: str = "",
    ) -> Object:
        """Replace an object, or with `subresource` "status" its status. An update without effect changes nothing."""
        options = options or Options()
        strategy = self.strategy(resource)
        meta = obj.setdefault("metadata", {})
        if meta.get("name", name) != name:
            words = f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
            raise errors.bad_request(words)
        self._check_namespace(resource, meta, namespace)
        record = self.store.get(self.key(resource, namespace, name))
        if record is None and strategy.create_on_update and not subresource:
            meta["name"] = name
            return self.create(resource, obj, namespace, options)
        record = record or self.record(resource, name, namespace)
        old = record.load()
        self._check_preconditions(resource, strategy, meta, old["metadata"])
        strategy.default(obj)
        objectmeta.carry_over(obj, old, applied=options.applied)
        strategy.prepare_update(obj, old, subresource)
        if not options.applied:
            self._track(resource, obj, old, options)
        strategy.admit(self, obj, old)
        problems = objectmeta.validate_update(obj, old, resource) + strategy.validate_update(obj, old, subresource)
        if problems:
            raise errors.invalid(resource.kind, resource.group, name, problems)
        if strategy.warns_on_update and not subresource and obj.get("spec") != old.get("spec"):
            options.warnings.extend(strategy.warnings(obj))
        charges = [] if subresource else quotas.check(self, resource, obj, old)
        if obj == old or options.dry_run:
            return obj
        quotas.charge(self, charges)
        return self.replace(resource, record, obj, old)

    def _check_preconditions(self, resource: Resource, strategy: Strategy, meta: Object, old: Object) -> None:
        if meta.get("uid") and meta["uid"] != old["uid"]:
            raise errors.other_uid(resource, old, meta["uid"])
        version = meta.get("resourceVersion")
        if version and version != "0" and version != old["resourceVersion"]:
            raise errors.conflict(resource, old["name"])
        if not version and not strategy.unconditional_update:
            problem = objectmeta.resource_version_required()
            raise errors.invalid(resource.kind, resource.group, old["name"], [problem])

    def replace(self, resource: Resource, record: Record, obj: Object, old: Object) -> Object:
        """Write the new state; an object whose deletion only waited for its last finalizer goes."""
        meta = obj["metadata"]
        held = (
            meta.get("finalizers")
            or meta.get("deletionGracePeriodSeconds")
            or (obj.get("spec") or {}).get("finalizers")
        )
        if meta.get("deletionTimestamp") and not held:
            return self.remove(resource, record, obj)
        self.strategy(resource).allocate(self, obj, old)
        self.writes[resource] += 1
        return self.store.update(record.key, objectmeta.ordered(obj), record.revision).load()

    def remove(self, resource: Resource, record: Record, obj: Object) -> Object:
        """Take an object out of the store, now."""
        self.writes[resource] += 1
        final = self.store.delete(record.key, objectmeta.ordered(obj), record.revision).load()
        self.strategy(resource).release(self, final)
        return final


def _generate(base: str) -> str:
    return base[:MAX_GENERATED_BASE] + "".join(secrets.choice(NAME_LETTERS) for _ in range(5))
