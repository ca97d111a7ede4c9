"""Namespace: when one is deleted, delete what is in it, then let go of it.

Upstream: pkg/controller/namespace (namespace_controller.go, deletion/namespaced_resources_deleter.go, conditions of
deletion/status_condition_utils.go). Pods go first and are waited for; then everything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubelab.cluster.client import APIError, NotFound
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import is_terminating
from kubelab.cluster.resources import NAMESPACES, PODS, RESOURCES, Resource
from kubelab.cluster.times import timestamp

FINALIZER = "kubernetes"
LOOK_AGAIN = 5.0  # seconds; a pod that goes is seen at once

# Type, and reason and message while there is nothing to report.
CONDITIONS = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


@dataclass
class Remaining:
    """What is left in the namespace after a round."""

    instances: dict[str, int] = field(default_factory=dict)  # by resource: `pods.`, `replicasets.apps`
    finalizers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.instances or self.failures)

    def problems(self) -> dict[str, tuple[str, str]]:
        """Conditions that are true, with reason and message."""
        found = {}
        if self.failures:
            message = f"Failed to delete all resource types, {len(self.failures)} remaining: {', '.join(self.failures)}"
            found["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", message)
        if self.instances:
            each = ", ".join(f"{what} has {count} resource instances" for what, count in sorted(self.instances.items()))
            found["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {each}")
        if self.finalizers:
            each = ", ".join(f"{what} in {count} resource instances" for what, count in sorted(self.finalizers.items()))
            message = f"Some content in the namespace has finalizers remaining: {each}"
            found["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
        return found


class NamespaceController(Controller):
    name = "namespace-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.namespaces = context.informers.of(NAMESPACES)
        self.namespaces.add_handler(self.enqueue, lambda old, new: self.enqueue(new))
        context.informers.of(PODS).add_handler(on_delete=self._pod_gone)

    def _pod_gone(self, pod: Object) -> None:
        namespace = self.namespaces.get(None, pod["metadata"]["namespace"])
        if namespace is not None and is_terminating(namespace):
            self.enqueue(namespace)

    async def sync(self, key: Key) -> None:
        cached = self.namespaces.get(*key)
        if cached is None or not is_terminating(cached):
            return
        try:
            namespace = await self.client.get(NAMESPACES, key[1])
        except NotFound:
            return
        if FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return  # another finalizer's owner has the last word
        remaining = await self._delete_content(key[1])
        namespace = await self._report(namespace, remaining)
        if remaining:
            self.queue.add_after(key, LOOK_AGAIN)
            return
        finalizers = [name for name in namespace["spec"]["finalizers"] if name != FINALIZER]
        released = {**namespace, "spec": {**namespace["spec"], "finalizers": finalizers}}
        await self.client.update(NAMESPACES, released, "finalize")

    async def _delete_content(self, namespace: str) -> Remaining:
        remaining = Remaining()
        await self._delete_all(PODS, namespace, remaining)
        if remaining:
            return remaining
        for resource in RESOURCES:
            if resource.namespaced and "deletecollection" in resource.verbs:
                await self._delete_all(resource, namespace, remaining)
        return remaining

    async def _delete_all(self, resource: Resource, namespace: str, remaining: Remaining) -> None:
        """Delete every object of one resource, and note what is still there."""
        try:
            left = (await self.client.list(resource, namespace))["items"]
            if left:
                await self.client.delete_collection(resource, namespace, propagation_policy="Background")
                left = (await self.client.list(resource, namespace))["items"]
        except APIError as error:
            remaining.failures.append(f"{resource.qualified}: {error}")
            return
        if left:
            remaining.instances[f"{resource.plural}.{resource.group}"] = len(left)
        for obj in left:
            for finalizer in obj["metadata"].get("finalizers") or ():
                remaining.finalizers[finalizer] = remaining.finalizers.get(finalizer, 0) + 1

    async def _report(self, namespace: Object, remaining: Remaining) -> Object:
        """Write the conditions where they changed; a condition keeps its time until its status changes."""
        status = namespace.get("status", {})
        existing = {c["type"]: c for c in status.get("conditions") or ()}
        problems = remaining.problems()
        conditions = [c for kind, c in existing.items() if kind not in CONDITIONS]
        for kind, (reason, message) in CONDITIONS.items():
            truth = "True" if kind in problems else "False"
            reason, message = problems.get(kind, (reason, message))
            same = existing.get(kind, {}).get("status") == truth
            since = existing[kind]["lastTransitionTime"] if same else timestamp(self.clock.now())
            conditions.append(
                {"type": kind, "status": truth, "lastTransitionTime": since, "reason": reason, "message": message}
            )
        if status.get("phase") == "Terminating" and status.get("conditions") == conditions:
            return namespace
        new = {**namespace, "status": {**status, "phase": "Terminating", "conditions": conditions}}
        return await self.client.update(NAMESPACES, new, "status")
