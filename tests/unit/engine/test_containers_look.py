"""The periodic look at the runtime must not undo what is going on while it asks."""

from types import SimpleNamespace

import pytest

from kubelab.engine.containers_record import Container
from kubelab.engine.containers_store import Containers
from kubelab.engine.networks_wiring import Wiring


class Runtime:
    """Answers the list that was true before `meanwhile` happened."""

    def __init__(self, meanwhile):
        self.meanwhile = meanwhile

    async def list_containers(self, machine):
        await self.meanwhile()
        return []


@pytest.fixture
def container(tmp_path):
    return Container("c1", "one", "", "image", "sha256:1", {"Labels": {}}, {}, tmp_path, runtime_id="", sandbox_id="")


def containers(container, meanwhile):
    engine = SimpleNamespace(runtime=Runtime(meanwhile), machine=SimpleNamespace(name="engine"), networks=None)
    engine.wiring = Wiring(engine)
    made = Containers(engine)
    made._all[container.id] = container
    return made


async def test_a_container_that_is_being_started_keeps_its_sandbox(container):
    async def start():
        await container.busy.acquire()
        container.sandbox_id = "s1"

    await containers(container, start)._look()
    assert container.sandbox_id == "s1"


async def test_a_container_that_has_been_started_meanwhile_has_not_ended(container):
    async def start():
        container.sandbox_id, container.runtime_id, container.status = "s1", "r1", "running"

    await containers(container, start)._look()
    assert (container.status, container.sandbox_id) == ("running", "s1")


async def test_a_stopped_container_that_went_with_the_runtime_begins_afresh(container):
    container.sandbox_id, container.runtime_id, container.status = "s1", "r1", "exited"

    async def nothing():
        return

    await containers(container, nothing)._look()
    assert (container.sandbox_id, container.runtime_id) == ("", "")
