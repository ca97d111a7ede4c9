"""The subresource `ephemeralcontainers` of a pod: containers may be added to it, and nothing else.

Upstream: ValidatePodEphemeralContainersUpdate and validateEphemeralContainers in pkg/apis/core/validation, whose
messages end in a line break (a diff follows there).
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden
from kubelab.cluster.apiserver.validation.pod import pod_and_containers

Object = dict[str, Any]
PATH = "spec.ephemeralContainers"


def ephemeral_update(obj: Object, old: Object) -> list[FieldError]:
    """Those that are there stay as they are; new ones have names of their own and none of a container's duties."""
    wanted = obj["spec"].get("ephemeralContainers") or []
    before = {c["name"]: c for c in old["spec"].get("ephemeralContainers") or []}
    problems = pod_and_containers(obj)
    for index, container in enumerate(wanted):
        known = before.pop(container.get("name", ""), None)
        if known is not None and known != container:
            text = f'existing ephemeral containers "{container["name"]}" may not be changed\n'
            problems.append(forbidden(f"{PATH}[{index}]", text))
    return problems + [
        forbidden(PATH, f'existing ephemeral containers "{name}" may not be removed\n') for name in before
    ]
