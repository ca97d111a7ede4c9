"""Job policies and limits, in upstream's words. Cases after pkg/apis/batch/validation/validation_test.go."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.validation.jobindexes import IndexesError, count_indexes
from kubelab.cluster.resources import CRONJOBS, JOBS

from .refusals import refusal

POLICY = "spec.podFailurePolicy.rules"
SUCCESS = "spec.successPolicy.rules"
CODES = {"operator": "In", "values": [1]}
NEVER = "spec.template.spec.restartPolicy"


def job(*, restart: str = "Never", **spec: Any) -> dict[str, Any]:
    pod = {"restartPolicy": restart, "containers": [{"name": "c", "image": "i"}]}
    return {"metadata": {"name": "j"}, "spec": {**spec, "template": {"spec": pod}}}


def indexed(completions: int = 5, **spec: Any) -> dict[str, Any]:
    return job(completionMode="Indexed", completions=completions, **spec)


def failing(*rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return job(podFailurePolicy={"rules": list(rules)}, **spec)


def on_exit(**codes: Any) -> dict[str, Any]:
    return failing({"action": "FailJob", "onExitCodes": {**CODES, **codes}})


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (failing({"onExitCodes": CODES}), '[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob"'),
        (failing({"action": "Retry", "onExitCodes": CODES}), '[0].action: Unsupported value: "Retry": supported'),
        (
            failing({"action": "FailIndex", "onExitCodes": CODES}),
            '[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
        ),
        (
            failing({"action": "Count"}),
            "[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        ),
        (
            failing({"action": "Count", "onExitCodes": CODES, "onPodConditions": [{"type": "DisruptionTarget"}]}),
            "[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
        ),
        (
            failing({"action": "Count", "onPodConditions": [{"type": "X", "status": "Maybe"}]}),
            '[0].onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
        ),
        (
            failing({"action": "Count", "onPodConditions": [{"type": "a b"}]}),
            "[0].onPodConditions[0].type: Invalid value: ",
        ),
        (
            failing({"action": "Count", "onPodConditions": [{"type": "X"}] * 21}),
            "[0].onPodConditions: Too many: 21: must have at most 20 items",
        ),
        (failing(*[{"action": "Count", "onExitCodes": CODES}] * 21), ": Too many: 21: must have at most 20 items"),
        (on_exit(operator=None), '[0].onExitCodes.operator: Required value: valid values: ["In" "NotIn"]'),
        (on_exit(operator="Above"), '[0].onExitCodes.operator: Unsupported value: "Above": supported values: "In"'),
        (on_exit(containerName="x"), '[0].onExitCodes.containerName: Invalid value: "x": must be one of the container'),
        (on_exit(values=[]), "[0].onExitCodes.values: Invalid value: []int32"),
        (on_exit(values=list(range(1, 257))), "[0].onExitCodes.values: Too many: 256: must have at most 255 items"),
        (on_exit(values=[0, 1]), "[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"),
        (on_exit(values=[2, 2]), "[0].onExitCodes.values[1]: Duplicate value: 2"),
        (on_exit(values=[12, 3]), "[0].onExitCodes.values: Invalid value: []int32{12, 3}: must be ordered"),
    ],
)
def test_what_a_pod_failure_policy_may_not_be(registry: Registry, made: dict[str, Any], expected: str):
    (problem,) = refusal(registry, JOBS, made)
    assert problem.startswith(POLICY + expected)


def test_a_pod_failure_policy_asks_for_pods_that_are_not_restarted_nor_replaced_early(registry: Registry):
    made = failing({"action": "Count", "onExitCodes": CODES}, restart="OnFailure")
    text = 'only "Never" is supported when podFailurePolicy is specified'
    assert refusal(registry, JOBS, made) == [f'{NEVER}: Invalid value: "OnFailure": {text}']
    made = failing({"action": "Count", "onExitCodes": CODES}, podReplacementPolicy="TerminatingOrFailed")
    wrong = 'Unsupported value: "TerminatingOrFailed": supported values: "Failed"'
    assert refusal(registry, JOBS, made) == [f"spec.podReplacementPolicy: {wrong}"]


def test_a_policy_that_is_right(registry: Registry):
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0, 3], "containerName": "c"}},
    ]
    made = registry.create(JOBS, failing(*rules), "default")
    pattern = {"type": "DisruptionTarget", "status": "True"}
    assert made["spec"]["podFailurePolicy"]["rules"][0]["onPodConditions"] == [pattern]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], ": Required value: at least one rules must be specified when the successPolicy is specified"),
        ([{"succeededCount": 1}] * 21, ": Too many: 21: must have at most 20 items"),
        ([{}], "[0]: Required value: at least one of succeededCount or succeededIndexes must be specified"),
        ([{"succeededCount": -1}], "[0].succeededCount: Invalid value: -1: must be greater than or equal to 0"),
        (
            [{"succeededCount": 6}],
            "[0].succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified"
            " completions)",
        ),
        (
            [{"succeededCount": 4, "succeededIndexes": "0-2"}],
            "[0].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of indexes in the"
            " specified succeededIndexes field)",
        ),
        (
            [{"succeededIndexes": "3,1"}],
            '[0].succeededIndexes: Invalid value: "3,1": error parsing succeededIndexes: non-increasing order,'
            " previous: 3, current: 1",
        ),
    ],
)
def test_what_a_success_policy_may_not_be(registry: Registry, rules: list[Any], expected: str):
    assert refusal(registry, JOBS, indexed(successPolicy={"rules": rules})) == [SUCCESS + expected]


def test_a_success_policy_is_of_an_indexed_job(registry: Registry):
    (problem,) = refusal(registry, JOBS, job(successPolicy={"rules": [{"succeededCount": 1}]}))
    assert problem.startswith("spec.successPolicy: Invalid value: batch.SuccessPolicy{")
    assert problem.endswith(": requires indexed completion mode")
    assert registry.create(JOBS, indexed(successPolicy={"rules": [{"succeededIndexes": "0,2-4"}]}), "default")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a", 'cannot convert string to integer for index: "a"'),
        ("1-2-3", 'the fragment "1-2-3" violates the requirement that an index interval can have at most two parts'),
        ("5", 'too large index: "5"'),
        ("2-2", "non-increasing order, previous: 2, current: 2"),
        ("0-2,2", "non-increasing order, previous: 2, current: 2"),
        ("1,", 'cannot convert string to integer for index: ""'),
    ],
)
def test_what_indexes_may_not_be(text: str, problem: str):
    with pytest.raises(IndexesError) as error:
        count_indexes(text, 5)
    assert str(error.value).startswith(problem)


@pytest.mark.parametrize(("text", "count"), [("", 0), ("0", 1), ("0-2,4", 4)])
def test_how_many_indexes_a_text_names(text: str, count: int):
    assert count_indexes(text, 5) == count


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (job(managedBy=""), ["spec.managedBy: Required value"]),
        (
            job(managedBy="me"),
            ['spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")'],
        ),
        (job(managedBy=f"example.com/{'x' * 60}"), ["spec.managedBy: Too long: may not be more than 63 bytes"]),
        (
            indexed(maxFailedIndexes=1),
            ["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"],
        ),
        (
            job(backoffLimitPerIndex=1),
            ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"],
        ),
        (
            indexed(backoffLimitPerIndex=1, maxFailedIndexes=6),
            ["spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"],
        ),
        (
            indexed(parallelism=100_001),
            [
                "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is"
                " Indexed"
            ],
        ),
        (
            indexed(100_001, backoffLimitPerIndex=1),
            ["spec.maxFailedIndexes: Required value: must be specified when completions is above 100000"],
        ),
        (
            indexed(100_001, backoffLimitPerIndex=1, maxFailedIndexes=10_001, parallelism=10_001),
            [
                f"spec.{field}: Invalid value: 10001: must be less than or equal to 10000 when completions are above"
                " 100000 and used with backoff limit per index"
                for field in ("parallelism", "maxFailedIndexes")
            ],
        ),
        (
            job(podReplacementPolicy="Never"),
            [
                'spec.podReplacementPolicy: Unsupported value: "Never": supported values: "Failed",'
                ' "TerminatingOrFailed"'
            ],
        ),
    ],
)
def test_limits_of_a_job(registry: Registry, made: dict[str, Any], expected: list[str]):
    assert refusal(registry, JOBS, made) == expected


def test_the_jobs_of_a_cronjob_are_held_to_the_same(registry: Registry):
    template = {"spec": failing({"action": "Count"})["spec"]}
    cron = {"metadata": {"name": "c"}, "spec": {"schedule": "@daily", "jobTemplate": template}}
    assert refusal(registry, CRONJOBS, cron) == [
        "spec.jobTemplate.spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and"
        " OnPodConditions is required"
    ]


@pytest.mark.parametrize("zone", ["../etc/passwd", "-Europe/Berlin", "Europe//Berlin", "Europe/TheVeryLongNameOfATown"])
def test_names_that_are_no_time_zones(registry: Registry, zone: str):
    spec = {"schedule": "@daily", "timeZone": zone, "jobTemplate": {"spec": job()["spec"]}}
    assert refusal(registry, CRONJOBS, {"metadata": {"name": "c"}, "spec": spec}) == [
        f'spec.timeZone: Invalid value: "{zone}": unknown time zone {zone}'
    ]


def test_a_zone_in_the_schedule_is_read_before_it_is_refused(registry: Registry):
    spec = {"schedule": "TZ=Mars * * * * *", "timeZone": "UTC", "jobTemplate": {"spec": job()["spec"]}}
    found = refusal(registry, CRONJOBS, {"metadata": {"name": "c"}, "spec": spec})
    assert [problem.split('*": ')[1] for problem in found] == [
        "provided bad location Mars: unknown time zone Mars",
        "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
    ]
