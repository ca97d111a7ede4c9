"""Jobs and CronJobs. Upstream: pkg/apis/batch/validation/validation.go."""

from __future__ import annotations

import re
from typing import Any

from kubelab.cluster import schedule
from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, go_value, invalid, not_supported, required, too_long
from kubelab.cluster.apiserver.validation import jobpolicies
from kubelab.cluster.apiserver.validation.common import at_least, label_selector, one_of
from kubelab.cluster.apiserver.validation.workloads import IMMUTABLE, pod_template, selector_mismatch
from kubelab.cluster.selectors import label_selector_matches

Object = dict[str, Any]
LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name")
COMPLETION_MODES = ("NonIndexed", "Indexed")
MOST_INDEXED = 100_000  # how many may run, fail, or be completed without more ado
MOST_BEYOND = 10_000  # how many may run or fail where more have to be completed
LONGEST_MANAGER = 63
COUNTS = (
    *("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit"),
    *("ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes"),
)
FIXED = ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
# What may still change of the template of a job that is suspended and has not started.
PLACEMENT = ("nodeSelector", "tolerations", "schedulingGates")
RESTART_POLICIES = ("OnFailure", "Never")
CONCURRENCY = ("Allow", "Forbid", "Replace")
ZONE_PART = r"[A-Za-z.\-_0-9+]{1,14}"  # https://data.iana.org/time-zones/theory.html#naming
LONGEST_CRON_NAME = 52  # a job's name adds a dash and ten digits to it


def job(obj: Object) -> list[FieldError]:
    return _generated_selector(obj) + _spec_of_job(obj["spec"]) + _indexed_hostname(obj)


def _spec_of_job(spec: Object) -> list[FieldError]:
    problems = job_spec(spec, "spec")
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
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        problems.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    problems += _managed_by(spec.get("managedBy"), f"{path}.managedBy") + _completion_mode(spec, path)
    if spec.get("podFailurePolicy") is not None:
        problems += jobpolicies.pod_failure_policy(spec, f"{path}.podFailurePolicy")
    if spec.get("successPolicy") is not None:
        problems += jobpolicies.success_policy(spec, f"{path}.successPolicy")
    problems += jobpolicies.pod_replacement_policy(spec, f"{path}.podReplacementPolicy")
    problems += pod_template(spec.get("template") or {}, f"{path}.template")
    return problems + _restart_policy(spec, f"{path}.template.spec.restartPolicy")


def _restart_policy(spec: Object, path: str) -> list[FieldError]:
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy", "Always")
    if policy == "Always":
        return [required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in RESTART_POLICIES:
        return [not_supported(path, policy, RESTART_POLICIES)]
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        return [invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []


def _managed_by(name: str | None, path: str) -> list[FieldError]:
    if name is None:
        return []
    if not name:
        return [required(path)]
    problems = [invalid(path, shown, text) for shown, text in names.domain_prefixed_path(name)]
    return problems + ([too_long(path, LONGEST_MANAGER)] if len(name) > LONGEST_MANAGER else [])


def _completion_mode(spec: Object, path: str) -> list[FieldError]:
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in COMPLETION_MODES:
        return [not_supported(f"{path}.completionMode", mode, COMPLETION_MODES)]
    if mode == "Indexed":
        return _indexed(spec, path)
    per_index = (field for field in ("backoffLimitPerIndex", "maxFailedIndexes") if spec.get(field) is not None)
    return [invalid(f"{path}.{field}", spec[field], "requires indexed completion mode") for field in per_index]


def _indexed(spec: Object, path: str) -> list[FieldError]:
    """Limits that keep the texts of `completedIndexes` and `failedIndexes` short."""
    completions, failed = spec.get("completions"), spec.get("maxFailedIndexes")
    limits: list[tuple[str, int, str]] = [
        ("parallelism", MOST_INDEXED, f"{MOST_INDEXED} when completion mode is Indexed"),
        ("maxFailedIndexes", MOST_INDEXED, str(MOST_INDEXED)),
    ]
    problems = [required(f"{path}.completions", "when completion mode is Indexed")] if completions is None else []
    if completions is not None:
        limits.insert(1, ("maxFailedIndexes", completions, "completions"))
    if completions is not None and completions > MOST_INDEXED and spec.get("backoffLimitPerIndex") is not None:
        if failed is None:
            text = f"must be specified when completions is above {MOST_INDEXED}"
            problems.append(required(f"{path}.maxFailedIndexes", text))
        words = f"{MOST_BEYOND} when completions are above {MOST_INDEXED} and used with backoff limit per index"
        limits += [(field, MOST_BEYOND, words) for field in ("parallelism", "maxFailedIndexes")]
    return problems + [
        invalid(f"{path}.{field}", spec[field], f"must be less than or equal to {words}")
        for field, limit, words in limits
        if spec.get(field) is not None and spec[field] > limit
    ]


def job_update(obj: Object, old: Object) -> list[FieldError]:
    spec, before = obj["spec"], old["spec"]
    problems = _spec_of_job(spec) + _completions_update(spec, before)
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
    """The template without what may change: nothing of it, or its placement while the job has never run
    (validatePodTemplateUpdate).
    """
    template = spec["template"]
    if not old["spec"].get("suspend") or (old.get("status") or {}).get("startTime"):
        return template
    kept = {key: value for key, value in template["spec"].items() if key not in PLACEMENT}
    rest = {key: value for key, value in (kept.pop("affinity", None) or {}).items() if key != "nodeAffinity"}
    metadata = {
        key: value for key, value in (template.get("metadata") or {}).items() if key not in ("labels", "annotations")
    }
    return {"metadata": metadata, "spec": kept | ({"affinity": rest} if rest else {})}


# -- CronJobs


def cron_job(obj: Object) -> list[FieldError]:
    name = obj["metadata"].get("name", "")
    problems = cron_job_spec(obj["spec"])
    if len(name) > LONGEST_CRON_NAME:
        problems.append(invalid("metadata.name", name, f"must be no more than {LONGEST_CRON_NAME} characters"))
    return problems


def cron_job_spec(spec: Object) -> list[FieldError]:
    """What holds at every update, too."""
    problems = _schedule(spec.get("schedule") or "")
    problems += at_least(spec, "startingDeadlineSeconds", 0, "spec") + _time_zone(spec.get("timeZone"))
    problems += one_of(spec.get("concurrencyPolicy"), CONCURRENCY, "spec.concurrencyPolicy")
    problems += _job_template((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")
    problems += at_least(spec, "successfulJobsHistoryLimit", 0, "spec")
    return problems + at_least(spec, "failedJobsHistoryLimit", 0, "spec")


def _schedule(text: str) -> list[FieldError]:
    """The five fields. A time zone in front of them is read, and refused: it has a field of its own."""
    if not text:
        return [required("spec.schedule")]
    problems: list[FieldError] = []
    zone, fields = re.fullmatch(r"(?:(?:CRON_)?TZ=(\S*) +)?(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    try:
        schedule.parse(fields)
        if zone:
            schedule.zone_of(zone)
    except schedule.ScheduleError as error:
        words = f"provided bad location {zone}: {error}" if "time zone" in str(error) else str(error)
        problems.append(invalid("spec.schedule", text, words))
    if "TZ" in text:
        words = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        problems.append(invalid("spec.schedule", text, words))
    return problems


def _time_zone(name: str | None) -> list[FieldError]:
    if name is None:
        return []
    if not name:
        return [invalid("spec.timeZone", name, "timeZone must be nil or non-empty string")]
    if name.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [invalid("spec.timeZone", name, text)]
    parts = name.split("/")
    if any(part in (".", "..") or part[:1] == "-" or not re.fullmatch(ZONE_PART, part) for part in parts):
        return [invalid("spec.timeZone", name, f"unknown time zone {name}")]
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
