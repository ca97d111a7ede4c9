"""The config map `kube-root-ca.crt` in every namespace: by it a pod knows the API server.

Upstream: pkg/controller/certificates/rootcacertpublisher/publisher.go.
"""

from __future__ import annotations

from kubelab.cluster.client import AlreadyExists
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.informer import Key
from kubelab.cluster.resources import CONFIGMAPS, NAMESPACES

NAME = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class RootCAPublisher(Controller):
    """Keys are ("", namespace)."""

    name = "root-ca-cert-publisher"
    workers = 1

    def __init__(self, context: Context, root_ca: str) -> None:
        super().__init__(context)
        self.data = {"ca.crt": root_ca}
        self.namespaces = context.informers.of(NAMESPACES)
        self.config_maps = context.informers.of(CONFIGMAPS)
        self.namespaces.add_handler(self.enqueue, lambda old, new: self.enqueue(new))
        self.config_maps.add_handler(None, lambda old, new: self._changed(new), self._changed)

    def _changed(self, config_map: Object) -> None:
        if config_map["metadata"]["name"] == NAME:
            self.queue.add(("", config_map["metadata"]["namespace"]))

    async def sync(self, key: Key) -> None:
        namespace = self.namespaces.get(*key)
        if namespace is None or namespace.get("status", {}).get("phase") == "Terminating":
            return
        existing = self.config_maps.get(key[1], NAME)
        if existing is None:
            await self._create(key[1])
        elif existing.get("data") != self.data:
            await self.client.update(CONFIGMAPS, {**existing, "data": self.data})

    async def _create(self, namespace: str) -> None:
        metadata = {"name": NAME, "namespace": namespace, "annotations": {"kubernetes.io/description": DESCRIPTION}}
        try:
            await self.client.create(
                CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": self.data}
            )
        except AlreadyExists:
            return  # the cache is behind
