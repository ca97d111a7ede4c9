"""The store: revisions, conflicts, history, and above all that a watch misses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelab.cluster.fanout import WatchEndedError
from kubelab.cluster.store import (
    ADDED,
    DELETED,
    MODIFIED,
    CompactedError,
    KeyExistsError,
    KeyNotFoundError,
    RevisionConflictError,
    Store,
)


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "store.db")
    yield opened
    opened.close()


def value(number: int) -> dict:
    return {"metadata": {}, "number": number}


def test_every_write_is_one_revision(store: Store):
    first = store.create("/a/x", value(1))
    second = store.update("/a/x", value(2), first.revision)
    assert (first.revision, second.revision, store.revision) == (1, 2, 2)
    assert second.load() == {"metadata": {"resourceVersion": "2"}, "number": 2}


def test_writes_name_the_revision_they_have_seen(store: Store):
    first = store.create("/a/x", value(1))
    store.update("/a/x", value(2), first.revision)
    with pytest.raises(KeyExistsError):
        store.create("/a/x", value(3))
    with pytest.raises(RevisionConflictError):
        store.update("/a/x", value(3), first.revision)
    with pytest.raises(RevisionConflictError):
        store.delete("/a/x", value(3), first.revision)
    with pytest.raises(KeyNotFoundError):
        store.update("/a/y", value(3), 1)


def test_a_list_can_show_the_past(store: Store):
    record = store.create("/a/x", value(1))
    store.create("/a/y", value(2))
    record = store.update("/a/x", value(3), record.revision)
    store.delete("/a/x", record.load(), record.revision)

    def numbers(at: int | None = None) -> list[int]:
        return [record.load()["number"] for record in store.list("/a/", at=at)]

    assert numbers() == [2]
    assert numbers(at=3) == [3, 2]
    assert numbers(at=1) == [1]
    assert store.list("/b/") == []


def test_state_and_history_survive_a_restart(tmp_path: Path):
    path = tmp_path / "store.db"
    store = Store(path)
    store.create("/a/x", value(1))
    kept = store.create("/a/y", value(2))
    store.delete("/a/y", kept.load(), kept.revision)
    # The file is opened again without being closed: as after kill -9.
    again = Store(path)
    assert again.revision == 3
    assert [record.key for record in again.list("/a/")] == ["/a/x"]
    assert (path.stat().st_mode & 0o777) == 0o600
    store.close()
    again.close()


async def test_a_watch_has_history_and_what_comes(store: Store):
    first = store.create("/a/x", value(1))
    store.create("/b/x", value(1))
    with store.watch("/a/", after=0) as watch:
        second = store.update("/a/x", value(2), first.revision)
        store.delete("/a/x", second.load(), second.revision)
        changes = await watch.batch()
    assert [(change.type, change.revision) for change in changes] == [(ADDED, 1), (MODIFIED, 3), (DELETED, 4)]
    assert [change.old and change.old["number"] for change in changes] == [None, 1, 2]
    assert changes[-1].object["metadata"]["resourceVersion"] == "4"


async def test_a_watch_waits(store: Store):
    with store.watch("/a/", after=0) as watch:
        assert await watch.batch(0) == []
        waiting = asyncio.ensure_future(watch.batch())
        await asyncio.sleep(0)
        store.create("/a/x", value(1))
        assert [change.key for change in await waiting] == ["/a/x"]


async def test_a_slow_watch_is_cut_off_and_costs_the_others_nothing(store: Store):
    with store.watch("/a/", 0, queue_limit=2) as slow, store.watch("/a/", 0, queue_limit=10) as fast:
        for number in range(4):
            store.create(f"/a/{number}", value(number))
        assert len(await fast.batch()) == 4
        assert len(await slow.batch()) == 2
        with pytest.raises(WatchEndedError) as ended:
            await slow.batch()
    assert ended.value.slow


async def test_compaction_forgets_the_past_and_nothing_else(store: Store):
    record = store.create("/a/x", value(1))
    record = store.update("/a/x", value(2), record.revision)
    gone = store.create("/a/y", value(3))
    store.delete("/a/y", gone.load(), gone.revision)
    last = store.update("/a/x", value(4), record.revision)
    assert store.compact(4) == 3
    with pytest.raises(CompactedError, match=r"too old resource version: 3 \(4\)"):
        store.watch("/a/", after=3)
    with pytest.raises(CompactedError):
        store.list("/a/", at=3)
    assert [r.load()["number"] for r in store.list("/a/", at=4)] == [2]
    with store.watch("/a/", after=4) as watch:
        assert [change.revision for change in await watch.batch()] == [last.revision]


def test_compaction_in_pieces_is_never_seen_half_done_and_makes_the_file_small(tmp_path: Path):
    path = tmp_path / "store.db"
    store = Store(path)
    record = store.create("/a/x", {"metadata": {}, "data": "x" * 10_000})
    for _ in range(200):
        record = store.update("/a/x", record.load(), record.revision)
    assert store.compact(record.revision, limit=50) == 50
    with pytest.raises(CompactedError):
        store.watch("/a/", after=record.revision - 1)
    again = Store(path)  # as after a kill between two pieces
    assert (again.compacted, again.revision) == (record.revision, record.revision)
    pieces = []
    while removed := again.compact(record.revision, limit=100):
        pieces.append(removed)
    assert pieces == [100, 50]
    assert again.list("/a/")[0].value == record.value
    again.close()
    store.close()
    assert path.stat().st_size < 100_000


# One step: (which key, whether to delete it if it is there, whether to compact first, whether to read the watch).
STEPS = st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans(), st.booleans()), max_size=40)


@settings(deadline=None)
@given(steps=STEPS, begin=st.integers(0, 40))
def test_a_list_and_its_watch_give_what_the_next_list_shows(steps: list, begin: int):
    asyncio.run(_replay(steps, begin))


async def _replay(steps: list, begin: int) -> None:
    store, watch, copy = Store(":memory:"), None, {}
    for index, (number, delete, compact, read) in enumerate([*steps, (0, False, False, True)]):
        if watch is None and (index == begin or index == len(steps)):
            copy = {record.key: record.value for record in store.list("/a/")}
            watch = store.watch("/a/", after=store.revision)
        if compact:
            store.compact(store.revision - 1)
        _step(store, f"/a/{number}", delete, index)
        if watch is not None and read:
            for change in await watch.batch():
                _follow(copy, change)
    assert copy == {record.key: record.value for record in store.list("/a/")}
    store.close()


def _step(store: Store, key: str, delete: bool, number: int) -> None:
    record = store.get(key)
    if record is None:
        store.create(key, value(number))
    elif delete:
        store.delete(key, record.load(), record.revision)
    else:
        store.update(key, value(number), record.revision)


def _follow(copy: dict, change) -> None:
    assert (change.key in copy) is (change.type != ADDED)
    if change.type == DELETED:
        del copy[change.key]
    else:
        copy[change.key] = change.value
