"""When a probe is tried and what its answers add up to, on a clock that tests move (upstream's worker_test.go)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubelab.clock import VirtualClock
from kubelab.cluster.events import timestamp
from kubelab.cluster.kubelet.prober.manager import ProbeManager
from kubelab.cluster.kubelet.prober.results import Result
from kubelab.cluster.kubelet.prober.worker import Worker

from .builders import make_container, make_pod

ID = "kubelab://app-0"


class Answers:
    """Stands for the prober: gives the verdicts it was told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.answer: Result | None = Result.SUCCESS
        self.asked = 0

    async def probe(self, *_: Any) -> Result | None:
        self.asked += 1
        return self.answer


class Statuses:
    """Stands for the status manager: the one pod's status, and what the probes set in it."""

    def __init__(self, clock: VirtualClock) -> None:
        running = {"running": {"startedAt": timestamp(clock.now())}}
        self.container: dict[str, Any] = {"name": "app", "containerID": ID, "state": running, "started": True}
        self.phase = "Running"
        self.set_to: list[dict[str, bool]] = []

    def get(self, _: str) -> dict[str, Any]:
        return {"phase": self.phase, "containerStatuses": [self.container]}

    def set_container(self, _: str, __: str, **facts: bool) -> None:
        self.set_to.append(facts)
        self.container.update(facts)


class Bench:
    """A probe on a container that has just started, under a kubelet that started long ago."""

    def __init__(self, clock: VirtualClock, kind: str, policy: str = "Always", **spec: Any) -> None:
        self.clock, self.kind = clock, kind
        self.statuses, self.answers = Statuses(clock), Answers()
        self.woken: list[str] = []
        self.manager = ProbeManager(self.answers, self.statuses, clock, self.woken.append)  # type: ignore[arg-type]
        self.manager.started_at = clock.monotonic() - 3600
        container = make_container("app", **{f"{kind}Probe": {"httpGet": {"port": 80}, **spec}})
        self.pod = make_pod(container, restartPolicy=policy)
        self.worker = Worker(self.manager, kind, self.pod, container, clock)

    @property
    def result(self) -> Result | None:
        return self.manager.results[self.kind].get(self.statuses.container["containerID"])

    async def probe(self, answer: Result | None) -> bool:
        self.answers.answer = answer
        return await self.worker.probe_once()


@pytest.fixture
def bench() -> Callable[..., Bench]:
    clock = VirtualClock()
    return lambda kind, **spec: Bench(clock, kind, **spec)


@pytest.mark.parametrize(
    ("kind", "initial"),
    [("readiness", Result.FAILURE), ("liveness", Result.SUCCESS), ("startup", Result.UNKNOWN)],
)
async def test_the_verdict_before_the_first_probe(bench: Callable[..., Bench], kind: str, initial: Result) -> None:
    b = bench(kind, initialDelaySeconds=5)
    b.statuses.container["started"] = kind != "startup"
    await b.probe(Result.SUCCESS)
    assert (b.result, b.answers.asked) == (initial, 0)


async def test_no_probe_within_the_initial_delay(bench: Callable[..., Bench]) -> None:
    b = bench("liveness", initialDelaySeconds=5)
    await b.clock.advance(4.9)
    await b.probe(Result.FAILURE)
    assert b.answers.asked == 0
    await b.clock.advance(0.1)
    await b.probe(Result.FAILURE)
    assert b.answers.asked == 1


async def test_liveness_fails_at_the_third_failure_in_a_row(bench: Callable[..., Bench]) -> None:
    b = bench("liveness")
    seen = []
    for answer in (Result.FAILURE, Result.FAILURE, Result.SUCCESS, Result.FAILURE, Result.FAILURE, Result.FAILURE):
        await b.probe(answer)
        seen.append(b.result)
    assert seen == [Result.SUCCESS] * 5 + [Result.FAILURE]
    assert b.woken == ["uid-1"]


async def test_after_a_liveness_failure_it_waits_for_a_new_container(bench: Callable[..., Bench]) -> None:
    b = bench("liveness", failureThreshold=1)
    await b.probe(Result.FAILURE)
    await b.probe(Result.FAILURE)
    assert b.answers.asked == 1
    b.statuses.container["containerID"] = "kubelab://app-1"
    await b.probe(Result.SUCCESS)
    assert (b.answers.asked, b.result) == (2, Result.SUCCESS)
    assert b.manager.results["liveness"].get(ID) is None


async def test_readiness_needs_its_successes_and_failures_in_a_row(bench: Callable[..., Bench]) -> None:
    b = bench("readiness", successThreshold=2, failureThreshold=2)
    seen = []
    for answer in (Result.SUCCESS, Result.SUCCESS, Result.FAILURE, Result.SUCCESS, Result.FAILURE, Result.FAILURE):
        await b.probe(answer)
        seen.append(b.result)
    failure, success = Result.FAILURE, Result.SUCCESS
    assert seen == [failure, success, success, success, success, failure]
    assert b.statuses.set_to == [{"ready": False}, {"ready": True}, {"ready": False}]


async def test_an_error_of_the_prober_counts_for_nothing(bench: Callable[..., Bench]) -> None:
    b = bench("liveness", failureThreshold=2)
    for answer in (Result.FAILURE, None, Result.FAILURE):
        await b.probe(answer)
    assert b.result == Result.FAILURE


async def test_until_it_has_started_only_startup_probes_run(bench: Callable[..., Bench]) -> None:
    b = bench("liveness")
    b.statuses.container["started"] = False
    await b.probe(Result.FAILURE)
    assert b.answers.asked == 0


async def test_a_passed_startup_probe_says_started_and_is_not_asked_again(bench: Callable[..., Bench]) -> None:
    b = bench("startup")
    b.statuses.container["started"] = False
    await b.probe(Result.SUCCESS)
    await b.probe(Result.SUCCESS)
    assert (b.answers.asked, b.statuses.container["started"]) == (1, True)


async def test_a_failed_startup_probe_is_a_verdict(bench: Callable[..., Bench]) -> None:
    b = bench("startup", failureThreshold=2)
    b.statuses.container["started"] = False
    for _ in range(3):
        await b.probe(Result.FAILURE)
    assert (b.result, b.answers.asked) == (Result.FAILURE, 2)


async def test_a_container_that_does_not_run_is_not_ready(bench: Callable[..., Bench]) -> None:
    b = bench("readiness")
    await b.probe(Result.SUCCESS)
    b.statuses.container["state"] = {"terminated": {"exitCode": 1}}
    assert await b.probe(Result.SUCCESS)
    assert b.result == Result.FAILURE


async def test_the_worker_ends_where_nothing_will_run_again(bench: Callable[..., Bench]) -> None:
    b = bench("readiness", policy="Never")
    b.statuses.container["state"] = {"terminated": {"exitCode": 1}}
    assert not await b.probe(Result.SUCCESS)
    b = bench("readiness")
    b.statuses.phase = "Failed"
    assert not await b.probe(Result.SUCCESS)


async def test_while_a_pod_ends_liveness_passes_and_readiness_goes_on(bench: Callable[..., Bench]) -> None:
    for kind, asked in (("liveness", 0), ("readiness", 1)):
        b = bench(kind, failureThreshold=1)
        b.manager._ending.add("uid-1")
        goes_on = await b.probe(Result.FAILURE)
        assert (b.answers.asked, goes_on) == (asked, kind == "readiness")


async def test_probes_come_once_a_period_and_at_once_when_asked_for(bench: Callable[..., Bench]) -> None:
    b = bench("readiness", periodSeconds=10)
    b.answers.answer = Result.FAILURE
    b.worker.start()
    await b.clock.advance(0)
    assert b.answers.asked == 1
    await b.clock.advance(9.9)
    assert b.answers.asked == 1
    await b.clock.advance(0.1)
    assert b.answers.asked == 2
    b.worker.trigger()
    await b.clock.advance(1)
    assert b.answers.asked == 3
    await b.clock.advance(9)
    assert b.answers.asked == 4
    b.worker.stop()
    await b.clock.advance(100)
    assert b.answers.asked == 4


async def test_a_kubelet_that_just_started_spreads_its_probes(bench: Callable[..., Bench]) -> None:
    b = bench("readiness", periodSeconds=10)
    b.manager.started_at = b.clock.monotonic()
    b.worker.start()
    await b.clock.advance(0)
    assert b.answers.asked == 0
    await b.clock.advance(10)
    assert b.answers.asked >= 1
    b.worker.stop()
