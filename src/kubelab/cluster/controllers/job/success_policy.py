"""Whether enough of an indexed job is done, by its `successPolicy`, though not all is.

Upstream: pkg/controller/job/success_policy.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.controllers.job import indexes

Object = dict[str, Any]


def matched_rule(job: Object, done: set[int]) -> str:
    """`Matched rules at index 0`, or "" where no rule is met."""
    if not done:
        return ""
    for index, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or ()):
        if _is_met(rule, done, job["spec"]["completions"]):
            return f"Matched rules at index {index}"
    return ""


def _is_met(rule: Object, done: set[int], completions: int) -> bool:
    count = rule.get("succeededCount")
    if "succeededIndexes" not in rule:
        return count is not None and len(done) >= count
    wanted = indexes.parse(rule["succeededIndexes"], completions)
    reached = len(wanted & done)
    return bool(wanted) and (reached == len(wanted) or (count is not None and reached >= count))
