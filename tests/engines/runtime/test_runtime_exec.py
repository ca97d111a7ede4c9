"""Further processes in a running container."""

from __future__ import annotations

import os

import pytest

from kubelab.runtime.api import Level, RuntimeServiceError
from kubelab.runtime.descriptors import chunks

from .conftest import Lab, eventually


async def test_exec_sync_gives_both_streams_and_the_exit_code(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60", env=(("A", "1"), ("B", "2")))
    result = await lab.client.exec_sync(
        container, ["sh", "-c", 'echo "$A $B"; echo err >&2; exit 4'], timeout=10, env=[("B", "3")]
    )
    assert (result.stdout, result.stderr, result.exit_code) == (b"1 3\n", b"err\n", 4)


async def test_much_output_comes_whole(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    result = await lab.client.exec_sync(container, ["python3", "-c", "print('x' * 3_000_000)"], timeout=20)
    assert len(result.stdout) == 3_000_001


async def test_exec_starts_in_the_containers_working_dir(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sh", "-c", "echo here > file; sleep 60", working_dir="/srv/app")

    async def read() -> bytes | None:
        result = await lab.client.exec_sync(container, ["cat", "file"], timeout=10)
        return result.stdout or None

    assert await eventually(read) == b"here\n"


async def test_a_missing_program_is_an_error_in_runcs_words(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    with pytest.raises(RuntimeServiceError, match=r'exec: "nosuch": executable file not found in \$PATH'):
        await lab.client.exec_sync(container, ["nosuch"], timeout=10)


async def test_after_its_time_the_program_is_killed(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    with pytest.raises(RuntimeServiceError) as raised:
        await lab.client.exec_sync(container, ["sleep", "50"], timeout=0.2)
    assert raised.value.code == "DeadlineExceeded"

    async def alone() -> bool | None:
        return [each["cmd"] for each in await lab.client.processes(container)] == ["sleep 60"] or None

    assert await eventually(alone)


async def test_a_stopped_container_takes_no_exec(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "true")
    await lab.ended(container)
    with pytest.raises(RuntimeServiceError) as raised:
        await lab.client.exec_sync(container, ["true"], timeout=10)
    assert raised.value.code == "FailedPrecondition"


async def test_exec_ends_with_its_container(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    async with await lab.client.exec(container, ["sleep", "59"]) as session:
        await lab.client.stop_container(container, timeout=0)
        assert await session.wait() == 137


async def test_a_session_reads_its_input_to_the_end(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    async with await lab.client.exec(container, ["cat"], stdin=True) as session:
        os.write(session.stdin, b"ping")
        session.close_stdin()
        assert b"".join([each async for each in chunks(session.stdout)]) == b"ping"
        assert await session.wait() == 0


async def test_a_signal_reaches_the_program(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    async with await lab.client.exec(container, ["sleep", "50"]) as session:
        await session.kill(15)
        assert await session.wait() == 143


async def test_a_terminal_for_exec(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    program = "import os, sys; print(sys.stdin.isatty(), os.environ['TERM']); input(); print(os.get_terminal_size())"
    async with await lab.client.exec(container, ["python3", "-c", program], tty=True, stdin=True) as session:
        await session.resize(rows=50, columns=101)
        os.write(session.stdin, b"\n")
        output = b"".join([each async for each in chunks(session.stdout)])
        assert await session.wait() == 0
    assert b"True xterm" in output
    assert b"columns=101, lines=50" in output


async def test_exec_sees_the_containers_processes_as_its_own(lab: Lab) -> None:
    if lab.level is not Level.NAMESPACES:
        pytest.skip("processes are shared with the host at this level")
    container = await lab.start(await lab.pod(), "sleep", "60")
    result = await lab.client.exec_sync(container, ["cat", "/proc/1/cmdline"], timeout=10)
    assert result.stdout == b"sleep\x0060\x00"
