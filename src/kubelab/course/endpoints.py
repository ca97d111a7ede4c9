"""Which pods a service sends its requests to, as its EndpointSlices say.

Upstream: staging/src/k8s.io/api/discovery/v1/types.go, Endpoint; an endpoint without the condition counts as ready.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from kubernetes import client

from .tables import Table
from .waiting import until

if TYPE_CHECKING:
    from .lab import Lab


def table(lab: Lab, service: str) -> Table:
    """One row a pod behind the service: POD, READY."""
    listed = client.DiscoveryV1Api(lab.k8s).list_namespaced_endpoint_slice(
        lab.namespace, label_selector=_selector(service), _preload_content=False
    )
    found = readiness(json.loads(listed.data)["items"])
    command = f"kubectl -n {lab.namespace} describe endpointslices -l {_selector(service)}"
    rows = [(name, str(ready).lower()) for name, ready in sorted(found.items())]
    return Table(["POD", "READY"], rows, command, empty="No endpoints")


def wait_for(lab: Lab, service: str, ready: Collection[str], timeout: float = 30) -> None:
    """Wait until exactly these pods get the service's requests. NotInTime after `timeout` seconds."""
    words = f"service/{service}: requests go to {' and '.join(sorted(ready)) or 'no pod'}"
    until(
        client.DiscoveryV1Api(lab.k8s).list_namespaced_endpoint_slice,
        lab.namespace,
        condition=lambda slices: {name for name, good in readiness(slices).items() if good} == set(ready),
        what=words,
        timeout=timeout,
        label_selector=_selector(service),
    )
    print(words)


def readiness(slices: list[dict[str, Any]]) -> dict[str, bool]:
    """For each pod in the slices, whether it is ready for requests."""
    return {
        endpoint["targetRef"]["name"]: (endpoint.get("conditions") or {}).get("ready") is not False
        for found in slices
        for endpoint in found.get("endpoints") or []
        if "targetRef" in endpoint
    }


def _selector(service: str) -> str:
    return f"kubernetes.io/service-name={service}"
