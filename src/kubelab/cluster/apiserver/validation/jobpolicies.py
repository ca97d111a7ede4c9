"""When a Job has failed or succeeded before all of its pods have: podFailurePolicy, successPolicy.

Upstream: pkg/apis/batch/validation/validation.go (validatePodFailurePolicy, validateSuccessPolicy).
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver.fielderrors import (
    FieldError,
    GoValue,
    duplicate,
    go_value,
    invalid,
    invalid_whole,
    not_supported,
    required,
    too_long,
    too_many,
)
from kubelab.cluster.apiserver.validation.common import at_least, label_name
from kubelab.cluster.apiserver.validation.jobindexes import IndexesError, count_indexes

Object = dict[str, Any]
MOST_RULES = 20
MOST_EXIT_CODES = 255
MOST_CONDITIONS = 20
LONGEST_INDEXES = 64 * 1024
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS = ("In", "NotIn")
STATUSES = ("False", "True", "Unknown")
FAILED_ONLY = ("Failed",)
REPLACEMENT = ("Failed", "TerminatingOrFailed")


def pod_replacement_policy(spec: Object, path: str) -> list[FieldError]:
    """Whose failures are judged is replaced when it has failed, not before."""
    policy = spec.get("podReplacementPolicy")
    choices = FAILED_ONLY if spec.get("podFailurePolicy") is not None else REPLACEMENT
    return [] if policy is None or policy in choices else [not_supported(path, policy, choices)]


# -- podFailurePolicy


def pod_failure_policy(spec: Object, path: str) -> list[FieldError]:
    """The rules of a policy, of which `spec`, the job's, has one."""
    rules = spec["podFailurePolicy"].get("rules") or []
    problems = [too_many(f"{path}.rules", len(rules), MOST_RULES)] if len(rules) > MOST_RULES else []
    for index, rule in enumerate(rules):
        problems += _failure_rule(spec, rule, f"{path}.rules[{index}]")
    return problems


def _failure_rule(spec: Object, rule: Object, path: str) -> list[FieldError]:
    action, codes, conditions = rule.get("action"), rule.get("onExitCodes"), rule.get("onPodConditions") or []
    problems = _choice(action, ACTIONS, f"{path}.action")
    if action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        problems.append(invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set"))
    if codes is not None:
        problems += _exit_codes(codes, _container_names(spec), f"{path}.onExitCodes")
    problems += _conditions(conditions, f"{path}.onPodConditions")
    if codes is not None and conditions:
        problems.append(invalid_whole(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not conditions:
        problems.append(invalid_whole(path, "specifying one of OnExitCodes and OnPodConditions is required"))
    return problems


def _choice(value: str | None, choices: tuple[str, ...], path: str) -> list[FieldError]:
    if not value:
        quoted = " ".join(f'"{choice}"' for choice in choices)
        return [required(path, f"valid values: [{quoted}]")]
    return [] if value in choices else [not_supported(path, value, choices)]


def _container_names(spec: Object) -> set[str]:
    pod = (spec.get("template") or {}).get("spec") or {}
    return {c.get("name", "") for field in ("containers", "initContainers") for c in pod.get(field) or ()}


def _exit_codes(codes: Object, containers: set[str], path: str) -> list[FieldError]:
    problems = _choice(codes.get("operator"), OPERATORS, f"{path}.operator")
    name = codes.get("containerName")
    if name is not None and name not in containers:
        text = "must be one of the container or initContainer names in the pod template"
        problems.append(invalid(f"{path}.containerName", name, text))
    values, where = codes.get("values") or [], f"{path}.values"
    if not values:
        problems.append(invalid(where, _int32s(codes.get("values")), "at least one value is required"))
    elif len(values) > MOST_EXIT_CODES:
        problems.append(too_many(where, len(values), MOST_EXIT_CODES))
    for index, value in enumerate(values):
        if codes.get("operator") == "In" and value == 0:
            problems.append(invalid(f"{where}[{index}]", value, "must not be 0 for the In operator"))
        if value in values[:index]:
            problems.append(duplicate(f"{where}[{index}]", value))
    if values != sorted(values):
        problems.append(invalid(where, _int32s(values), "must be ordered"))
    return problems


def _int32s(values: list[int] | None) -> GoValue:
    return GoValue("[]int32(nil)" if values is None else f"[]int32{{{', '.join(map(str, values))}}}")


def _conditions(conditions: list[Object], path: str) -> list[FieldError]:
    problems = [too_many(path, len(conditions), MOST_CONDITIONS)] if len(conditions) > MOST_CONDITIONS else []
    for index, pattern in enumerate(conditions):
        problems += label_name(pattern.get("type") or "", f"{path}[{index}].type")
        problems += _choice(pattern.get("status"), STATUSES, f"{path}[{index}].status")
    return problems


# -- successPolicy


def success_policy(spec: Object, path: str) -> list[FieldError]:
    """The rules of a policy, of which `spec`, the job's, has one."""
    policy = spec["successPolicy"]
    if spec.get("completionMode") != "Indexed":
        return [invalid(path, go_value("batch.SuccessPolicy", policy), "requires indexed completion mode")]
    rules, problems = policy.get("rules") or [], []
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        problems.append(required(f"{path}.rules", text))
    if len(rules) > MOST_RULES:
        problems.append(too_many(f"{path}.rules", len(rules), MOST_RULES))
    for index, rule in enumerate(rules):
        problems += _success_rule(rule, spec.get("completions") or 0, f"{path}.rules[{index}]")
    return problems


def _success_rule(rule: Object, completions: int, path: str) -> list[FieldError]:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        return [required(path, "at least one of succeededCount or succeededIndexes must be specified")]
    problems: list[FieldError] = []
    named = 0
    if indexes is not None:
        where = f"{path}.succeededIndexes"
        if len(indexes) > LONGEST_INDEXES:
            problems.append(too_long(where, LONGEST_INDEXES))
        try:
            named = count_indexes(indexes, completions)
        except IndexesError as error:
            problems.append(invalid(where, indexes, f"error parsing succeededIndexes: {error}"))
    if count is None:
        return problems
    problems += at_least(rule, "succeededCount", 0, path)
    limits = [(completions, "the number of specified completions")]
    limits += [(named, "the number of indexes in the specified succeededIndexes field")] if indexes is not None else []
    for limit, what in limits:
        if count > limit:
            text = f"must be less than or equal to {limit} ({what})"
            problems.append(invalid(f"{path}.succeededCount", count, text))
    return problems
