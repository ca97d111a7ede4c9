"""Jobs and CronJobs. Upstream: pkg/apis/batch/validation/validation.go."""

from __future__ import annotations

from typing import Any

from kubelab.cluster import schedule
from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, go_value, invalid, not_supported, required
from kubelab.cluster.apiserver.validation.common import at_least, label_selector
from kubelab.cluster.apiserver.validation.workloads import IMMUTABLE, pod_template, selector_mismatch
from kubelab.cluster.selectors import label_selector_matches

Object = dict[str, Any]
LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name")
COMPLETION_MODES = ("NonIndexed", "Indexed")
MOST_PARALLEL_INDEXED = 100_000
COUNTS = (
    *("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit"),
    *("ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes"),
)
FIXED = ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
# What may still change of the template of a job that is suspended and has not started.
PLACEMENT = ("affinity", "nodeSelector", "tolerations", "schedulingGates")
CONCURRENCY = ("Allow", "Forbid", "Replace")
LONGEST_CRON_NAME = 52  # a job's name adds a dash and ten digits to it


def job(obj: Object) -> list[FieldError]:
    spec = obj["spec"]
    problems = _generated_selector(obj) + _indexed_hostname(obj) + job_spec(spec, "spec")
    if spec.get("selector") is None:
        return [*problems, required("spec.selector")]
    problems += label_selector(spec["selector"], "spec.selector")
    return problems + selector_mismatch(spec["selector"], spec.get("template") or {})


def _generated_selector(obj: Object) -> list[FieldError]:
    """Unless the user wants it otherwise, a job selects by its UID, and no other job's pods."""
    spec, meta = obj["spec"], obj["metadata"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return []
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    expected = {key: meta["uid"] if key.endswith("uid") else meta["name"] for key in LABELS}
    problems: list[FieldError] = []
    for key, value in expected.items():
        where = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            problems.append(required(where, f"must be '{value}'"))
        elif labels[key] != value:
            problems.append(invalid(where, go_value("map[string]string", labels), f"must be '{value}'"))
    if not label_selector_matches(spec["selector"], expected):
        shown = go_value("v1.LabelSelector", spec["selector"])
        problems.append(invalid("spec.selector", shown, "`selector` not auto-generated"))
    return problems


def _indexed_hostname(obj: Object) -> list[FieldError]:
    """The highest index has to make a valid host name."""
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    if spec.get("completionMode") != "Indexed" or not spec.get("completions"):
        return []
    hostname = f"{name}-{spec['completions'] - 1}"
    if not names.dns1123_label(hostname):
        return []
    return [invalid("metadata.name", name, f"will not able to create pod with invalid DNS label: {hostname}")]


def job_spec(spec: Object, path: str) -> list[FieldError]:
    """What holds for a job and for the job of a CronJob's template, at `path`."""
    problems = [problem for count in COUNTS for problem in at_least(spec, count, 0, path)]
    mode = spec.get("completionMode")
    if mode is not None and mode not in COMPLETION_MODES:
        problems.append(not_supported(f"{path}.completionMode", mode, COMPLETION_MODES))
    if mode == "Indexed":
        problems += _indexed(spec, path)
    if spec.get("podReplacementPolicy") not in (None, "Failed", "TerminatingOrFailed"):
        supported = ("Failed", "TerminatingOrFailed")
        problems.append(not_supported(f"{path}.podReplacementPolicy", spec["podReplacementPolicy"], supported))
    template = spec.get("template") or {}
    problems += pod_template(template, f"{path}.template")
    if (template.get("spec") or {}).get("restartPolicy", "Always") == "Always":
        detail = 'valid values: "OnFailure", "Never"'
        problems.append(required(f"{path}.template.spec.restartPolicy", detail))
    return problems


def _indexed(spec: Object, path: str) -> list[FieldError]:
    if spec.get("completions") is None:
        return [required(f"{path}.completions", "when completion mode is Indexed")]
    if spec.get("parallelism", 1) > MOST_PARALLEL_INDEXED:
        text = f"must be less than or equal to {MOST_PARALLEL_INDEXED} when completion mode is Indexed"
        return [invalid(f"{path}.parallelism", spec["parallelism"], text)]
    return []


def job_update(obj: Object, old: Object) -> list[FieldError]:
    spec, before = obj["spec"], old["spec"]
    problems = job(obj) + _completions_update(spec, before)
    for field in FIXED:
        if spec.get(field) != before.get(field):
            shown = spec.get(field)
            shown = go_value(f"batch.{field}", shown) if isinstance(shown, dict) else shown if shown is not None else ""
            problems.append(invalid(f"spec.{field}", shown, IMMUTABLE))
    if _fixed_template(spec, old) != _fixed_template(before, old):
        problems.append(invalid("spec.template", go_value("core.PodTemplateSpec", spec["template"]), IMMUTABLE))
    return problems


def _completions_update(spec: Object, before: Object) -> list[FieldError]:
    """An indexed job may grow and shrink, together with its parallelism."""
    wanted = spec.get("completions")
    if wanted == before.get("completions"):
        return []
    if spec.get("completionMode") != "Indexed":
        return [invalid("spec.completions", wanted if wanted is not None else "", IMMUTABLE)]
    if wanted == spec.get("parallelism"):
        return []
    return [invalid("spec.completions", wanted, "can only be modified in tandem with spec.parallelism")]


def _fixed_template(spec: Object, old: Object) -> Object:
    """The template without what may change: nothing of it, or its placement while the job has never run."""
    template = spec["template"]
    if not old["spec"].get("suspend") or (old.get("status") or {}).get("startTime"):
        return template
    kept = {key: value for key, value in template["spec"].items() if key not in PLACEMENT}
    return {"spec": kept}


# -- CronJobs


def cron_job(obj: Object) -> list[FieldError]:
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    problems = _schedule(spec)
    if len(name) > LONGEST_CRON_NAME:
        problems.insert(0, invalid("metadata.name", name, f"must be no more than {LONGEST_CRON_NAME} characters"))
    problems += at_least(spec, "startingDeadlineSeconds", 0, "spec") + _time_zone(spec.get("timeZone"))
    if spec.get("concurrencyPolicy") not in CONCURRENCY:
        problems.append(not_supported("spec.concurrencyPolicy", spec.get("concurrencyPolicy") or "", CONCURRENCY))
    problems += _job_template((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")
    problems += at_least(spec, "successfulJobsHistoryLimit", 0, "spec")
    return problems + at_least(spec, "failedJobsHistoryLimit", 0, "spec")


def _schedule(spec: Object) -> list[FieldError]:
    text = spec.get("schedule") or ""
    if not text:
        return [required("spec.schedule")]
    if "TZ" in text:
        words = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        if spec.get("timeZone") is not None:
            words = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        return [invalid("spec.schedule", text, words)]
    try:
        schedule.parse(text)
    except schedule.ScheduleError as error:
        return [invalid("spec.schedule", text, str(error))]
    return []


def _time_zone(name: str | None) -> list[FieldError]:
    if name is None:
        return []
    if not name:
        return [invalid("spec.timeZone", name, "timeZone must be nil or non-empty string")]
    if name.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [invalid("spec.timeZone", name, text)]
    try:
        schedule.zone_of(name)
    except schedule.ScheduleError as error:
        return [invalid("spec.timeZone", name, str(error))]
    return []


def _job_template(spec: Object, path: str) -> list[FieldError]:
    problems = job_spec(spec, path)
    if spec.get("selector") is not None:
        shown = go_value("v1.LabelSelector", spec["selector"])
        problems.append(invalid(f"{path}.selector", shown, "`selector` will be auto-generated"))
    if spec.get("manualSelector"):
        problems.append(not_supported(f"{path}.manualSelector", True, ("nil", "false")))
    return problems
