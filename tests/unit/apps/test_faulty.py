"""apps/faulty fails as it is told to, and each failure is the real one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from .program import Program


def faulty(**environment: str) -> Program:
    return Program("faulty", "faulty.py", **environment)


def resident_mebibytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_says_who_answers():
    with faulty(POD_NAME="faulty-x", VERSION="7") as app:
        status, body = app.get("/")
        assert (status, body["pod"], body["version"], body["pid"]) == (200, "faulty-x", "7", app.process.pid)
        assert app.get("/healthz")[0] == app.get("/readyz")[0] == 200
        assert app.get("/nowhere")[0] == 404


def test_a_crash_ends_the_process_with_exit_code_1_after_the_answer():
    with faulty() as app:
        assert app.post("/fault/crash")[0] == 202
        assert app.process.wait(timeout=5) == 1


def test_a_deadlock_leaves_the_process_running_and_every_request_unanswered():
    with faulty() as app:
        assert app.post("/fault/deadlock")[0] == 202
        for path in ("/", "/healthz"):
            with pytest.raises(TimeoutError):
                app.get(path, timeout=0.3)
        assert app.process.poll() is None
        threads = list(Path(f"/proc/{app.process.pid}/task").iterdir())
        assert len(threads) >= 4  # main, the acceptor, and the two that hold each other's lock


def test_a_deadlocked_process_does_not_end_on_sigterm_but_a_healthy_one_does():
    with faulty() as healthy, faulty() as stuck:
        stuck.post("/fault/deadlock")
        with pytest.raises(TimeoutError):
            stuck.get("/", timeout=0.2)
        for app in (healthy, stuck):
            app.process.send_signal(signal.SIGTERM)
        assert healthy.process.wait(timeout=5) == 0
        assert any("SIGTERM" in line for line in iter(stuck.process.stdout.readline, ""))
        assert stuck.process.poll() is None


def test_errors_last_until_recover():
    with faulty() as app:
        app.post("/fault/error")
        assert [app.get(path)[0] for path in ("/", "/healthz", "/readyz")] == [500, 500, 500]
        app.post("/fault/recover")
        assert app.get("/")[0] == 200


def test_unready_is_alive():
    with faulty() as app:
        app.post("/fault/unready")
        assert (app.get("/readyz")[0], app.get("/healthz")[0]) == (503, 200)


def test_slow_takes_as_long_as_it_was_told():
    with faulty() as app:
        app.post("/fault/slow?seconds=0.4")
        before = time.monotonic()
        assert app.get("/")[0] == 200
        assert time.monotonic() - before >= 0.4


def test_a_leak_is_resident_memory():
    with faulty() as app:
        before = resident_mebibytes(app.process.pid)
        app.post("/fault/leak?mebibytes=40")
        deadline = time.monotonic() + 10
        while resident_mebibytes(app.process.pid) < before + 40 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert resident_mebibytes(app.process.pid) >= before + 40


def test_bad_faults_are_refused():
    with faulty() as app:
        assert app.post("/fault/nonsense")[0] == 404
        assert app.post("/fault/slow?seconds=many")[0] == 400
        assert app.post("/")[0] == 404


def test_the_start_can_fail_and_can_take_long():
    with faulty(START_FAILURE="crash") as app:
        assert app.process.wait(timeout=5) == 1
        assert "START_FAILURE" in "".join(app.lines)
    before = time.monotonic()
    with faulty(START_DELAY="0.5") as app:
        assert time.monotonic() - before >= 0.5
        assert app.get("/")[0] == 200
