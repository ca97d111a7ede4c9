"""The subresource `ephemeralcontainers` of a pod: containers may be added to it, and nothing else.

Upstream: ValidatePodEphemeralContainersUpdate and validateEphemeralContainers in pkg/apis/core/validation, whose
messages end in a line break (a diff follows there).
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver.fielderrors import FieldError, duplicate, forbidden, not_found
from kubelab.cluster.apiserver.validation import container as rules

Object = dict[str, Any]
PATH = "spec.ephemeralContainers"
ALLOWED = frozenset(
    {
        *("name", "image", "command", "args", "workingDir", "envFrom", "env", "volumeMounts", "volumeDevices"),
        *("terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext"),
        *("stdin", "stdinOnce", "tty", "targetContainerName", "resources", "restartPolicy", "resizePolicy"),
    }
)


def ephemeral_update(obj: Object, old: Object) -> list[FieldError]:
    """Those that are there stay as they are; new ones have names of their own and none of a container's duties."""
    wanted = obj["spec"].get("ephemeralContainers") or []
    before = {c["name"]: c for c in old["spec"].get("ephemeralContainers") or []}
    problems = _containers(obj["spec"], wanted)
    for index, container in enumerate(wanted):
        known = before.pop(container.get("name", ""), None)
        if known is not None and known != container:
            text = f'existing ephemeral containers "{container["name"]}" may not be changed\n'
            problems.append(forbidden(f"{PATH}[{index}]", text))
    return problems + [
        forbidden(PATH, f'existing ephemeral containers "{name}" may not be removed\n') for name in before
    ]


def _containers(spec: Object, wanted: list[Object]) -> list[FieldError]:
    own = [c["name"] for field in ("containers", "initContainers") for c in spec.get(field) or ()]
    mountable = {volume["name"] for volume in spec.get("volumes") or ()}
    problems: list[FieldError] = []
    names = set(own)
    for index, container in enumerate(wanted):
        path = f"{PATH}[{index}]"
        problems += rules.container(container, path, mountable, init=False)
        if container.get("name") in names:
            problems.append(duplicate(f"{path}.name", container["name"]))
        names.add(container.get("name", ""))
        target = container.get("targetContainerName")
        if target and target not in own:
            problems.append(not_found(f"{path}.targetContainerName", target))
        problems += _duties(container, path)
    return problems


def _duties(container: Object, path: str) -> list[FieldError]:
    fields = [field for field, value in container.items() if field not in ALLOWED and value]
    fields += [field for field in ("resources",) if container.get(field)]
    problems = [forbidden(f"{path}.{field}", "cannot be set for an Ephemeral Container") for field in sorted(fields)]
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                where = f"{path}.volumeMounts[{index}].{field}"
                problems.append(forbidden(where, "cannot be set for an Ephemeral Container"))
    return problems
