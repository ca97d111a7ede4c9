"""What a pod may be: its spec, in the order in which upstream looks at it. What may change later: `podupdate.py`.

Upstream: pkg/apis/core/validation/validation.go (ValidatePodSpec, ValidatePodCreate).
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.apiserver import names, objectmeta
from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, required
from kubelab.cluster.apiserver.validation import affinity, securitycontext, volume
from kubelab.cluster.apiserver.validation import container as rules
from kubelab.cluster.apiserver.validation.common import ip_address, label_name, one_of, optional

Object = dict[str, Any]
RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
NAMES = (
    ("serviceAccountName", names.dns1123_subdomain),
    ("nodeName", names.dns1123_subdomain),
    ("hostname", names.dns1123_label),
    ("subdomain", names.dns1123_label),
)


def pod(obj: Object) -> list[FieldError]:
    """A pod that is made."""
    spec = obj["spec"]
    problems = pod_and_containers(obj)
    if spec.get("ephemeralContainers"):
        problems.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        problems.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return problems


def pod_and_containers(obj: Object) -> list[FieldError]:
    """What holds for a pod whenever it is written, and more than for a template (validatePodMetadataAndSpec)."""
    spec = obj["spec"]
    problems = annotations(obj["metadata"], "metadata.annotations") + pod_spec(spec, "spec", of_pod=True)
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            problems += rules.trimmed_image(container, f"spec.{field}[{index}]")
    return problems


def annotations(metadata: Object, path: str) -> list[FieldError]:
    """The annotations that mean something (ValidatePodSpecificAnnotations)."""
    cost = (metadata.get("annotations") or {}).get(DELETION_COST)
    if cost is None:
        return []
    plain = cost.removeprefix("-")
    if plain.isdigit() and (plain == "0" or not plain.startswith("0")) and -(2**31) <= int(cost) < 2**31:
        return []
    return [invalid(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer")]


def pod_spec(spec: Object, path: str, *, of_pod: bool = False) -> list[FieldError]:
    """The rules of a pod's spec, at `path` ("spec" or "spec.template.spec")."""
    mountable, problems = volume.volumes(spec.get("volumes") or [], f"{path}.volumes")
    surroundings = rules.Surroundings(
        mountable,
        spec.get("restartPolicy") or "",
        spec.get("terminationGracePeriodSeconds"),
        spec.get("hostUsers") is not False,
    )
    regular = spec.get("containers") or []
    problems += rules.containers(regular, f"{path}.containers", surroundings)
    inits = spec.get("initContainers") or []
    problems += rules.init_containers(inits, regular, f"{path}.initContainers", surroundings)
    ephemeral = spec.get("ephemeralContainers") or []
    problems += rules.ephemeral_containers(ephemeral, spec, f"{path}.ephemeralContainers", surroundings)
    return problems + _host_network(spec, path, of_pod) + _settings(spec, path) + _scheduling(spec, path)


def _settings(spec: Object, path: str) -> list[FieldError]:
    return [
        *one_of(spec.get("restartPolicy"), RESTART_POLICIES, f"{path}.restartPolicy"),
        *one_of(spec.get("dnsPolicy"), DNS_POLICIES, f"{path}.dnsPolicy"),
        *objectmeta.labels(spec.get("nodeSelector"), f"{path}.nodeSelector"),
        *securitycontext.pod(spec.get("securityContext") or {}, spec, f"{path}.securityContext"),
        *affinity.affinity(spec.get("affinity") or {}, f"{path}.affinity"),
        *_dns(spec, f"{path}.dnsConfig"),
    ]


def _scheduling(spec: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        problems += label_name(gate.get("conditionType") or "", f"{path}.readinessGates[{index}].conditionType")
    problems += affinity.scheduling_gates(spec.get("schedulingGates") or [], f"{path}.schedulingGates")
    constraints = spec.get("topologySpreadConstraints") or []
    problems += affinity.topology_spread(constraints, f"{path}.topologySpreadConstraints")
    problems += securitycontext.host_users(spec, path) + _names(spec, path)
    problems += affinity.tolerations(spec.get("tolerations") or [], f"{path}.tolerations")
    problems += _host_aliases(spec.get("hostAliases") or [], f"{path}.hostAliases")
    if spec.get("priorityClassName"):
        name = spec["priorityClassName"]
        problems += [invalid(f"{path}.priorityClassName", name, t) for t in names.dns1123_subdomain(name)]
    if spec.get("runtimeClassName") is not None:
        name = spec["runtimeClassName"]
        problems += [invalid(f"{path}.runtimeClassName", name, t) for t in names.dns1123_subdomain(name)]
    problems += optional(spec.get("preemptionPolicy"), PREEMPTION_POLICIES, f"{path}.preemptionPolicy")
    return problems + _overhead(spec.get("overhead") or {}, f"{path}.overhead")


def _names(spec: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for field, rule in NAMES:
        if field == "hostname":
            problems += _deadline(spec, path)
        if spec.get(field):
            problems += [invalid(f"{path}.{field}", spec[field], text) for text in rule(spec[field])]
    return problems


def _deadline(spec: Object, path: str) -> list[FieldError]:
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is None or 1 <= deadline <= 2**31 - 1:
        return []
    return [invalid(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")]


def _host_network(spec: Object, path: str, of_pod: bool) -> list[FieldError]:
    if not spec.get("hostNetwork"):
        return []
    problems: list[FieldError] = []
    for at, container in enumerate(spec.get("containers") or ()):
        for index, port in enumerate(container.get("ports") or ()):
            host, own = port.get("hostPort", 0), port.get("containerPort", 0)
            if (of_pod or host) and host != own:
                where = f"{path}.containers[{at}].ports[{index}].hostPort"
                problems.append(invalid(where, host, "must match `containerPort` when `hostNetwork` is true"))
    return problems


def _dns(spec: Object, path: str) -> list[FieldError]:
    """dnsConfig; with dnsPolicy None there must be one, with a nameserver (validatePodDNSConfig)."""
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{path}.nameservers", text)]
    servers, searches = ((config or {}).get(field) or [] for field in ("nameservers", "searches"))
    problems: list[FieldError] = []
    if len(servers) > 3:
        problems.append(invalid(f"{path}.nameservers", servers, "must not have more than 3 nameservers"))
    problems += [p for i, address in enumerate(servers) for p in ip_address(address, f"{path}.nameservers[{i}]")]
    if len(searches) > 32:
        problems.append(invalid(f"{path}.searches", searches, "must not have more than 32 search paths"))
    if len(" ".join(searches)) > 2048:
        text = "must not have more than 2048 characters (including spaces) in the search list"
        problems.append(invalid(f"{path}.searches", searches, text))
    for index, search in enumerate(searches):
        name = search.removesuffix(".") if search != "." else ""
        if search != ".":
            problems += [
                invalid(f"{path}.searches[{index}]", name, t) for t in names.dns1123_subdomain_underscore(name)
            ]
    for index, option in enumerate((config or {}).get("options") or ()):
        if not option.get("name"):
            problems.append(required(f"{path}.options[{index}]", "must not be empty"))
    return problems


def _host_aliases(aliases: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, alias in enumerate(aliases):
        problems += ip_address(alias.get("ip") or "", f"{path}[{index}].ip")
        for at, name in enumerate(alias.get("hostnames") or ()):
            where = f"{path}[{index}].hostnames[{at}]"
            problems += [invalid(where, name, text) for text in names.dns1123_subdomain(name)]
    return problems


def _overhead(amounts: Object, path: str) -> list[FieldError]:
    negative = [(name, amount) for name, amount in sorted(amounts.items()) if quantity.parse(amount) < 0]
    return [invalid(f"{path}[{name}]", amount, "must be greater than or equal to 0") for name, amount in negative]
