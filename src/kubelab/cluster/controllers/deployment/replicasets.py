"""A deployment's ReplicaSets: which is the new one, which are old, what a new one looks like, and their revisions.

Upstream: pkg/controller/deployment/util/deployment_util.go, getNewReplicaSet in sync.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.controllers.deployment.strategy import max_surge
from kubelab.cluster.controllers.hashing import content_hash
from kubelab.cluster.controllers.ownership import controller_reference

Object = dict[str, Any]

HASH_LABEL = "pod-template-hash"
PREFIX = "deployment.kubernetes.io/"
REVISION, REVISION_HISTORY = PREFIX + "revision", PREFIX + "revision-history"
DESIRED_REPLICAS, MAX_REPLICAS = PREFIX + "desired-replicas", PREFIX + "max-replicas"
LONGEST_HISTORY = 2000  # characters
NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
}


def annotations(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def revision(obj: Object) -> int:
    """The revision annotation as a number; 0 where there is none."""
    try:
        return int(annotations(obj).get(REVISION, 0))
    except ValueError:
        return 0


def age(replica_set: Object) -> tuple[str, str]:
    """Sorts oldest first."""
    metadata = replica_set["metadata"]
    return metadata.get("creationTimestamp") or "", metadata["name"]


def template_without_hash(template: Object) -> Object:
    metadata = dict(template.get("metadata") or {})
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}


def find_new(deployment: Object, replica_sets: list[Object]) -> Object | None:
    """The oldest ReplicaSet with the deployment's own template: an undone rollout finds its former one again."""
    wanted = template_without_hash(deployment["spec"]["template"])
    for replica_set in sorted(replica_sets, key=age):
        if template_without_hash(replica_set["spec"]["template"]) == wanted:
            return replica_set
    return None


def template_hash(deployment: Object) -> str:
    """Names the template; after a collision `status.collisionCount` gives it another name."""
    collisions = deployment.get("status", {}).get("collisionCount", 0)
    template = deployment["spec"]["template"]
    return content_hash([template, collisions] if collisions else [template])


def make_new(deployment: Object, new_revision: int, replicas: int) -> Object:
    """The ReplicaSet for the deployment's template, named and labelled after the template's hash."""
    spec, metadata = deployment["spec"], deployment["metadata"]
    label = {HASH_LABEL: template_hash(deployment)}
    template = template_without_hash(spec["template"])
    template_metadata = template["metadata"]
    labels = {**template_metadata["labels"], **label}
    selector = {**spec["selector"], "matchLabels": {**(spec["selector"].get("matchLabels") or {}), **label}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{label[HASH_LABEL]}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {
                **_copied(deployment),
                REVISION: str(new_revision),
                **replica_annotations(deployment),
            },
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": selector,
            "template": {**template, "metadata": {**template_metadata, "labels": labels}},
        },
    }


def replica_annotations(deployment: Object) -> dict[str, str]:
    """What the deployment was sized when the ReplicaSet was: by it a change of size is told from a rollout."""
    desired = deployment["spec"]["replicas"]
    return {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(desired + max_surge(deployment))}


def annotations_of_existing(deployment: Object, replica_set: Object, new_revision: int) -> dict[str, str]:
    """The annotations that the new ReplicaSet should have: the deployment's, and the highest revision.

    A ReplicaSet that was rolled back to keeps its former revisions in the history.
    """
    old = annotations(replica_set)
    new = {**old, **_copied(deployment)}
    if revision(replica_set) < new_revision:
        new[REVISION] = str(new_revision)
        if REVISION in old:
            new[REVISION_HISTORY] = _history(old.get(REVISION_HISTORY, ""), old[REVISION])
    return new


def _history(before: str, revision: str) -> str:
    """The revisions that the ReplicaSet has had, the oldest left out where they become too many."""
    revisions = [*filter(None, before.split(",")), revision]
    while len(",".join(revisions)) > LONGEST_HISTORY:
        revisions.pop(0)
    return ",".join(revisions)


def _copied(deployment: Object) -> dict[str, str]:
    return {key: value for key, value in annotations(deployment).items() if key not in NOT_COPIED}
