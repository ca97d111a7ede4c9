"""What repeats becomes a series: written when it begins, then counted."""

from __future__ import annotations

from typing import Any

from kubelab.clock import VirtualClock
from kubelab.cluster.scheduler.recorder import FINISH_SECONDS, REFRESH_SECONDS, Series


def event(name: str = "p", **more: Any) -> dict[str, Any]:
    involved = {"kind": "Pod", "name": name, "uid": name, "resourceVersion": "1"}
    made = {"type": "Warning", "action": "Scheduling", "reason": "FailedScheduling", "involvedObject": involved}
    return {**made, "eventTime": "2026-01-01T00:00:00.000000Z", **more}


async def test_the_second_begins_a_series_and_the_next_are_only_counted():
    series = Series(VirtualClock())
    first = series.correlate(event())
    assert first is not None
    assert "series" not in first
    assert series.correlate(event(message="another note")) is first
    assert first["series"] == {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}
    assert series.correlate(event()) is None
    assert first["series"]["count"] == 3


async def test_another_object_or_a_changed_one_is_another_event():
    series = Series(VirtualClock())
    series.correlate(event())
    assert "series" not in series.correlate(event("q"))
    changed = event()
    changed["involvedObject"] = {**changed["involvedObject"], "resourceVersion": "2"}
    assert "series" not in series.correlate(changed)


async def test_a_series_that_goes_on_is_written_every_half_an_hour_and_one_that_paused_is_over():
    clock = VirtualClock()
    series = Series(clock)
    for _ in range(2):
        series.correlate(event())
    written = 0
    for _ in range(int(REFRESH_SECONDS // 300)):
        await clock.advance(300)
        written += series.correlate(event()) is not None
    assert written == 1
    await clock.advance(FINISH_SECONDS + 1)
    assert "series" not in series.correlate(event())
