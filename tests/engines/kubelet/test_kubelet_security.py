"""Security contexts in a user namespace (upstream: test/e2e/node/security_context.go, common/node/security_context.go,
common/node/sysctl.go)."""

from __future__ import annotations

import os

import pytest

from .conftest import Bench, python, shell
from .levels import require_isolation

IDS = "import os; print(os.getuid(), os.getgid(), sorted(os.getgroups()))"
STATUS = """
lines = [l.split() for l in open("/proc/self/status")]
print({l[0]: l[1] for l in lines if l and l[0] in ("CapBnd:", "NoNewPrivs:")})
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has one user and group to give")


@as_root
async def test_run_as_user_group_and_supplemental_groups(bench: Bench) -> None:
    await require_isolation(bench)
    context = {"runAsUser": 1001, "runAsGroup": 2002, "supplementalGroups": [4004], "fsGroup": 5005}
    await bench.create("p", python(IDS), securityContext=context, restartPolicy="Never")
    assert await bench.output("p") == "1001 2002 [2002, 4004, 5005]\n"


@as_root
async def test_fs_group_may_write(bench: Bench) -> None:
    await require_isolation(bench)
    code = "import os; open('/data/f', 'w').write('x'); s = os.stat('/data/f'); print(s.st_uid, s.st_gid)"
    container = python(code, volumeMounts=[{"name": "v", "mountPath": "/data"}])
    context = {"runAsUser": 1001, "fsGroup": 5005}
    volumes = [{"name": "v", "emptyDir": {}}]
    await bench.create("p", container, securityContext=context, volumes=volumes, restartPolicy="Never")
    assert await bench.output("p") == "1001 5005\n"


async def test_run_as_non_root(bench: Bench) -> None:
    context = {"runAsNonRoot": True}
    await bench.create("p", shell("true", securityContext=context))
    pod = await bench.pod("p")
    where = f'(pod: "p_{bench.namespace}({pod["metadata"]["uid"]})", container: app)'
    message = await bench.event("p", "Failed")
    assert message == f"Error: container has runAsNonRoot and image will run as root {where}"
    await bench.create("q", shell("true", securityContext={**context, "runAsUser": 1000}), restartPolicy="Never")
    await bench.phase("q", "Succeeded")


async def test_capabilities_and_no_new_privileges(bench: Bench) -> None:
    await require_isolation(bench)
    context = {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, "allowPrivilegeEscalation": False}
    await bench.create("p", python(STATUS, securityContext=context), restartPolicy="Never")
    assert await bench.output("p") == "{'CapBnd:': '0000000000000400', 'NoNewPrivs:': '1'}\n"


async def test_read_only_root_filesystem(bench: Bench) -> None:
    await require_isolation(bench)
    await bench.create("p", shell("echo > /f", securityContext={"readOnlyRootFilesystem": True}), restartPolicy="Never")
    assert "Read-only file system" in bench.log(await bench.phase("p", "Failed"))


async def test_should_support_sysctls(bench: Bench) -> None:
    await require_isolation(bench)
    context = {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "0"}]}
    script = shell("cat /proc/sys/net/ipv4/tcp_syncookies")
    await bench.create("p", script, securityContext=context, restartPolicy="Never")
    assert await bench.output("p") == "0\n"


async def test_should_not_launch_unsafe_sysctls(bench: Bench) -> None:
    context = {"sysctls": [{"name": "kernel.msgmax", "value": "10000"}]}
    await bench.create("p", shell("true"), securityContext=context)
    pod = await bench.phase("p", "Failed")
    assert pod["status"]["reason"] == "SysctlForbidden"


@pytest.mark.parametrize("field", ["hostNetwork", "hostPID", "hostIPC"])
async def test_the_hosts_namespaces_are_refused_by_name(bench: Bench, field: str) -> None:
    await bench.create("p", shell("true"), **{field: True})
    pod = await bench.phase("p", "Failed")
    assert pod["status"]["message"] == f"Pod was rejected: spec.{field} is not supported by this node"


async def test_whom_the_kernel_kills_first(bench: Bench) -> None:
    """By QoS class (upstream: test/e2e_node/container_manager_test.go); a Guaranteed pod's is for root alone to set."""
    look, little = "cat /proc/self/oom_score_adj", {"resources": {"requests": {"cpu": "1m"}}}
    await bench.create("best-effort", shell(look), restartPolicy="Never")
    await bench.create("burstable", shell(look, **little), restartPolicy="Never")
    assert await bench.output("best-effort") == "1000\n"
    assert await bench.output("burstable") == "999\n"
