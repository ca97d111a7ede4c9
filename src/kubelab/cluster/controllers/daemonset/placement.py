"""Where a DaemonSet's pods belong, and what makes a pod belong to one node.

Upstream: NodeShouldRunDaemonPod in pkg/controller/daemon/daemon_controller.go, pkg/controller/daemon/util.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.pods import node_name
from kubelab.cluster.selectors import map_matches, node_selector_matches
from kubelab.cluster.taints import find_untolerated

Object = dict[str, Any]

HASH, GENERATION = "controller-revision-hash", "pod-template-generation"  # labels of a pod
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"  # annotation of a DaemonSet
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
# What happens to nodes does not drive their daemons away.
NO_EXECUTE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
NO_SCHEDULE = tuple(
    f"node.kubernetes.io/{what}" for what in ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
)
HOST_NETWORK_ONLY = "node.kubernetes.io/network-unavailable"


def fits(daemon_set: Object, node: Object) -> tuple[bool, bool]:
    """(whether a pod should be started on the node, whether one that runs there may stay)."""
    spec = daemon_set["spec"]["template"]["spec"]
    if spec.get("nodeName") and spec["nodeName"] != node["metadata"]["name"]:
        return False, False
    if not _selects(spec, node):
        return False, False
    taints = [t for t in node["spec"].get("taints") or () if t["effect"] in ("NoSchedule", "NoExecute")]
    tolerated = tolerations(spec)
    if find_untolerated(taints, tolerated) is None:
        return True, True
    return False, find_untolerated([t for t in taints if t["effect"] == "NoExecute"], tolerated) is None


def _selects(spec: Object, node: Object) -> bool:
    """The template's nodeSelector and required node affinity, as the scheduler reads them."""
    if not map_matches(spec.get("nodeSelector") or {}, node["metadata"].get("labels")):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get(REQUIRED)
    return required is None or node_selector_matches(required.get("nodeSelectorTerms") or [], node)


def tolerations(spec: Object) -> list[Object]:
    """The template's own tolerations and those that every daemon has."""
    result = list(spec.get("tolerations") or ())
    added = [_tolerate(key, "NoExecute") for key in NO_EXECUTE] + [_tolerate(key, "NoSchedule") for key in NO_SCHEDULE]
    if spec.get("hostNetwork"):
        added.append(_tolerate(HOST_NETWORK_ONLY, "NoSchedule"))
    same = ("key", "operator", "effect", "value")
    for toleration in added:
        at = next((i for i, t in enumerate(result) if all(t.get(f) == toleration.get(f) for f in same)), None)
        if at is None:
            result.append(toleration)
        else:
            result[at] = toleration
    return result


def _tolerate(key: str, effect: str) -> Object:
    return {"key": key, "operator": "Exists", "effect": effect}


def pod_template(daemon_set: Object, node: str, revision_hash: str) -> Object:
    """The template of the pod for one node: the default scheduler binds it, and can bind it nowhere else."""
    template = daemon_set["spec"]["template"]
    metadata, spec = template.get("metadata") or {}, template["spec"]
    labels = {**(metadata.get("labels") or {}), GENERATION: template_generation(daemon_set), HASH: revision_hash}
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    pinned = {**affinity, "nodeAffinity": {**node_affinity, REQUIRED: {"nodeSelectorTerms": terms}}}
    return {
        "metadata": {**metadata, "labels": labels},
        "spec": {**spec, "affinity": pinned, "tolerations": tolerations(spec)},
    }


def target_node(pod: Object) -> str:
    """The node that the pod is on or was made for; "" for one that was adopted and waits for a node."""
    if node_name(pod):
        return node_name(pod)
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    for term in (affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In" and len(field["values"]) == 1:
                return field["values"][0]
    return ""


def template_generation(daemon_set: Object) -> str:
    return (daemon_set["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "")


def is_updated(pod: Object, daemon_set: Object, revision_hash: str) -> bool:
    """Whether the pod was made from the template as it is now."""
    labels, generation = pod["metadata"].get("labels") or {}, template_generation(daemon_set)
    return labels.get(HASH) == revision_hash or (bool(generation) and labels.get(GENERATION) == generation)
