"""CrashLoopBackOff's waiting times, on a clock that tests move."""

from __future__ import annotations

import pytest

from kubelab.clock import VirtualClock
from kubelab.cluster.kubelet.backoff import Backoff


async def crash(backoff: Backoff, clock: VirtualClock, runs_for: float = 0.0) -> float:
    """One life of a container: it runs, ends, and is started again; the time that it had to wait."""
    await clock.advance(runs_for)
    ended = clock.now()
    waited = backoff.remaining("pod_app", ended)
    await clock.advance(waited)
    assert backoff.remaining("pod_app", ended) == 0
    backoff.next("pod_app", ended)
    return waited


async def test_the_first_restart_is_at_once_then_10_s_doubling_to_300_s() -> None:
    clock = VirtualClock()
    backoff = Backoff(clock)
    assert [await crash(backoff, clock, 1) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]


async def test_the_cap_of_the_configuration_counts_for_the_first_wait_too() -> None:
    clock = VirtualClock()
    backoff = Backoff(clock, maximum=4)
    assert [await crash(backoff, clock, 1) for _ in range(4)] == [0, 4, 4, 4]


async def test_ten_minutes_without_a_crash_reset_it() -> None:
    clock = VirtualClock()
    backoff = Backoff(clock)
    for _ in range(4):
        await crash(backoff, clock, 1)
    assert await crash(backoff, clock, 601) == 0
    assert await crash(backoff, clock, 1) == 10


async def test_less_than_ten_minutes_do_not_reset_it() -> None:
    clock = VirtualClock()
    backoff = Backoff(clock)
    for _ in range(4):
        await crash(backoff, clock, 1)
    assert await crash(backoff, clock, 599) == pytest.approx(80)


async def test_forgetting_a_pod_forgets_all_its_containers_and_no_other() -> None:
    clock = VirtualClock()
    backoff = Backoff(clock)
    for key in ("uid1_a", "uid1_b", "uid2_a"):
        backoff.next(key, clock.now())
    backoff.forget("uid1_")
    assert [backoff.get(key) for key in ("uid1_a", "uid1_b", "uid2_a")] == [0, 0, 10]
