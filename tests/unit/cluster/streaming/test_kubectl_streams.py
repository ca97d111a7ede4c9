"""kubectl itself against the kubelet's server, through the API server's connecting routes.

`$KUBELAB_TEST_KUBECTLS` names the programs to try, parted by colons: version 1.20 asks for SPDY, 1.32 for WebSocket.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from kubelab.runtime.api import ContainerState

from .conftest import Cluster, pod

KUBECTLS = [
    program for program in os.environ.get("KUBELAB_TEST_KUBECTLS", "kubectl").split(":") if shutil.which(program)
]
pytestmark = pytest.mark.skipif(not KUBECTLS, reason="kubectl is not on PATH")
each_kubectl = pytest.mark.parametrize("program", KUBECTLS)


@each_kubectl
async def test_exec_keeps_stdout_stderr_and_exit_code_apart(cluster: Cluster, program: str) -> None:
    script = "echo out; echo err >&2; exit 7"
    code, out, err = await cluster.kubectl("exec", "web", "--", "sh", "-c", script, program=program)
    assert (code, out) == (7, "out\n")
    assert err == "err\ncommand terminated with exit code 7\n"


@each_kubectl
async def test_exec_passes_stdin_to_its_end(cluster: Cluster, program: str) -> None:
    data = os.urandom(300_000).hex().encode()
    code, out, _ = await cluster.kubectl("exec", "-i", "web", "--", "cat", stdin=data, program=program)
    assert (code, out) == (0, data.decode())


@each_kubectl
async def test_exec_of_a_missing_program_names_it(cluster: Cluster, program: str) -> None:
    code, _, err = await cluster.kubectl("exec", "web", "--", "nonesuch", program=program)
    assert code == 1
    assert 'exec: "nonesuch": executable file not found in $PATH' in err


@each_kubectl
async def test_exec_ends_with_its_client(cluster: Cluster, program: str) -> None:
    client = await asyncio.create_subprocess_exec(
        program, f"--kubeconfig={cluster.kubeconfig}", "exec", "web", "--", "sh", "-c", "echo up; exec sleep 1000",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert client.stdout is not None
    async with asyncio.timeout(20):
        assert await client.stdout.readline() == b"up\n"
        client.kill()
        assert await cluster.runtime.sessions[0].wait() == 137
        await client.wait()


@each_kubectl
async def test_exec_wants_a_container_that_there_is(cluster: Cluster, program: str) -> None:
    cluster.objects["pods", "two"] = pod("two", "a", "b")
    code, _, err = await cluster.kubectl("exec", "two", "-c", "c", "--", "true", program=program)
    assert code == 1
    assert "container c is not valid for pod two" in err or "container not found" in err


@each_kubectl
async def test_logs_tail_and_timestamps(cluster: Cluster, program: str) -> None:
    cluster.log("one", "two", "three")
    assert (await cluster.kubectl("logs", "web", program=program))[1] == "one\ntwo\nthree\n"
    assert (await cluster.kubectl("logs", "web", "--tail=1", program=program))[1] == "three\n"
    assert (await cluster.kubectl("logs", "web", "--limit-bytes=5", program=program))[1] == "one\nt"
    _, out, _ = await cluster.kubectl("logs", "web", "--timestamps", "--tail=1", program=program)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z three\n", out)


@each_kubectl
async def test_logs_follow_until_the_container_ends(cluster: Cluster, program: str) -> None:
    cluster.log("before")
    following = asyncio.create_task(cluster.kubectl("logs", "-f", "web", program=program))
    cluster.log("after")
    cluster.runtime.state = ContainerState.EXITED
    assert (await following)[:2] == (0, "before\nafter\n")


@each_kubectl
async def test_logs_of_a_previous_container_that_never_was(cluster: Cluster, program: str) -> None:
    code, _, err = await cluster.kubectl("logs", "-p", "web", program=program)
    assert code == 1
    assert 'previous terminated container "main" in pod "web" not found' in err


@each_kubectl
async def test_port_forward_carries_connections_and_says_what_fails(
    cluster: Cluster, program: str, free_port: int
) -> None:
    async with echo_server() as port, port_forward(cluster, program, port, free_port) as (local, unheard):
        for number in range(3):
            assert await asked(local, f"hello {number}\n".encode()) == f"HELLO {number}\n".encode()
        big = b"x" * 1_000_000 + b"\n"
        assert await asked(local, big) == big.upper()
        with suppress(ConnectionError):
            assert await asked(unheard, b"nobody listens there\n") == b""


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def port_forward(cluster: Cluster, program: str, *ports: int) -> AsyncIterator[list[int]]:
    """kubectl port-forward to ports of the pod; the local ports in their order."""
    process = await asyncio.create_subprocess_exec(
        program,
        f"--kubeconfig={cluster.kubeconfig}",
        "port-forward",
        "pod/web",
        "--address=127.0.0.1",
        *(f":{port}" for port in ports),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        lines = [await asyncio.wait_for(process.stdout.readline(), 20) for _ in ports]
        yield [int(line.split(b":")[1].split()[0]) for line in lines]
    finally:
        process.terminate()
        await process.wait()


async def asked(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer
