"""The smaller kinds: namespaces, nodes, config maps, secrets, endpoints, events, leases.

Upstream: pkg/registry/core/*/strategy.go, pkg/registry/{coordination,discovery}/…/strategy.go,
pkg/apis/core/v1/defaults.go.
"""

from __future__ import annotations

import base64
from typing import Any

from kubelab.cluster.apiserver import coverage, names
from kubelab.cluster.apiserver.fielderrors import FieldError
from kubelab.cluster.apiserver.strategy import Strategy
from kubelab.cluster.apiserver.validation import core as validation

Object = dict[str, Any]


class NamespaceStrategy(Strategy):
    has_status = True
    returns_deleted_object = True
    validate_name = staticmethod(names.dns1123_label)

    def default(self, obj: Object) -> None:
        """Every namespace carries its name as a label, so that selectors can name it."""
        name = obj["metadata"].get("name")
        if name:
            obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name

    def prepare_create(self, obj: Object) -> None:
        finalizers = obj.setdefault("spec", {}).setdefault("finalizers", [])
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        obj["status"] = {"phase": "Active"}

    def prepare_update(self, obj: Object, old: Object, subresource: str) -> None:
        """spec.finalizers is changed by the subresource `finalize` alone."""
        super().prepare_update(obj, old, subresource)
        obj["spec"] = old["spec"]

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.namespace(obj)


class NodeStrategy(Strategy):
    has_status = True

    def prepare_create(self, obj: Object) -> None:
        """Unlike for other kinds a node's status may come with it: the kubelet registers with both."""
        obj.setdefault("spec", {})

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.node(obj)

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return validation.node(obj) + validation.node_update(obj, old)

    def warnings(self, obj: Object) -> list[str]:
        return coverage.warnings("node", obj["spec"], "spec")


class ConfigMapStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        return validation.config_map(obj)

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return validation.config_map(obj) + validation.immutable_data(obj, old, ("data", "binaryData"))


class SecretStrategy(Strategy):
    def default(self, obj: Object) -> None:
        obj.setdefault("type", "Opaque")
        plain = obj.pop("stringData", None) or {}
        if plain:
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
            obj["data"] = {**(obj.get("data") or {}), **encoded}

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.secret(obj)

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        changed = validation.immutable_field(obj.get("type"), old.get("type"), "type")
        return validation.secret(obj) + changed + validation.immutable_data(obj, old, ("data",))


class ServiceAccountStrategy(Strategy):
    returns_deleted_object = True


class EndpointsStrategy(Strategy):
    create_on_update = True

    def default(self, obj: Object) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                port.setdefault("protocol", "TCP")

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.endpoints(obj)


class EndpointSliceStrategy(Strategy):
    has_generation = True

    def default(self, obj: Object) -> None:
        obj.setdefault("endpoints", [])
        for port in obj.get("ports") or ():
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")

    def prepare_update(self, obj: Object, old: Object, subresource: str) -> None:
        changed = any(obj.get(field) != old.get(field) for field in ("endpoints", "ports"))
        obj["metadata"]["generation"] = old["metadata"].get("generation", 1) + changed

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.endpoint_slice(obj)

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        changed = validation.immutable_field(obj.get("addressType"), old.get("addressType"), "addressType")
        return validation.endpoint_slice(obj) + changed

    def warnings(self, obj: Object) -> list[str]:
        return coverage.warnings("endpointslice", obj, "")


class EventStrategy(Strategy):
    create_on_update = True

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.event(obj)


class LeaseStrategy(Strategy):
    unconditional_update = False
    create_on_update = True

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.lease(obj.get("spec") or {})

    def warnings(self, obj: Object) -> list[str]:
        return coverage.warnings("lease", obj.get("spec") or {}, "spec")
