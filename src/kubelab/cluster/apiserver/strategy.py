"""What is particular about a kind when it is written; the registry does what is the same for all.

Upstream: the `strategy.go` beside every kind in pkg/registry, and rest.BeforeCreate/BeforeUpdate that call it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError

if TYPE_CHECKING:
    from kubelab.cluster.apiserver.registry import Registry
    from kubelab.cluster.resources import Resource

Object = dict[str, Any]


class Strategy:
    """The base: an object without status, defaults or rules of its own. All methods may change `obj`, never `old`."""

    returns_deleted_object = False  # DELETE answers with the object instead of a Status
    has_status = False
    has_generation = False
    default_propagation = "Background"
    default_propagation_warning = ""  # for who deletes without saying what becomes of the dependents
    unconditional_update = True  # an update may leave out resourceVersion
    warns_on_update = True  # people change it, and want to be told
    create_on_update = False  # PUT of a name that does not exist makes it
    validate_name = staticmethod(names.dns1123_subdomain)

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    def default(self, obj: Object) -> None:
        """Fill in what upstream's SetDefaults_ functions do; runs whenever an object was decoded."""

    def admit(self, registry: Registry, obj: Object, old: Object | None) -> None:
        """Admission: may look at other objects, and raise StatusError. `old` is None on create."""

    def prepare_create(self, obj: Object) -> None:
        if self.has_status:
            obj.pop("status", None)
        if self.has_generation:
            obj["metadata"]["generation"] = 1

    def prepare_update(self, obj: Object, old: Object, subresource: str) -> None:
        """A main update leaves the status as it was, a status update the spec."""
        kept = "spec" if subresource == "status" else "status"
        if self.has_status and kept in old:
            obj[kept] = old[kept]
        elif self.has_status:
            obj.pop(kept, None)
        if self.has_generation:
            changed = obj.get("spec") != old.get("spec")
            obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + changed

    def validate(self, obj: Object) -> list[FieldError]:
        return []

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        """Runs instead of `validate`, so a kind that has rules for both calls that too."""
        return self.validate(obj)

    def warnings(self, obj: Object) -> list[str]:
        """What `kubectl` prints as `Warning:`."""
        return []

    def allocate(self, registry: Registry, obj: Object, old: Object | None) -> None:
        """Give out what comes from a pool (cluster IPs, node ports); after validation, before the write."""

    def restore(self, registry: Registry, obj: Object) -> None:
        """At start-up, for every stored object: note what it holds of a pool."""

    def release(self, registry: Registry, obj: Object) -> None:
        """The object is gone."""

    def grace_period(self, obj: Object, asked: int | None) -> int | None:
        """Seconds that a deletion leaves the object; None for kinds that are deleted at once."""
        return None
