"""What upstream's API server warns of in a pod or a pod template that it takes all the same.

Upstream: pkg/api/pod/warnings.go, pkg/api/node/util.go (deprecated labels), and the strategies' own warning of names.
What this cluster does not honour is `coverage.py`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.apiserver import names

Object = dict[str, Any]
POD_NAMES = "Pod names and hostnames"
BYTES = ("memory", "ephemeral-storage")
LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
NO_SELECTOR = "a null labelSelector results in matching no pod"


def of_name(name: str, used: str) -> list[str]:
    """A name that is not a label's makes host names that surprise. `used`: "the Pod's hostname", "Pod names and …"."""
    wrong = names.dns1123_label(name)
    if not wrong:
        return []
    text = "which can result in surprising behavior; a DNS label is recommended"
    return [f"metadata.name: this is used in {used}, {text}: [{' '.join(wrong)}]"]


def of_pod(pod: Object, path: str = "") -> list[str]:
    """Of a pod, or with `path` ("spec.template") of a template."""
    spec, at = pod.get("spec") or {}, f"{path}.spec" if path else "spec"
    return [
        *_labels(spec, at),
        *_spread(spec, f"{at}.topologySpreadConstraints"),
        *(f"{where}: {VOLUMES[kind]}" for where, kind in _volumes(spec, at)),
        *_twice(spec.get("hostAliases"), "ip", f"{at}.hostAliases"),
        *_twice(spec.get("imagePullSecrets"), "name", f"{at}.imagePullSecrets"),
        *_empty_secrets(spec, at),
        *(text for where, c in _containers(spec, at) for text in _container(c, where)),
        *_ports(spec, at),
        *_grace(spec, at),
        *_affinity(spec.get("affinity") or {}, f"{at}.affinity"),
    ]


def _containers(spec: Object, path: str) -> Iterator[tuple[str, Object]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield f"{path}.{field}[{index}]", container


def _labels(spec: Object, path: str) -> Iterator[str]:
    """Node labels that have other names now."""
    for key in spec.get("nodeSelector") or ():
        if key in LABELS:
            yield f"{path}.nodeSelector[{key}]: {LABELS[key]}"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    where = f"{path}.affinity.nodeAffinity"
    terms = [
        (f"{where}.{REQUIRED}.nodeSelectorTerms[{i}]", term)
        for i, term in enumerate((affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ())
    ]
    preferred = enumerate(affinity.get(PREFERRED) or ())
    terms += [(f"{where}.{PREFERRED}[{i}].preference", term.get("preference") or {}) for i, term in preferred]
    for at, term in terms:
        for index, expression in enumerate(term.get("matchExpressions") or ()):
            if (key := expression.get("key")) in LABELS:
                yield f"{at}.matchExpressions[{index}].key: {key} is {LABELS[key]}"


def _spread(spec: Object, path: str) -> Iterator[str]:
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        if (key := constraint.get("topologyKey")) in LABELS:
            yield f"{path}[{index}].topologyKey: {key} is {LABELS[key]}"
        if "labelSelector" not in constraint:
            yield f"{path}[{index}].labelSelector: {NO_SELECTOR}"


def _volumes(spec: Object, path: str) -> Iterator[tuple[str, str]]:
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from ((f"{path}.volumes[{index}].{kind}", kind) for kind in VOLUMES if kind in volume)


def _twice(items: list[Object] | None, field: str, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(items or ()):
        if item.get(field, "") in seen:
            yield f'{path}[{index}].{field}: duplicate {field} "{item.get(field, "")}"'
        seen.add(item.get(field, ""))


def _empty_secrets(spec: Object, path: str) -> Iterator[str]:
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'


def _container(container: Object, path: str) -> Iterator[str]:
    resources = container.get("resources") or {}
    for name in BYTES:
        for field in ("limits", "requests"):
            amount = (resources.get(field) or {}).get(name)
            if amount is not None and quantity.parse(amount) % 1:
                where = f"{path}.resources.{field}[{name}]"
                yield f'{where}: fractional byte value "{amount}" is invalid, must be an integer'
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        name, value = variable.get("name", ""), variable.get("value") or ""
        builds_on = f"$({name})" in value and value != f"$({name})" and "valueFrom" not in variable
        if name in seen and not builds_on:
            text = f'hides previous definition of "{name}", which may be dropped when using apply'
            yield f"{path}.env[{index}]: {text}"
        seen.add(name)


def _ports(spec: Object, path: str) -> Iterator[str]:
    """Ports that two containers, or one twice, say to have."""
    known: dict[tuple[Any, Any], list[tuple[str, Object]]] = {}
    for where, container in _containers(spec, path):
        for index, port in enumerate(container.get("ports") or ()):
            at = f"{where}.ports[{index}]"
            others = known.setdefault((port.get("containerPort"), port.get("protocol")), [])
            for other_at, other in others:
                if word := _clash(port, other):
                    yield f"{at}: {word} port definition with {other_at}"
            others.append((at, port))


def _clash(port: Object, other: Object) -> str:
    ip, other_ip = port.get("hostIP", ""), other.get("hostIP", "")
    number, other_number = port.get("hostPort", 0), other.get("hostPort", 0)
    if (ip, number) == (other_ip, other_number):
        return "duplicate"
    if not number or not other_number:
        return "overlapping"
    return "dangerously ambiguous" if number == other_number and bool(ip) != bool(other_ip) else ""


def _grace(spec: Object, path: str) -> Iterator[str]:
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{path}.terminationGracePeriodSeconds: {text}"


def _affinity(affinity: Object, path: str) -> Iterator[str]:
    for kind in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(kind) or {}
        for index, term in enumerate(found.get(REQUIRED) or ()):
            if "labelSelector" not in term:
                yield f"{path}.{kind}.{REQUIRED}[{index}].labelSelector: {NO_SELECTOR}"
        for index, term in enumerate(found.get(PREFERRED) or ()):
            if "labelSelector" not in (term.get("podAffinityTerm") or {}):
                yield f"{path}.{kind}.{PREFERRED}[{index}].podAffinityTerm.labelSelector: {NO_SELECTOR}"


def of_service(spec: Object) -> list[str]:
    """Of a service. Upstream: pkg/api/service/warnings.go."""
    found: list[str] = []
    external = spec.get("type") == "ExternalName"
    if spec.get("type") == "ClusterIP" and spec.get("clusterIP") == "None":
        ignored = [field for field in ("loadBalancerIP", "externalIPs") if spec.get(field)]
        ignored += ["SessionAffinity"] if spec.get("sessionAffinity") != "None" else []
        found += [f"spec.{field} is ignored for headless services" for field in ignored]
    if external and spec.get("externalIPs"):
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if not external and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    return found
