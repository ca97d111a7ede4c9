"""CronJobs at a virtual clock: jobs at their times, what keeps them from starting, what is left of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from engines.cluster import lab as labs
from engines.cluster.lab import Lab, run_lab
from engines.cluster.objects import cron_job
from kubelab.clock import VirtualClock
from kubelab.cluster.resources import CRONJOBS, EVENTS, JOBS
from kubelab.cluster.times import timestamp
from kubelab.home import Home

START = datetime(2026, 3, 2, 11, 59, 30, tzinfo=UTC)
FIRST, SECOND = "2026-03-02T12:00:00Z", "2026-03-02T12:01:00Z"


@pytest.fixture
async def lab(home: Home) -> AsyncIterator[Lab]:
    async with run_lab(home, clock=VirtualClock(START)) as running:
        yield running


async def eventually(lab: Lab, check: Callable[[], Awaitable[Any]], what: str) -> Any:
    """As the lab's, with time going on by so little that no minute ends: what failed is tried again a moment later."""

    async def ask() -> Any:
        await lab.clock.advance(0.01)
        return await check()

    return await labs.eventually(ask, what)


async def jobs(lab: Lab, count: int) -> list[dict[str, Any]]:
    """Wait until there are so many jobs, oldest first."""

    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = (await lab.client.list(JOBS, "default"))["items"]
        return len(found) == count

    await eventually(lab, there, f"{count} jobs")
    return sorted(found, key=lambda job: job["metadata"]["name"])


async def status(lab: Lab, **wanted: Any) -> dict[str, Any]:
    """Wait until the CronJob's status says this; `active` is compared by names."""

    async def said() -> dict[str, Any] | None:
        found = (await lab.client.get(CRONJOBS, "tick", "default")).get("status", {})
        shown = {**found, "active": [reference["name"] for reference in found.get("active") or ()]}
        return found if all(shown.get(name) == value for name, value in wanted.items()) else None

    return await eventually(lab, said, f"status {wanted}")


async def event(lab: Lab, reason: str) -> str:
    """Wait for an Event of the CronJob, and give its message."""

    async def told() -> str | None:
        found = await lab.client.list(EVENTS, "default", field_selector=f"involvedObject.name=tick,reason={reason}")
        return found["items"][0]["message"] if found["items"] else None

    return await eventually(lab, told, f"event {reason}")


async def finish(lab: Lab, job: dict[str, Any], kind: str = "Complete") -> str:
    """Say that the job is over, as the Job controller does; gives the time of it."""
    now = timestamp(lab.clock.now())
    over = {"conditions": [{"type": kind, "status": "True", "lastTransitionTime": now}], "startTime": now}
    patch = {"status": {**over, **({"completionTime": now} if kind == "Complete" else {})}}
    await lab.client.patch(JOBS, job["metadata"]["name"], patch, "default", subresource="status")
    return now


async def create(lab: Lab, schedule: str = "* * * * *", **spec: Any) -> None:
    await lab.client.create(CRONJOBS, cron_job("tick", schedule, **spec))


async def test_a_job_is_made_when_its_time_has_come(lab: Lab):
    await create(lab)
    await lab.clock.advance(31)
    (job,) = await jobs(lab, 1)
    minute = int(datetime.fromisoformat(FIRST).timestamp()) // 60
    assert job["metadata"]["name"] == f"tick-{minute}"
    assert job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] == FIRST
    assert job["metadata"]["labels"] == {"app": "tick"}
    assert job["metadata"]["creationTimestamp"] >= FIRST
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("CronJob", "tick", True)
    found = await status(lab, lastScheduleTime=FIRST, active=[job["metadata"]["name"]])
    assert found["active"][0]["uid"] == job["metadata"]["uid"]
    assert await event(lab, "SuccessfulCreate") == f"Created job tick-{minute}"


async def test_jobs_may_overlap_unless_forbidden(lab: Lab):
    await create(lab)
    await lab.clock.advance(31)
    await status(lab, lastScheduleTime=FIRST)
    await lab.clock.advance(60)
    await status(lab, lastScheduleTime=SECOND, active=[job["metadata"]["name"] for job in await jobs(lab, 2)])


async def test_forbid_waits_for_the_job_before(lab: Lab):
    await create(lab, concurrencyPolicy="Forbid")
    await lab.clock.advance(31)
    await status(lab, lastScheduleTime=FIRST)
    (first,) = await jobs(lab, 1)
    await lab.clock.advance(60)
    words = "Not starting job because prior execution is running and concurrency policy is Forbid"
    assert await event(lab, "JobAlreadyActive") == words
    await finish(lab, first)
    done = f"Saw completed job: {first['metadata']['name']}, condition: Complete"
    assert await event(lab, "SawCompletedJob") == done
    _, second = await jobs(lab, 2)  # late, but without a deadline never too late
    await status(lab, lastScheduleTime=SECOND, active=[second["metadata"]["name"]])


async def test_replace_ends_the_job_before(lab: Lab):
    await create(lab, concurrencyPolicy="Replace")
    await lab.clock.advance(31)
    await status(lab, lastScheduleTime=FIRST)
    (first,) = await jobs(lab, 1)
    await lab.clock.advance(60)
    await status(lab, lastScheduleTime=SECOND)
    assert await event(lab, "SuccessfulDelete") == f"Deleted job {first['metadata']['name']}"
    (second,) = await jobs(lab, 1)
    assert second["metadata"]["uid"] != first["metadata"]["uid"]


async def test_a_suspended_cronjob_makes_up_for_the_last_time_only(lab: Lab):
    await create(lab, suspend=True)
    await lab.clock.advance(600)
    await lab.client.patch(CRONJOBS, "tick", {"spec": {"suspend": False}}, "default")
    (only,) = await jobs(lab, 1)
    await status(lab, lastScheduleTime="2026-03-02T12:09:00Z", active=[only["metadata"]["name"]])


async def test_a_time_that_is_too_long_ago_is_missed(lab: Lab):
    await create(lab, "0 * * * *", suspend=True, startingDeadlineSeconds=20)
    await lab.clock.advance(60)
    await lab.client.patch(CRONJOBS, "tick", {"spec": {"suspend": False}}, "default")
    await lab.clock.advance(3600 - 20)
    await jobs(lab, 1)
    await status(lab, lastScheduleTime="2026-03-02T13:00:00Z")


async def test_history_is_kept_within_its_limits(lab: Lab):
    await create(lab, successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0)
    await lab.clock.advance(31)
    (first,) = await jobs(lab, 1)
    await finish(lab, first, "Failed")
    await jobs(lab, 0)
    for minute in ("12:01", "12:02"):
        await lab.clock.advance(60)
        found = await status(lab, lastScheduleTime=f"2026-03-02T{minute}:00Z")
        (reference,) = found["active"]
        ended = await finish(lab, await lab.client.get(JOBS, reference["name"], "default"))
        await status(lab, active=[], lastSuccessfulTime=ended)
    (left,) = await jobs(lab, 1)
    assert left["metadata"]["uid"] == reference["uid"]


async def test_times_are_those_of_the_zone(lab: Lab):
    await create(lab, "0 13 * * *", timeZone="Europe/Berlin")
    await lab.clock.advance(31)
    (job,) = await jobs(lab, 1)
    local = "2026-03-02T13:00:00+01:00"
    assert job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] == local
    await status(lab, lastScheduleTime=FIRST)


async def test_a_job_that_was_deleted_is_missed(lab: Lab):
    await create(lab)
    await lab.clock.advance(31)
    await status(lab, lastScheduleTime=FIRST)
    (job,) = await jobs(lab, 1)
    await lab.client.delete(JOBS, job["metadata"]["name"], "default", propagation_policy="Background")
    assert await event(lab, "MissingJob") == f"Active job went missing: {job['metadata']['name']}"
    await status(lab, active=[])


async def test_jobs_go_with_their_cronjob(lab: Lab):
    await create(lab)
    await lab.clock.advance(31)
    await jobs(lab, 1)
    await lab.client.delete(CRONJOBS, "tick", "default")
    await jobs(lab, 0)
