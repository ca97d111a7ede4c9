"""Pods' addresses: one for each pod, shared by its containers, reached from machines and other pods."""

from __future__ import annotations

import asyncio

import pytest

from kubelab.runtime.api import Level, MachineConfig, RuntimeServiceError, SandboxState

from .conftest import Lab, eventually

SERVE = """
import http.server, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(f"{socket.gethostname()} to {self.client_address[0]}".encode())
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("", 8080), Handler)
print("ready"); server.serve_forever()
"""
GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


async def get(lab: Lab, where: str, host: str, port: int = 8080) -> bytes:
    reader, writer = await lab.client.dial(where, host, port, timeout=5)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    body = (await reader.read()).rpartition(b"\r\n\r\n")[2]
    writer.close()
    return body


async def serve(lab: Lab, pod: str) -> str:
    container = await lab.python(pod, SERVE)
    await lab.says(container, b"ready")
    return container


async def test_two_pods_serve_on_one_port(lab: Lab) -> None:
    first, second = await lab.pod("first"), await lab.pod("second")
    await asyncio.gather(serve(lab, first), serve(lab, second))
    for pod, name in ((first, b"first"), (second, b"second")):
        assert (await get(lab, "node-1", await lab.ip(pod))).startswith(name)
        assert (await get(lab, pod, "localhost")).startswith(name)


async def test_a_pod_reaches_a_pod_on_another_machine_and_is_seen_by_its_address(lab: Lab) -> None:
    server, client = await lab.pod("server", "node-1"), await lab.pod("client", "node-2")
    await serve(lab, server)
    code, output = await lab.run(client, "python3", "-c", GET, f"http://{await lab.ip(server)}:8080/")
    assert (code, output.decode()) == (0, f"server to {await lab.ip(client)}\n")


async def test_containers_of_a_pod_share_localhost(lab: Lab) -> None:
    pod = await lab.pod("shared")
    await serve(lab, pod)
    code, output = await lab.run(pod, "python3", "-c", GET, "http://localhost:8080/")
    assert (code, output[:10]) == (0, b"shared to ")


async def test_one_port_of_a_pod_is_there_once(lab: Lab) -> None:
    pod = await lab.pod()
    await serve(lab, pod)
    code, output = await lab.run(pod, "python3", "-c", SERVE)
    assert code == 1
    assert b"Address already in use" in output


async def test_where_nothing_listens_the_connection_is_refused(lab: Lab) -> None:
    pod = await lab.pod()
    with pytest.raises(ConnectionRefusedError):
        await lab.client.dial("node-1", await lab.ip(pod), 8080, timeout=5)


async def test_pods_reach_an_address_that_their_machine_takes(lab: Lab) -> None:
    address = "10.96.0.10" if lab.level is Level.NAMESPACES else "127.213.128.10"
    await lab.client.add_address("node-2", address)
    await lab.client.add_address("node-2", address)
    listener = await lab.client.listen("node-2", address, 80)
    with listener:
        pod = await lab.pod("client", "node-2")
        program = f"import socket; print(socket.create_connection(('{address}', 80), 5).recv(9))"
        container = await lab.python(pod, program)
        connection, (peer, _) = await asyncio.get_running_loop().sock_accept(listener)
        connection.sendall(b"served")
        connection.close()
        assert (await lab.ended(container)).exit_code == 0
        assert (await lab.output(container), peer) == (b"b'served'\n", await lab.ip(pod))
    await lab.client.remove_address("node-2", address)


async def test_addresses_are_used_in_turn(lab: Lab) -> None:
    first = await lab.pod("first")
    address = await lab.ip(first)
    await lab.client.remove_pod_sandbox(first)
    assert await lab.ip(await lab.pod("second")) != address


async def test_losing_a_machine_kills_its_pods_and_no_others(lab: Lab) -> None:
    lost, kept = await lab.pod("lost", "node-1"), await lab.pod("kept", "node-2")
    await lab.start(lost, "sleep", "60")
    survivor = await lab.start(kept, "sleep", "60")
    await lab.client.remove_machine("node-1")
    assert [each.id for each in await lab.client.list_pod_sandbox()] == [kept]
    assert [each.id for each in await lab.client.list_containers()] == [survivor]
    await lab.client.ensure_machine(lab.machines[0])
    assert await lab.client.list_pod_sandbox("node-1") == []


async def test_a_machine_asked_for_by_several_at_once_is_made_once(lab: Lab) -> None:
    added = MachineConfig("node-9", "172.31.0.19/24", "10.244.9.0/24")
    if lab.level is Level.PROCESS:
        added = MachineConfig("node-9", "127.213.0.19/8", "127.213.25.0/24")
    try:
        await asyncio.gather(*(lab.client.ensure_machine(added) for _ in range(3)))
        ip = await lab.ip(await lab.pod("web", "node-9"))
        await serve(lab, (await lab.client.list_pod_sandbox(machine="node-9"))[0].id)
        assert b"web to" in await get(lab, "node-1", ip)
    finally:
        await lab.client.remove_machine("node-9")
    with pytest.raises(RuntimeServiceError, match="not found"):
        await lab.pod("late", "node-9")


async def test_a_machine_cannot_be_changed_in_place(lab: Lab) -> None:
    machine = lab.machines[0]
    with pytest.raises(RuntimeServiceError, match="remove it first"):
        await lab.client.ensure_machine(MachineConfig(machine.name, lab.machines[1].address, machine.pod_cidr))


async def test_stopping_a_pod_kills_its_containers(lab: Lab) -> None:
    pod = await lab.pod()
    container = await lab.start(pod, "sleep", "60")
    await lab.client.stop_pod_sandbox(pod)
    assert (await lab.client.pod_sandbox_status(pod)).state is SandboxState.NOTREADY
    assert (await lab.client.container_status(container)).exit_code == 137
    with pytest.raises(RuntimeServiceError, match="not ready"):
        await lab.create(pod, "true")


async def test_events_tell_what_happened(lab: Lab) -> None:
    seen: list[tuple[str, str]] = []
    listening = asyncio.Event()

    async def listen() -> None:
        async for event in lab.client.events():
            seen.append((event.type, event.container_id))
            listening.set()

    task = asyncio.create_task(listen())

    async def heard() -> bool | None:
        await lab.pod("first")
        return listening.is_set() or None

    await eventually(heard)
    pod = await lab.pod()
    container = await lab.start(pod, "true")
    await lab.ended(container)
    await lab.client.remove_pod_sandbox(pod)

    async def complete() -> list[str] | None:
        found = [kind for kind, subject in seen if subject == container]
        return found if found[-1:] == ["CONTAINER_DELETED_EVENT"] else None

    names = ["CREATED", "STARTED", "STOPPED", "DELETED"]
    assert await eventually(complete) == [f"CONTAINER_{name}_EVENT" for name in names]
    assert ("CONTAINER_STARTED_EVENT", pod) in seen
    task.cancel()
