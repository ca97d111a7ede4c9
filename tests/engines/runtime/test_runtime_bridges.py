"""Further networks of a machine, and the ways in which a sandbox has none of its own."""

from __future__ import annotations

import pytest

from kubelab.runtime.api import DNSConfig, Level, NetworkConfig, RuntimeServiceError

from .conftest import Lab

REACH = """
import socket, sys
s = socket.socket(); s.settimeout(2)
try: s.connect((sys.argv[1], 80)); print('reached')
except OSError as error: print(type(error).__name__, error.errno)
"""
SERVE = "import socket; s = socket.create_server(('', 80)); print('ready')\nwhile True: s.accept()"


def net(number: int, **fields: object) -> NetworkConfig:
    return NetworkConfig(f"n{number}", "node-1", f"10.9{number}.0.0/24", f"10.9{number}.0.1", f"br-n{number}", **fields)


@pytest.fixture(autouse=True)
def only_with_namespaces(lab: Lab) -> None:
    if lab.level is not Level.NAMESPACES:
        pytest.skip("this level shares the host's network")


async def reach(lab: Lab, pod: str, ip: str) -> bytes:
    return (await lab.run(pod, "python3", "-c", REACH, ip))[1]


async def test_a_network_joins_its_members_and_nobody_else(lab: Lab) -> None:
    for number in (1, 2):
        await lab.client.ensure_network(net(number))
        await lab.client.ensure_network(net(number))
    pods = [await lab.pod(f"p{number}", network="none") for number in range(3)]
    first = await lab.client.connect_sandbox(pods[0], "n1")
    assert (first.interface, first.ip, first.gateway) == ("eth0", "10.91.0.2", "10.91.0.1")
    assert await lab.client.connect_sandbox(pods[0], "n1") == first
    second = await lab.client.connect_sandbox(pods[1], "n1", "10.91.0.9")
    assert second.ip == "10.91.0.9"
    await lab.client.connect_sandbox(pods[2], "n2")
    server = await lab.python(pods[0], SERVE)
    await lab.says(server, b"ready")
    assert await reach(lab, pods[1], first.ip) == b"reached\n"
    assert await reach(lab, pods[2], first.ip) != b"reached\n"
    assert await reach(lab, await lab.pod("default"), first.ip) != b"reached\n"
    third = await lab.client.connect_sandbox(pods[2], "n1")
    assert (third.interface, third.ip) == ("eth1", "10.91.0.3")
    assert await reach(lab, pods[2], first.ip) == b"reached\n"
    await lab.client.disconnect_sandbox(pods[2], "n1")
    assert await reach(lab, pods[2], first.ip) != b"reached\n"
    status = await lab.client.pod_sandbox_status(pods[2])
    assert [each.network for each in status.endpoints] == ["n2"]
    with pytest.raises(RuntimeServiceError, match="already in use"):
        await lab.client.connect_sandbox(pods[2], "n1", "10.91.0.9")
    for pod in pods:
        await lab.client.remove_pod_sandbox(pod)
    await lab.client.remove_network("node-1", "n1")
    await lab.client.ensure_network(net(1, internal=True))


async def test_a_sandbox_without_a_network_has_lo_alone(lab: Lab) -> None:
    _, output = await lab.run(await lab.pod(network="none"), "cat", "/proc/net/dev")
    assert [line.split(b":")[0].strip() for line in output.splitlines()[2:]] == [b"lo"]


@pytest.mark.parametrize("mode", ["node", "container"])
async def test_a_shared_network(lab: Lab, mode: str) -> None:
    owner = await lab.pod("owner")
    pod = await lab.pod("guest", network="node" if mode == "node" else f"container:{owner}")
    mine, theirs = [(await lab.client.pod_sandbox_status(each)) for each in (pod, owner)]
    assert (mine.namespaces["net"] == theirs.namespaces["net"]) == (mode == "container")
    assert mine.namespaces["ipc"] != theirs.namespaces["ipc"]
    assert mine.ip == (lab.machines[0].address.partition("/")[0] if mode == "node" else theirs.ip)
    code, _ = await lab.run(pod, "true")
    assert code == 0


async def test_names_change_under_a_running_container(lab: Lab) -> None:
    pod = await lab.pod()
    container = await lab.start(pod, "sleep", "60")
    await lab.client.update_pod_sandbox(pod, DNSConfig(("127.0.0.11",), (), ("ndots:0",)), {"friend": "10.9.8.7"})
    result = await lab.client.exec_sync(container, ["cat", "/etc/hosts", "/etc/resolv.conf"], timeout=10)
    assert b"10.9.8.7\tfriend\n" in result.stdout
    assert b"nameserver 127.0.0.11\noptions ndots:0\n" in result.stdout
