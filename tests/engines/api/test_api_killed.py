"""The API server is killed, hundreds of times, at any moment of a load of writes: no acknowledged write is missing,
and a watch that begins again where it was cut off neither skips nor repeats a change."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engines.cluster.lab import eventually
from kubelab.cluster.client import AlreadyExists, APIClient, APIError, Conflict, Gone, NotFound, Unavailable
from kubelab.cluster.resources import CONFIGMAPS
from kubelab.home import Home
from kubelab.settings import files

DEATHS = 300
WRITERS = 4
WRITES = 20  # acknowledged before a death, at most
MOMENT = 0.004  # seconds more, at most
NAMESPACE = "default"
ABSENT = None

pytestmark = pytest.mark.timeout(400)


class Server:
    """The API server of one store: `await start()`, `kill()`."""

    def __init__(self, home: Home, compact_every: float | None = None) -> None:
        self._home = home
        self._arguments = [str(home.path)] + ([str(compact_every)] if compact_every else [])
        self.pid = 0

    async def __aenter__(self) -> Server:
        self._nursery = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engines.api.forked_server", *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "KUBELAB_HOME": str(self._home.path)},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._nursery.kill()
        await self._nursery.wait()

    async def start(self) -> None:
        self._nursery.stdin.write(b"start\n")
        line = await self._nursery.stdout.readline()
        self.pid = int(line.split()[0])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


@dataclass
class Writer:
    """Creates, changes and deletes objects of its own, and remembers what the server has acknowledged.

    acknowledged: name → the last acknowledged value, ABSENT after a delete. doubtful: name → what a request that got
    no answer would have made of it: both are right until the object is read again.
    """

    number: int
    acknowledged: dict[str, int | None] = field(default_factory=dict)
    doubtful: dict[str, int | None] = field(default_factory=dict)
    turn: int = 0
    writes: int = 0

    async def work(self, client: APIClient, chance: random.Random) -> None:
        """Until the server is gone."""
        while True:
            name = f"w{self.number}-{chance.randrange(12)}"
            self.turn += 1
            try:
                if name in self.doubtful:
                    await self._settle(client, name)
                await self._write(client, name, chance)
                self.writes += 1
            except Unavailable:
                return

    async def _write(self, client: APIClient, name: str, chance: random.Random) -> None:
        there = self.acknowledged.get(name) is not ABSENT
        value = ABSENT if there and chance.random() < 0.3 else self.turn
        self.doubtful[name] = value
        if value is ABSENT:
            await client.delete(CONFIGMAPS, name, NAMESPACE)
        else:
            obj = {"metadata": {"name": name, "namespace": NAMESPACE}, "data": {"value": str(value)}}
            await (client.update(CONFIGMAPS, obj) if there else client.create(CONFIGMAPS, obj))
        self.acknowledged[name] = self.doubtful.pop(name)

    async def _settle(self, client: APIClient, name: str) -> None:
        found = await read(client, name)
        self.check(name, found)
        self.acknowledged[name] = found
        del self.doubtful[name]

    def check(self, name: str, found: int | None) -> None:
        allowed = [self.acknowledged.get(name)]
        if name in self.doubtful:
            allowed.append(self.doubtful[name])
        assert found in allowed, f"{name} is {found}; acknowledged and in flight: {allowed}"


async def read(client: APIClient, name: str) -> int | None:
    try:
        return int((await client.get(CONFIGMAPS, name, NAMESPACE))["data"]["value"])
    except NotFound:
        return ABSENT


@dataclass
class Follower:
    """A watch that begins again after the last change it has seen, whatever happened in between."""

    revision: str
    seen: list[tuple[int, str, str]] = field(default_factory=list)

    async def follow(self, client: APIClient) -> None:
        """Until the server is gone."""
        try:
            async for kind, obj in client.watch(CONFIGMAPS, NAMESPACE, resource_version=self.revision):
                self.revision = obj["metadata"]["resourceVersion"]
                self.seen.append((int(self.revision), kind, obj["metadata"]["name"]))
        except Unavailable:
            return


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        made = Home(Path(folder)).ensure()
        files.write(made, "process", "upstream")
        yield made


async def one_life(
    home: Home, server: Server, writers: list[Writer], followers: Sequence[Follower | Mirror], chance: random.Random
) -> None:
    """Load until the server is killed, after some writes and a moment more, in the middle of whatever it is doing."""
    enough = sum(each.writes for each in writers) + chance.randrange(WRITES)

    async def written() -> bool:
        return sum(each.writes for each in writers) >= enough

    async with APIClient.from_kubeconfig(home.kubeconfig) as client:
        tasks = [asyncio.ensure_future(each.work(client, chance)) for each in writers]
        tasks += [asyncio.ensure_future(each.follow(client)) for each in followers]
        await eventually(written, "the writes of this life")
        await asyncio.sleep(chance.uniform(0, MOMENT))  # not for luck: the place in the next writes
        server.kill()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended


def log_of(home: Home, after: int) -> list[tuple[int, str, str]]:
    """(revision, type, name) of every change of a config map in the namespace, as the store wrote it."""
    prefix = f"/registry/configmaps/{NAMESPACE}/"
    with sqlite3.connect(home.store) as db:
        rows = db.execute(
            "SELECT revision, type, key FROM log WHERE revision > ? AND key LIKE ? ORDER BY revision",
            (after, prefix + "%"),
        )
        return [(revision, kind, key.removeprefix(prefix)) for revision, kind, key in rows]


async def test_no_acknowledged_write_is_lost_and_no_watch_skips_or_repeats(home: Home):
    chance = random.Random(1)
    writers = [Writer(number) for number in range(WRITERS)]
    async with Server(home) as server:
        await server.start()
        async with APIClient.from_kubeconfig(home.kubeconfig) as client:
            start = (await client.list(CONFIGMAPS, NAMESPACE))["metadata"]["resourceVersion"]
        followers = [Follower(start), Follower(start)]
        for _ in range(DEATHS):
            await one_life(home, server, writers, followers, chance)
            await server.start()
        async with APIClient.from_kubeconfig(home.kubeconfig) as client:
            await nothing_is_missing(client, writers)
            log = log_of(home, int(start))
            for follower in followers:
                await caught_up(client, follower, lambda last=follower: int(last.revision) >= log[-1][0])
    assert sum(each.writes for each in writers) > DEATHS
    for follower in followers:
        assert follower.seen == log


async def nothing_is_missing(client: APIClient, writers: list[Writer]) -> None:
    there = {each["metadata"]["name"]: each["data"] for each in (await client.list(CONFIGMAPS, NAMESPACE))["items"]}
    for writer in writers:
        for name in {*writer.acknowledged, *writer.doubtful}:
            data: Any = there.get(name)
            writer.check(name, int(data["value"]) if data else ABSENT)


async def caught_up(client: APIClient, follower: Follower | Mirror, condition: Callable[[], bool]) -> None:
    """Follow until everything has been seen."""
    following = asyncio.ensure_future(follower.follow(client))

    async def seen() -> bool:
        return condition()

    try:
        await eventually(seen, "the follower has seen everything")
    finally:
        following.cancel()


@dataclass
class Mirror:
    """A list, then a watch, and the list again where the watch came too late: what every informer does."""

    objects: dict[str, int] = field(default_factory=dict)
    revision: int = 0
    lists: int = 0

    async def follow(self, client: APIClient) -> None:
        """Until the server is gone."""
        with contextlib.suppress(Unavailable):
            if not self.revision:
                await self._list(client)
            while True:
                with contextlib.suppress(Gone):
                    await self._watch(client)
                await self._list(client)

    async def _list(self, client: APIClient) -> None:
        found = await client.list(CONFIGMAPS, NAMESPACE)
        self.lists += 1
        self.revision = int(found["metadata"]["resourceVersion"])
        items = [each for each in found["items"] if each["metadata"]["name"].startswith("w")]
        self.objects = {each["metadata"]["name"]: int(each["data"]["value"]) for each in items}

    async def _watch(self, client: APIClient) -> None:
        async for kind, obj in client.watch(CONFIGMAPS, NAMESPACE, resource_version=str(self.revision)):
            revision, name = int(obj["metadata"]["resourceVersion"]), obj["metadata"]["name"]
            assert revision > self.revision, "a watch went back"
            self.revision = revision
            if kind == "DELETED":
                del self.objects[name]  # KeyError: a creation was skipped
            else:
                assert (kind == "ADDED") == (name not in self.objects), f"{kind} {name}: a change was skipped"
                self.objects[name] = int(obj["data"]["value"])


async def test_nothing_is_lost_while_history_is_compacted_all_the_time(home: Home):
    chance = random.Random(2)
    writers, mirror = [Writer(number) for number in range(WRITERS)], Mirror()
    async with Server(home, compact_every=0.005) as server:
        await server.start()
        for turn in range(DEATHS // 3):
            followers = [mirror] if turn % 3 else []  # now and then away for a life, so that its history is gone
            await one_life(home, server, writers, followers, chance)
            await server.start()
        async with APIClient.from_kubeconfig(home.kubeconfig) as client:
            await nothing_is_missing(client, writers)
            final = Mirror()
            await final._list(client)
            await caught_up(client, mirror, lambda: mirror.objects == final.objects)
    assert mirror.lists >= 1
    with sqlite3.connect(home.store) as db:
        rows, keys = db.execute("SELECT count(*), count(DISTINCT key) FROM log").fetchone()
    assert rows < keys + 400, "the log is not small"


async def test_an_object_that_was_being_written_is_whole_or_not_there(home: Home):
    """Whatever a request that got no answer has done, the next one finds an object that can be written."""
    async with Server(home) as server:
        await server.start()
        for number in range(40):
            async with APIClient.from_kubeconfig(home.kubeconfig) as client:
                obj = {"metadata": {"name": f"big-{number}", "namespace": NAMESPACE}, "data": {"x": "y" * 500_000}}
                creating = asyncio.ensure_future(client.create(CONFIGMAPS, obj))
                await asyncio.sleep(number / 4000)  # a little later in the request each time
                server.kill()
                answer = (await asyncio.gather(creating, return_exceptions=True))[0]
                assert isinstance(answer, (dict, APIError))
                await server.start()
            async with APIClient.from_kubeconfig(home.kubeconfig) as client:
                try:
                    await client.create(CONFIGMAPS, obj)
                    assert isinstance(answer, Unavailable), "an acknowledged write was lost"
                except (AlreadyExists, Conflict):
                    kept = await client.get(CONFIGMAPS, f"big-{number}", NAMESPACE)
                    assert kept["data"] == obj["data"]
                await client.delete(CONFIGMAPS, f"big-{number}", NAMESPACE)
