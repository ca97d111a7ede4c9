"""A pid file names a process for ever: a pid that the kernel has given to somebody else is not that process."""

import json
import os
import signal
import subprocess
import sys

from kubelab.supervisor import pids


def test_reads_back_a_running_process(tmp_path):
    pids.write(tmp_path / "me.pid", os.getpid())
    found = pids.read(tmp_path / "me.pid")
    assert found is not None
    assert found.pid == os.getpid()


def test_another_start_time_is_another_process(tmp_path):
    path = tmp_path / "reused.pid"
    pids.write(path, os.getpid())
    path.write_text(json.dumps({"pid": os.getpid(), "started": json.loads(path.read_text())["started"] - 1}))
    assert pids.read(path) is None


def test_a_reused_pid_is_not_signalled():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        stranger = pids.ProcessId(child.pid, pids.identify(child.pid).started - 1)
        assert not stranger.signal(signal.SIGKILL)
        assert child.poll() is None
    finally:
        child.communicate(b"\n")


def test_an_ended_process_is_gone_even_as_a_zombie(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = pids.identify(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, not collected
    assert not process.alive()
    child.wait()
    child.stdin.close()


def test_no_file_and_a_torn_file_name_nobody(tmp_path):
    assert pids.read(tmp_path / "absent.pid") is None
    (tmp_path / "torn.pid").write_text('{"pid": 1')
    assert pids.read(tmp_path / "torn.pid") is None
