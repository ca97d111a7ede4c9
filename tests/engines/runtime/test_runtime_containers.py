"""One container's life: output, exit, signals, files, limits."""

from __future__ import annotations

import os
import signal
import tarfile

import pytest

from kubelab.images.changes import diff
from kubelab.runtime import proc
from kubelab.runtime.api import ContainerState, Level, Mount, Resources, RuntimeServiceError

from .conftest import Lab, eventually

WAIT_FOR_TERM = "import signal; print('ready'); signal.sigwait([signal.SIGTERM]); print('bye'); raise SystemExit(7)"
GROW = "import time; kept = []; print('ready')\nwhile True: kept.append(bytearray(1 << 20)); time.sleep(0.002)"


async def test_output_is_logged_byte_for_byte(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sh", "-c", "printf 'one\\ntwo'; printf three >&2; exit 3")
    status = await lab.ended(container)
    assert (status.exit_code, status.reason) == (3, "Error")
    assert await lab.output(container, "stdout") == b"one\ntwo"
    assert await lab.output(container, "stderr") == b"three"
    assert status.created_at < status.started_at < status.finished_at


async def test_a_prompt_without_newline_reaches_the_log_while_the_program_waits(lab: Lab) -> None:
    container = await lab.python(await lab.pod(), "import sys, time; sys.stdout.write('name: '); time.sleep(60)")
    assert await lab.says(container, b"name: ") == b"name: "


async def test_zero_is_completed_and_a_signal_is_128_and_its_number(lab: Lab) -> None:
    pod = await lab.pod()
    assert (await lab.ended(await lab.start(pod, "true"))).reason == "Completed"
    sleeper = await lab.start(pod, "sleep", "60")
    await lab.client.kill_container(sleeper, signal.SIGKILL)
    status = await lab.ended(sleeper)
    assert (status.exit_code, status.reason) == (137, "Error")


async def test_stop_lets_the_program_end_itself(lab: Lab) -> None:
    program = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); {WAIT_FOR_TERM}"
    container = await lab.python(await lab.pod(), program)
    await lab.says(container, b"ready")
    await lab.client.stop_container(container, timeout=10)
    assert (await lab.client.container_status(container)).exit_code == 7
    assert await lab.output(container) == b"ready\nbye\n"


async def test_pid_1_without_a_handler_ignores_sigterm(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    await lab.client.stop_container(container, timeout=0.2)
    expected = 137 if lab.level is Level.NAMESPACES else 143  # plain processes are not PID 1
    assert (await lab.client.container_status(container)).exit_code == expected


async def test_the_stop_signal_of_the_config_is_sent(lab: Lab) -> None:
    program = (
        "import signal, sys; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(5)); print('ready'); signal.pause()"
    )
    container = await lab.python(await lab.pod(), program, stop_signal="SIGUSR1")
    await lab.says(container, b"ready")
    await lab.client.stop_container(container, timeout=10)
    assert (await lab.client.container_status(container)).exit_code == 5


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("nosuch",), 'exec: "nosuch": executable file not found in $PATH'),
        (("/no/such",), 'exec: "/no/such": stat /no/such: no such file or directory'),
    ],
)
async def test_a_program_that_is_not_there_is_a_start_error_in_runcs_words(
    lab: Lab, argv: tuple[str, ...], reason: str
) -> None:
    container = await lab.create(await lab.pod(), *argv)
    with pytest.raises(RuntimeServiceError) as raised:
        await lab.client.start_container(container)
    status = await lab.client.container_status(container)
    assert reason in str(raised.value)
    assert status.message == str(raised.value)
    assert (status.state, status.exit_code, status.reason) == (ContainerState.EXITED, 128, "StartError")


async def test_starting_twice_is_refused(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    with pytest.raises(RuntimeServiceError) as raised:
        await lab.client.start_container(container)
    assert raised.value.code == "FailedPrecondition"


async def test_environment_working_dir_and_hostname(lab: Lab) -> None:
    program = "import os, socket; print(os.environ['COLOR'], os.getcwd(), socket.gethostname(), os.environ['HOSTNAME'])"
    container = await lab.python(
        await lab.pod("web"), program, env=(("COLOR", "blue"),), working_dir="/srv/app", tty=False
    )
    assert (await lab.ended(container)).exit_code == 0
    color, cwd, *names = (await lab.output(container)).decode().split()
    assert (color, names) == ("blue", ["web", "web"])
    assert cwd == "/srv/app" if lab.level is Level.NAMESPACES else cwd.endswith("/merged/srv/app")


async def test_changes_are_in_the_writable_layer_and_nowhere_else(lab: Lab) -> None:
    pod = await lab.pod()
    script = "echo new > srv/new; rm usr/bin/awk; mkdir -p srv/folder; echo text > srv/folder/file"
    container = await lab.start(pod, "sh", "-c", script, working_dir="/")
    assert (await lab.ended(container)).exit_code == 0
    layer = lab.client.writable_layer(container)
    assert (layer / "srv/new").read_text() == "new\n"
    with diff(layer) as tar:
        names = set(tarfile.TarFile(fileobj=tar).getnames())
    assert {"srv/new", "srv/folder/file", "usr/bin/.wh.awk"} <= names
    assert "usr/bin/sh" not in names
    code, _ = await lab.run(pod, "sh", "-c", "test -e usr/bin/awk && ! test -e srv/new", working_dir="/")
    assert code == 0


async def test_a_program_that_changes_nothing_leaves_an_empty_layer(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "true")
    await lab.ended(container)
    assert list(lab.client.writable_layer(container).iterdir()) == []


async def test_a_mount_is_the_hosts_folder(lab: Lab) -> None:
    shared = lab.logs / "shared"
    shared.mkdir(exist_ok=True)
    (shared / "greeting").write_text("hello")
    mount = Mount("/srv/data", str(shared))
    code, output = await lab.run(
        await lab.pod(), "sh", "-c", "cat data/greeting; echo back > data/answer", working_dir="/srv", mounts=(mount,)
    )
    assert (code, output) == (0, b"hello")
    assert (shared / "answer").read_text() == "back\n"


async def test_a_mount_whose_source_is_missing_is_refused(lab: Lab) -> None:
    with pytest.raises(RuntimeServiceError, match=r"/no/such.*no such file or directory"):
        await lab.create(await lab.pod(), "true", mounts=(Mount("/data", "/no/such"),))


async def test_above_its_memory_limit_a_container_is_killed(lab: Lab) -> None:
    container = await lab.python(await lab.pod(), GROW, resources=Resources(memory_limit=64 << 20))
    status = await lab.ended(container)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")


async def test_below_its_memory_limit_it_lives(lab: Lab) -> None:
    code, _ = await lab.run(await lab.pod(), "sleep", "0.5", resources=Resources(memory_limit=64 << 20))
    assert code == 0


async def test_stats_and_processes_are_of_the_whole_container(lab: Lab) -> None:
    program = "import subprocess; kept = bytearray(40 << 20); print('ready'); subprocess.run(['sleep', '60'])"
    container = await lab.python(await lab.pod(), program)
    await lab.says(container, b"ready")

    async def both() -> list[dict[str, object]] | None:
        found = await lab.client.processes(container)
        return found if len(found) == 2 and found[1]["cmd"] == "sleep 60" else None

    first, second = await eventually(both)
    stats = await lab.client.container_stats(container)
    assert second["ppid"] == first["pid"] == (await lab.client.container_status(container)).pid
    assert stats.pids == 2
    assert 40 << 20 < stats.memory_bytes < 200 << 20
    assert stats.cpu_nanoseconds >= 0


async def test_what_the_first_process_left_behind_ends_with_it(lab: Lab) -> None:
    program = (
        "import os, subprocess; p = subprocess.Popen(['sleep', '61'], start_new_session=True); print('ready'); input()"
    )
    container = await lab.python(await lab.pod(), program, stdin=True)
    await lab.says(container, b"ready")
    pids = [each["pid"] for each in await lab.client.processes(container)]
    os.close(await lab.client.attach_stdin(container))
    await lab.client.kill_container(container, signal.SIGKILL)
    await lab.ended(container)
    assert len(pids) == 2
    for pid in pids:
        assert not is_running(pid)


def is_running(pid: int) -> bool:
    status = proc.stat(pid)
    return status is not None and status.state not in "ZX"


async def test_stdin_stays_open_between_attachments(lab: Lab) -> None:
    program = "print('hello', input()); print('and', input())"
    container = await lab.python(await lab.pod(), program, stdin=True)
    for name, answer in ((b"Ann\n", b"hello Ann\n"), (b"Bob\n", b"and Bob\n")):
        descriptor = await lab.client.attach_stdin(container)
        os.write(descriptor, name)
        os.close(descriptor)
        await lab.says(container, answer)
    assert (await lab.ended(container)).exit_code == 0


async def test_with_stdin_once_the_attachments_end_is_the_inputs_end(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "cat", stdin=True, stdin_once=True)
    descriptor = await lab.client.attach_stdin(container)
    os.write(descriptor, b"all of it")
    os.close(descriptor)
    assert (await lab.ended(container)).exit_code == 0
    assert await lab.output(container) == b"all of it"


async def test_a_terminal_has_a_size_and_takes_input(lab: Lab) -> None:
    program = "import os, sys; print(sys.stdin.isatty(), sys.stderr.isatty()); input(); print(os.get_terminal_size())"
    container = await lab.python(await lab.pod(), program, tty=True, stdin=True)
    await lab.says(container, b"True True\r\n")
    await lab.client.resize_container_tty(container, rows=40, columns=132)
    descriptor = await lab.client.attach_stdin(container)
    os.write(descriptor, b"\n")
    os.close(descriptor)
    assert (await lab.ended(container)).exit_code == 0
    assert b"columns=132, lines=40" in await lab.output(container)


async def test_a_removed_container_is_unknown(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    await lab.client.remove_container(container)
    with pytest.raises(RuntimeServiceError) as raised:
        await lab.client.container_status(container)
    assert raised.value.code == "NotFound"
    await lab.client.remove_container(container)


@pytest.mark.parametrize(("home", "env"), [("root", ()), ("home/app", (("HOME", "/home/app"),))])
async def test_home_is_in_the_containers_files(lab: Lab, home: str, env: tuple[tuple[str, str], ...]) -> None:
    script = 'mkdir -p "$HOME" && cd && echo kept > file'
    container = await lab.start(await lab.pod(), "sh", "-c", script, env=env)
    assert (await lab.ended(container)).exit_code == 0
    assert (lab.client.writable_layer(container) / home / "file").read_text() == "kept\n"
