"""DaemonSets, revisions, Jobs and CronJobs as they are stored, and what is refused in upstream's words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubelab.cluster.apiserver import columns
from kubelab.cluster.apiserver.errors import StatusError
from kubelab.cluster.apiserver.registry import Options, Registry
from kubelab.cluster.resources import CONTROLLERREVISIONS, CRONJOBS, DAEMONSETS, JOBS, Resource

from .refusals import LABELS, TEMPLATE, changed, refusal

CONTAINERS = [{"name": "c", "image": "i"}]
RUN_ONCE = {"spec": {"restartPolicy": "Never", "containers": CONTAINERS}}
JOB = {"metadata": {"name": "j"}, "spec": {"template": RUN_ONCE}}
CRONJOB = {
    "metadata": {"name": "c"},
    "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": RUN_ONCE}}},
}
DAEMONSET = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}}
ROLLING = "spec.updateStrategy.rollingUpdate"


def create(registry: Registry, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    return registry.create(resource, copy.deepcopy(obj), "default")


def update_refusal(registry: Registry, resource: Resource, obj: dict[str, Any]) -> list[str]:
    with pytest.raises(StatusError) as error:
        registry.update(resource, obj["metadata"]["name"], obj, "default")
    return [f"{cause['field']}: {cause['message']}" for cause in error.value.body["details"]["causes"]]


# -- DaemonSets


def test_a_daemonset_as_it_is_stored(registry: Registry):
    made = create(registry, DAEMONSETS, DAEMONSET)
    assert made["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": "1"}
    assert made["spec"]["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
    }
    assert made["spec"]["revisionHistoryLimit"] == 10
    assert made["status"] == {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    }


def test_changes_of_the_template_are_counted(registry: Registry):
    made = create(registry, DAEMONSETS, DAEMONSET)
    made["metadata"]["annotations"] = {"deprecated.daemonset.template.generation": "77", "note": "x"}
    made = registry.update(DAEMONSETS, "d", made, "default")
    assert made["metadata"]["annotations"]["deprecated.daemonset.template.generation"] == "1"
    made["spec"]["template"]["spec"]["containers"][0]["image"] = "new"
    made = registry.update(DAEMONSETS, "d", made, "default")
    assert made["metadata"]["annotations"]["deprecated.daemonset.template.generation"] == "2"
    assert made["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("spec.template.spec.restartPolicy", "Never", 'Unsupported value: "Never": supported values: "Always"'),
        ("spec.template.spec.activeDeadlineSeconds", 5, "activeDeadlineSeconds in DaemonSet is not Supported"),
        (
            "spec.updateStrategy.type",
            "Recreate",
            'RollingUpdate:(*apps.RollingUpdateDaemonSet)(nil)}: supported values: "RollingUpdate", "OnDelete"',
        ),
        (f"{ROLLING}.maxUnavailable", 0, f"{ROLLING}.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"),
        (f"{ROLLING}.maxSurge", 1, "Invalid value: 1: may not be set when maxUnavailable is non-zero"),
        (f"{ROLLING}.maxSurge", "101%", "Invalid value: 101%: must not be greater than 100%"),
        ("spec.minReadySeconds", -1, "spec.minReadySeconds: Invalid value: -1"),
        ("spec.selector.matchLabels", {"app": "db"}, "`selector` does not match template `labels`"),
        ("spec.selector", {}, "empty selector is invalid for daemonset"),
    ],
)
def test_what_a_daemonset_may_not_be(registry: Registry, path: str, value: Any, expected: str):
    (problem,) = refusal(registry, DAEMONSETS, changed(DAEMONSET, path, value))
    assert expected in problem


def test_a_daemonsets_selector_stays(registry: Registry):
    made = create(registry, DAEMONSETS, DAEMONSET)
    made["spec"]["selector"]["matchLabels"] = {"app": "db"}
    made["spec"]["template"]["metadata"]["labels"] = {"app": "db"}
    (problem,) = update_refusal(registry, DAEMONSETS, made)
    assert problem.startswith("spec.selector: Invalid value: ")
    assert problem.endswith("field is immutable")


def test_a_revisions_data_stays_and_its_number_may_change(registry: Registry):
    revision = {"metadata": {"name": "r"}, "data": {"spec": {}}, "revision": 1}
    made = create(registry, CONTROLLERREVISIONS, revision)
    made["revision"] = 2
    made = registry.update(CONTROLLERREVISIONS, "r", made, "default")
    made["data"] = {"spec": {"other": 1}}
    (problem,) = update_refusal(registry, CONTROLLERREVISIONS, made)
    assert problem.startswith("data: Invalid value: ")
    assert refusal(registry, CONTROLLERREVISIONS, {"metadata": {"name": "s"}, "revision": 1}) == [
        "data: Required value: data is mandatory"
    ]


# -- Jobs


def test_a_job_as_it_is_stored(registry: Registry):
    made = create(registry, JOBS, JOB)
    uid = made["metadata"]["uid"]
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "j",
        "controller-uid": uid,
        "job-name": "j",
    }
    spec = {name: value for name, value in made["spec"].items() if name != "template"}
    assert spec == {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "completions": 1,
        "manualSelector": False,
        "parallelism": 1,
        "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
        "suspend": False,
    }
    assert made["spec"]["template"]["metadata"]["labels"] == labels
    assert made["metadata"]["labels"] == labels
    assert made["status"] == {}


def test_who_says_how_many_may_run_does_not_say_how_many_must_end(registry: Registry):
    assert "completions" not in create(registry, JOBS, changed(JOB, "spec.parallelism", 3))["spec"]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "spec.template.spec.restartPolicy",
            None,
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        ),
        ("spec.parallelism", -1, "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
        ("spec.ttlSecondsAfterFinished", -1, "spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater"),
        ("spec.completionMode", "Random", '"Random": supported values: "NonIndexed", "Indexed"'),
        ("spec.selector", {"matchLabels": {"a": "b"}}, "`selector` not auto-generated"),
        ("spec.template.metadata.labels", {"job-name": "x"}, "metadata.labels[job-name]: Invalid value: map[string]"),
    ],
)
def test_what_a_job_may_not_be(registry: Registry, path: str, value: Any, expected: str):
    assert expected in refusal(registry, JOBS, changed(JOB, path, value))[0]


def test_an_indexed_job_says_how_many(registry: Registry):
    spec = {"completionMode": "Indexed", "parallelism": 2, "template": RUN_ONCE}
    assert refusal(registry, JOBS, {"metadata": {"name": "j"}, "spec": spec}) == [
        "spec.completions: Required value: when completion mode is Indexed"
    ]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("spec.completions", 2, "spec.completions: Invalid value: 2: field is immutable"),
        ("spec.template.spec.containers.0.image", "new", "spec.template: Invalid value: core.PodTemplateSpec{"),
        ("spec.completionMode", "Indexed", 'spec.completionMode: Invalid value: "Indexed": field is immutable'),
        ("spec.managedBy", "example.com/x", 'spec.managedBy: Invalid value: "example.com/x": field is immutable'),
    ],
)
def test_what_of_a_job_stays(registry: Registry, path: str, value: Any, problem: str):
    made = changed(create(registry, JOBS, JOB), path, value)
    assert update_refusal(registry, JOBS, made)[0].startswith(problem)


@pytest.mark.parametrize(("field", "value"), [("parallelism", 0), ("backoffLimit", 1), ("suspend", True)])
def test_what_of_a_job_may_change(registry: Registry, field: str, value: Any):
    made = changed(create(registry, JOBS, JOB), f"spec.{field}", value)
    assert registry.update(JOBS, "j", made, "default")["metadata"]["generation"] == 2


def test_an_indexed_job_grows_in_tandem(registry: Registry):
    spec = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "template": RUN_ONCE}
    made = create(registry, JOBS, {"metadata": {"name": "j"}, "spec": spec})
    alone = changed(made, "spec.completions", 3)
    words = "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"
    assert update_refusal(registry, JOBS, alone) == [words]
    grown = registry.update(JOBS, "j", changed(alone, "spec.parallelism", 3), "default")
    assert grown["spec"]["completions"] == 3


def test_a_suspended_job_may_still_be_placed_elsewhere(registry: Registry):
    made = create(registry, JOBS, changed(JOB, "spec.suspend", True))
    made["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    assert registry.update(JOBS, "j", made, "default")["metadata"]["generation"] == 2


def test_a_suspended_jobs_pods_keep_their_company(registry: Registry):
    """Of the affinity only the node's may change (validatePodTemplateUpdate)."""
    made = create(registry, JOBS, changed(JOB, "spec.suspend", True))
    terms = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}
    (problem,) = update_refusal(registry, JOBS, changed(made, "spec.template.spec.affinity", {"podAffinity": terms}))
    assert problem.startswith("spec.template: Invalid value: core.PodTemplateSpec{")
    required = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}
    nodes = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    made = registry.update(JOBS, "j", changed(made, "spec.template.spec.affinity", nodes), "default")
    assert registry.update(JOBS, "j", changed(made, "spec.template.spec.affinity", None), "default")


def test_what_of_a_job_has_no_effect_is_told(registry: Registry):
    options = Options()
    registry.create(JOBS, changed(JOB, "spec.template.spec.runtimeClassName", "gvisor"), "default", options)
    reason = "there are no runtime classes, and a pod that names one is forbidden"
    assert options.warnings == [f"spec.template.spec.runtimeClassName: not honoured by this cluster: {reason}"]


# -- CronJobs


def test_a_cronjob_as_it_is_stored(registry: Registry):
    made = create(registry, CRONJOBS, CRONJOB)
    spec = {name: value for name, value in made["spec"].items() if name != "jobTemplate"}
    assert spec == {
        "concurrencyPolicy": "Allow",
        "failedJobsHistoryLimit": 1,
        "schedule": "* * * * *",
        "successfulJobsHistoryLimit": 3,
        "suspend": False,
    }
    assert set(made["spec"]["jobTemplate"]["spec"]) == {"template"}
    assert made["status"] == {}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("spec.schedule", "", "spec.schedule: Required value"),
        ("spec.schedule", "x", 'spec.schedule: Invalid value: "x": expected exactly 5 fields, found 1: [x]'),
        (
            "spec.schedule",
            "TZ=UTC * * * * *",
            'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field'
            " instead",
        ),
        ("spec.timeZone", "Mars", 'spec.timeZone: Invalid value: "Mars": unknown time zone Mars'),
        (
            "spec.concurrencyPolicy",
            "Never",
            'spec.concurrencyPolicy: Unsupported value: "Never": supported values: "Allow", "Forbid", "Replace"',
        ),
        ("metadata.name", "n" * 53, f'metadata.name: Invalid value: "{"n" * 53}": must be no more than 52 characters'),
        (
            "spec.jobTemplate.spec.template.spec.restartPolicy",
            "Always",
            'spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        ),
        (
            "spec.startingDeadlineSeconds",
            -1,
            "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
    ],
)
def test_what_a_cronjob_may_not_be(registry: Registry, path: str, value: Any, expected: str):
    assert refusal(registry, CRONJOBS, changed(CRONJOB, path, value)) == [expected]


# -- columns

START, END = "2026-01-01T00:00:00Z", "2026-01-01T00:00:07Z"


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({"completions": 3}, {}, ["Running", "0/3", ""]),
        ({"parallelism": 2}, {"succeeded": 1, "startTime": START}, ["Running", "1/1 of 2", "10s"]),
        (
            {"completions": 1},
            {
                "succeeded": 1,
                "startTime": START,
                "completionTime": END,
                "conditions": [{"type": t, "status": "True"} for t in ("SuccessCriteriaMet", "Complete")],
            },
            ["Complete", "1/1", "7s"],
        ),
        ({"completions": 1}, {"conditions": [{"type": "Suspended", "status": "True"}]}, ["Suspended", "0/1", ""]),
        (
            {"completions": 1},
            {"conditions": [{"type": "FailureTarget", "status": "True"}]},
            ["FailureTarget", "0/1", ""],
        ),
    ],
)
def test_the_columns_of_a_job(spec: dict[str, Any], status: dict[str, Any], expected: list[str]):
    job = {"metadata": {"name": "j", "creationTimestamp": START}, "spec": spec, "status": status}
    assert columns.cells(JOBS, job, 1767225610.0)[1:4] == expected


def test_the_columns_of_a_cronjob_and_a_revision():
    cron = {**copy.deepcopy(CRONJOB), "status": {"active": [{}], "lastScheduleTime": START}}
    assert columns.cells(CRONJOBS, cron, 1767225610.0)[1:6] == ["* * * * *", "<none>", "False", 1, "10s"]
    assert columns.cells(CRONJOBS, cron, 1767225610.0)[7:9] == ["c", "i"]
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}
    revision = {"metadata": {"name": "r", "ownerReferences": [owner]}, "revision": 3}
    assert columns.cells(CONTROLLERREVISIONS, revision, 0)[1:3] == ["daemonset.apps/d", 3]
