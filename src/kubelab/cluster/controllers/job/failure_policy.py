"""What a failed pod means for its job, by the job's `podFailurePolicy`: the first rule that matches decides.

Upstream: pkg/controller/job/pod_failure_policy.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

FAIL_JOB, FAIL_INDEX, IGNORE = "FailJob", "FailIndex", "Ignore"


@dataclass(frozen=True)
class Verdict:
    """`action` is "" where no rule matched, which counts as a failure; `message` is said where the job fails."""

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        return self.action != IGNORE


def judge(job: Object, pod: Object) -> Verdict:
    """The verdict on a pod that has failed."""
    where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    for index, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or ()):
        matching = f"matching {rule['action']} rule at index {index}"
        if rule.get("onExitCodes"):
            found = _exit_code(pod, rule["onExitCodes"])
            if found is not None:
                words = f"Container {found[0]} for pod {where} failed with exit code {found[1]} {matching}"
                return Verdict(rule["action"], words)
        elif rule.get("onPodConditions"):
            kind = _condition(pod, rule["onPodConditions"])
            if kind:
                return Verdict(rule["action"], f"Pod {where} has condition {kind} {matching}")
    return Verdict()


def _exit_code(pod: Object, rule: Object) -> tuple[str, int] | None:
    """(container, exit code) of the first container that ended with a code that the rule means."""
    status = pod.get("status") or {}
    for container in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        ended = (container.get("state") or {}).get("terminated")
        if ended is None or not ended.get("exitCode"):
            continue
        if rule.get("containerName") not in (None, container["name"]):
            continue
        if (ended["exitCode"] in rule["values"]) == (rule["operator"] == "In"):
            return container["name"], ended["exitCode"]
    return None


def _condition(pod: Object, patterns: list[Object]) -> str:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        for pattern in patterns:
            if (condition["type"], condition["status"]) == (pattern["type"], pattern.get("status") or "True"):
                return condition["type"]
    return ""
