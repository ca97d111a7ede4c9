"""Starting in the order of needs, failing loudly, restarting what crashes, stopping what hangs: on toy components."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from kubelab.supervisor import child, pids, supervisor
from kubelab.supervisor.child import StartError
from kubelab.supervisor.supervisor import Refused, Supervisor
from kubelab.supervisor.units import Unit


@pytest.fixture(autouse=True)
def _toys_are_importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(supervisor, "BACKOFF", 0.01)
    monkeypatch.setattr(child, "STOP_TIMEOUT", 1.0)


@pytest.fixture
def lab(home, monkeypatch):
    async def no_image(home):
        return None

    monkeypatch.setattr(supervisor, "make_base_image", no_image)

    def make(*units):
        return Supervisor(home, "class", {unit.name: unit for unit in units})

    return make


def toy(name, *options, **given):
    return Unit(name, "toy", (*options, name), **given)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


RUNTIME = toy("runtime")
NODE = toy("node-1", needs=("runtime",), part_of=("runtime",))


async def test_all_are_ready_and_then_gone(lab, home):
    it = lab(RUNTIME, NODE)
    await it.start()
    status = it.status()
    assert [(each["name"], each["state"]) for each in status["components"]] == [
        ("runtime", "ready"),
        ("node-1", "ready"),
    ]
    assert (status["level"], status["profile"]) == ("namespaces", "class")
    running = [pids.identify(each["pid"]) for each in status["components"]]
    assert all(process.alive() for process in running)
    await it.stop()
    assert not any(process.alive() for process in running)
    assert not list(home.run.iterdir())


async def test_none_begins_before_its_need_is_ready(lab, home):
    it = lab(NODE, RUNTIME)
    await it.kept["node-1"].child.spawn()
    bringing = asyncio.create_task(it._bring_up(it.kept["node-1"]))
    await it.kept["runtime"].child.spawn()
    assert "begins" not in (home.log / "node-1.log").read_text()
    await it._bring_up(it.kept["runtime"])
    await bringing
    assert "node-1 begins" in (home.log / "node-1.log").read_text()
    await it.stop()


async def test_what_does_not_start_stops_everything_and_shows_its_log(lab):
    it = lab(RUNTIME, toy("engine", "--fail", needs=("runtime",)))
    with pytest.raises(StartError, match=r"engine ended \(exit code 1\)(.|\n)*toy: told to fail"):
        await it.start()
    assert it.kept["runtime"].child.pid is None


async def test_a_crash_is_followed_by_a_restart(lab):
    it = lab(RUNTIME)
    await it.start()
    first = it.kept["runtime"].child.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: it.kept["runtime"].restarts == 1 and it.kept["runtime"].state == "ready")
    assert it.kept["runtime"].child.pid != first
    assert "SIGKILL" in it.kept["runtime"].last_error
    await it.stop()


async def test_what_stood_on_it_starts_afresh(lab):
    it = lab(RUNTIME, NODE)
    await it.start()
    node = it.kept["node-1"].child.pid
    os.kill(it.kept["runtime"].child.pid, signal.SIGKILL)
    await until(lambda: it.kept["node-1"].child.pid not in (None, node) and it.kept["node-1"].state == "ready")
    await it.stop()


async def test_each_restart_waits_twice_as_long(lab):
    it = lab(RUNTIME)
    await it.start()
    for count in (1, 2, 3):
        os.kill(it.kept["runtime"].child.pid, signal.SIGKILL)
        await until(lambda: it.kept["runtime"].restarts == count and it.kept["runtime"].state == "ready")  # noqa: B023
    assert it.kept["runtime"].delay == pytest.approx(0.08)
    await it.stop()


async def test_one_that_ignores_sigterm_is_killed(lab):
    it = lab(toy("runtime", "--deaf"))
    await it.start()
    process = pids.identify(it.kept["runtime"].child.pid)
    await it.stop()
    assert not process.alive()


async def test_unknown_names_are_refused_with_those_that_exist(lab):
    it = lab(RUNTIME, NODE)
    with pytest.raises(Refused, match="no component 'scheduler'; there are: runtime, node-1"):
        await it.restart("scheduler")
    with pytest.raises(Refused, match="no node 'node-9'"):
        await it.stop_node("node-9")
    with pytest.raises(Refused, match="no node 'runtime'"):
        await it.stop_node("runtime")
    with pytest.raises(Refused, match="no profile 'fast'; there are: upstream, class"):
        await it.set_profile("fast")
