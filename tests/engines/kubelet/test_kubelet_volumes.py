"""Volumes with upstream's flows (test/e2e/common/storage: empty_dir.go, configmap_volume.go, secrets_volume.go,
downwardapi_volume.go, projected_*.go, host_path.go; test/e2e/storage/subpath.go; node/expansion.go)."""

from __future__ import annotations

import asyncio

import pytest

from engines.cluster.lab import eventually
from kubelab.cluster.resources import CONFIGMAPS, SECRETS

from .conftest import Bench, python, shell
from .levels import require_isolation


def at(path: str, name: str = "v", **fields: object) -> dict:
    return {"volumeMounts": [{"name": name, "mountPath": path, **fields}]}


async def test_volume_on_tmpfs_is_shared_by_the_containers(bench: Bench) -> None:
    await require_isolation(bench)
    write = shell("echo shared > /data/f; sleep 100", "writer", **at("/data"))
    read = python(
        "import time, os\nwhile not os.path.exists('/data/f'): time.sleep(.1)\n"
        "print(open('/data/f').read(), [l for l in open('/proc/mounts') if ' /data ' in l])\ntime.sleep(100)",
        **at("/data"),
    )
    volume = {"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    await bench.create("p", write, read, volumes=[volume])
    pod = await bench.ready("p")

    async def told() -> str:
        return bench.log(pod)

    assert "shared" in await eventually(told, "what was shared")
    assert "tmpfs" in bench.log(pod) and "size=1024k" in bench.log(pod)


async def test_volume_on_tmpfs_is_full_at_its_limit(bench: Bench) -> None:
    await require_isolation(bench)
    code = "open('/data/f', 'wb').write(b'x' * 2**21)"
    volume = {"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    await bench.create("p", python(code, **at("/data")), volumes=[volume], restartPolicy="Never")
    assert "No space left on device" in bench.log(await bench.phase("p", "Failed"))


async def test_empty_dir_over_its_size_limit_is_evicted(bench: Bench) -> None:
    volume = {"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}
    code = "import time\nopen('data/f', 'wb').write(b'x' * 2**21)\ntime.sleep(100)"
    await bench.create("p", python(code, **at("/data")), volumes=[volume])
    pod = await bench.phase("p", "Failed")
    message = 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
    assert (pod["status"]["reason"], pod["status"]["message"]) == ("Evicted", message)
    assert await bench.event("p", "Evicted") == message


async def config_map(bench: Bench, data: dict[str, str]) -> None:
    metadata = {"name": "c", "namespace": bench.namespace}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    await bench.client.create(CONFIGMAPS, made)


async def test_config_map_with_mappings_modes_and_sub_path(bench: Bench) -> None:
    await config_map(bench, {"a": "A", "b": "B"})
    source = {"name": "c", "items": [{"key": "a", "path": "deep/er/a", "mode": 0o400}]}
    volumes = [{"name": "v", "configMap": source}, {"name": "w", "configMap": {"name": "c"}}]
    mounts = [*at("/data")["volumeMounts"], *at("/one", "w", subPath="b")["volumeMounts"]]
    code = "import os; print(open('data/deep/er/a').read(), oct(os.stat('data/deep/er/a').st_mode), open('one').read())"
    await bench.create("p", python(code, volumeMounts=mounts), volumes=volumes, restartPolicy="Never")
    assert await bench.output("p") == "A 0o100400 B\n"


async def test_optional_and_missing_keys(bench: Bench) -> None:
    await config_map(bench, {"a": "A"})
    source = {"name": "c", "items": [{"key": "x", "path": "x"}]}
    await bench.create("p", shell("true", **at("/data")), volumes=[{"name": "v", "configMap": source}])
    message = await bench.event("p", "FailedMount")
    assert message == 'MountVolume.SetUp failed for volume "v" : references non-existent config key: x'
    optional = [{"name": "v", "configMap": {**source, "optional": True}}]
    await bench.create("q", shell("ls data | wc -l", **at("/data")), volumes=optional, restartPolicy="Never")
    assert (await bench.output("q")).strip() == "0"


async def test_projected_sources_and_tokens(bench: Bench) -> None:
    await config_map(bench, {"a": "A"})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": bench.namespace}}
    await bench.client.create(SECRETS, {**secret, "stringData": {"s": "S"}})
    limit = {"containerName": "app", "resource": "limits.memory", "divisor": "1Mi"}
    sources = [
        {"configMap": {"name": "c"}},
        {"secret": {"name": "s"}},
        {"downwardAPI": {"items": [{"path": "limit", "resourceFieldRef": limit}]}},
        {"serviceAccountToken": {"path": "token", "audience": "shop", "expirationSeconds": 600}},
    ]
    code = "print(*(open('data/' + n).read() for n in ('a', 's', 'limit')), open('data/token').read().count('.'))"
    container = python(code, resources={"limits": {"memory": "64Mi"}}, **at("/data"))
    await bench.create(
        "p", container, volumes=[{"name": "v", "projected": {"sources": sources}}], restartPolicy="Never"
    )
    assert await bench.output("p") == "A S 64 2\n"


async def test_host_path_stays_on_its_node(bench: Bench) -> None:
    volume = {"name": "v", "hostPath": {"path": "/srv/shop", "type": "DirectoryOrCreate"}}
    spec = {"volumes": [volume], "restartPolicy": "Never", "nodeName": "node-1"}
    await bench.create("p", shell("echo kept > data/f", **at("/data")), **spec)
    await bench.phase("p", "Succeeded")
    await bench.create("q", shell("cat data/f", **at("/data")), **spec)
    assert await bench.output("q") == "kept\n"
    assert (bench.home.node("node-1") / "disk/srv/shop/f").read_text() == "kept\n"


async def test_host_path_of_another_type(bench: Bench) -> None:
    volume = {"name": "v", "hostPath": {"path": "/var/run/docker.sock", "type": "Socket"}}
    await bench.create("p", shell("true", **at("/data")), volumes=[volume])
    message = await bench.event("p", "FailedMount")
    problem = "hostPath type check failed: /var/run/docker.sock is not a socket file"
    assert message == f'MountVolume.SetUp failed for volume "v" : {problem}'


async def test_should_allow_substituting_values_in_a_volume_subpath(bench: Bench) -> None:
    env = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    mounts = [{"name": "v", "mountPath": "/own", "subPathExpr": "$(POD)"}, {"name": "v", "mountPath": "/all"}]
    code = "open('own/f', 'w').write('x'); import os; print(os.listdir('all/p'))"
    volumes = [{"name": "v", "emptyDir": {}}]
    await bench.create("p", python(code, env=env, volumeMounts=mounts), volumes=volumes, restartPolicy="Never")
    assert await bench.output("p") == "['f']\n"


async def test_should_fail_substituting_values_in_a_volume_subpath(bench: Bench) -> None:
    env = [{"name": "WHERE", "value": "/tmp"}]
    container = shell("true", env=env, **at("/own", subPathExpr="$(WHERE)"))
    await bench.create("p", container, volumes=[{"name": "v", "emptyDir": {}}])
    assert await bench.event("p", "Failed") == "Error: error SubPath `/tmp` must not be an absolute path"
    waiting = (await bench.status("p"))["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError"


async def test_read_only_mounts(bench: Bench) -> None:
    await require_isolation(bench)
    container = shell("echo > /data/f", **at("/data", readOnly=True, recursiveReadOnly="IfPossible"))
    await bench.create("p", container, volumes=[{"name": "v", "emptyDir": {}}], restartPolicy="Never")
    assert "Read-only file system" in bench.log(await bench.phase("p", "Failed"))
    assert (await bench.status("p"))["volumeMounts"][0]["recursiveReadOnly"] == "Enabled"


@pytest.mark.parametrize("policy", ["File", "FallbackToLogsOnError"])
async def test_termination_messages(bench: Bench, policy: str) -> None:
    fallback = policy == "FallbackToLogsOnError"
    script = "echo from the log; exit 1" if fallback else "echo from the file > dev/termination-log; exit 1"
    await bench.create("p", shell(script, terminationMessagePolicy=policy), restartPolicy="Never")
    await bench.phase("p", "Failed")
    ended = (await bench.status("p"))["state"]["terminated"]
    assert ended["message"].strip() == ("from the log" if fallback else "from the file")


async def test_termination_messages_of_a_pod_share_12_kib(bench: Bench) -> None:
    write = "open('dev/termination-log', 'w').write('x' * 5000)"
    names = ("a", "b", "c", "d")
    await bench.create("p", *(python(write, name) for name in names), restartPolicy="Never")
    await bench.phase("p", "Succeeded")
    lengths = await asyncio.gather(*(bench.status("p", name) for name in names))
    assert [len(s["state"]["terminated"]["message"]) for s in lengths] == [3072] * 4
