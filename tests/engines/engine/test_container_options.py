"""What `docker run` can ask for, on the embedded engine and on dockerd: the flows of docker SDK's own integration tests
(docker/docker-py, tests/integration: api_container, api_healthcheck, api_network, api_volume, models_*)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

import docker
import pytest
from docker.models.containers import Container
from docker.types import Healthcheck, IPAMConfig, IPAMPool, LogConfig, Mount, Ulimit

from engines.engine.real_engine import BASE
from harness import eventually


@pytest.fixture
def client(engine_client: docker.DockerClient) -> Iterator[docker.DockerClient]:
    yield engine_client
    for container in engine_client.containers.list(all=True):
        with suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)
    for network in engine_client.networks.list(filters={"type": "custom"}):
        network.remove()
    for volume in engine_client.volumes.list():
        volume.remove()


def shell(client: docker.DockerClient, script: str, **options: object) -> str:
    """What a container that runs to its end says."""
    return client.containers.run(BASE, ["sh", "-c", script], remove=True, **options).decode()


def run(client: docker.DockerClient, *argv: str, **options: object) -> Container:
    return client.containers.run(BASE, list(argv) or ["sleep", "60"], detach=True, **options)


def until(container: Container, look, what: str):
    def found():
        container.reload()
        return look(container.attrs)

    return eventually(found, what)


def refused(status: int, words: str):
    return pytest.raises(docker.errors.APIError, match=words, check=lambda error: error.status_code == status)


# -- what the program finds


def test_environment_order_user_and_folder(client):
    container = client.containers.create(BASE, ["true"], environment=["Z=1", "B=2"], user="7:8", working_dir="/srv/x")
    assert container.attrs["Config"]["Env"][:2] == ["Z=1", "B=2"]
    said = shell(client, "pwd; id -u; id -g", user="7:8", working_dir="/srv/x")
    assert said.split() == ["/srv/x", "7", "8"]


def test_limits_rights_and_kernel_settings(client):
    options = {
        "ulimits": [Ulimit(name="nofile", soft=100, hard=200)],
        "cap_add": ["NET_ADMIN"],
        "cap_drop": ["MKNOD"],
        "security_opt": ["no-new-privileges"],
        "group_add": ["2000"],
        "oom_score_adj": 500,
        "sysctls": {"net.core.somaxconn": "77"},
        "shm_size": "1m",
    }
    script = "ulimit -n; grep -E 'CapBnd|NoNewPrivs|Groups' /proc/self/status; cat /proc/self/oom_score_adj"
    script += " /proc/sys/net/core/somaxconn; grep ' /dev/shm ' /proc/mounts"
    lines = shell(client, script, **options).splitlines()
    words = {line.split(":")[0]: line.split()[1:] for line in lines if ":" in line}
    assert lines[0] == "100"
    mask = 0xA80425FB & ~(1 << 27) | 1 << 12
    assert (int(words["CapBnd"][0], 16), words["NoNewPrivs"]) == (mask, ["1"])
    if os.geteuid() == 0:  # a user namespace of one user has no groups to give
        assert "2000" in words["Groups"]
    assert lines[-3:-1] == ["500", "77"]
    assert "size=1024k" in lines[-1]
    container = client.containers.create(BASE, ["true"], **options)
    assert [each.removeprefix("CAP_") for each in container.attrs["HostConfig"]["CapAdd"]] == ["NET_ADMIN"]
    assert container.attrs["HostConfig"]["ShmSize"] == 1 << 20


def test_memory_and_processor_in_the_cgroup(client):
    container = run(client, mem_limit="64m", nano_cpus=500_000_000, pids_limit=20)
    host = container.attrs["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 << 20, 128 << 20, 500_000_000)
    stats = container.stats(stream=False)
    assert stats["memory_stats"]["limit"] == 64 << 20
    assert stats["pids_stats"]["current"] == 1
    assert stats["cpu_stats"]["online_cpus"] > 0
    assert stats["networks"]["eth0"].keys() >= {"rx_bytes", "tx_bytes"}
    container.update(mem_limit="96m", memswap_limit="192m")
    container.reload()
    assert container.attrs["HostConfig"]["Memory"] == 96 << 20
    assert container.stats(stream=False)["memory_stats"]["limit"] == 96 << 20
    with refused(400, "Minimum memory limit allowed is 6MB"):
        container.update(mem_limit="1m")


def test_an_init_is_pid_1(client):
    container = run(client, "sh", "-c", 'read pid rest < /proc/self/stat; echo "$$"; exec sleep 60', init=True)
    eventually(lambda: container.logs().strip(), "the shell has said its PID")
    assert int(container.logs()) > 1
    container.stop(timeout=10)
    assert container.wait()["StatusCode"] == 143


def test_a_readonly_root_and_tmpfs(client):
    script = "touch /file 2>/dev/null && echo wrote; touch /t/file && grep ' /t ' /proc/mounts"
    said = shell(client, script, read_only=True, tmpfs={"/t": "size=1m,mode=1777"})
    assert "wrote" not in said
    assert "size=1024k" in said
    assert "noexec" in said


def test_names_and_hosts(client):
    said = shell(client, "hostname; cat /etc/hosts", hostname="me.here", extra_hosts={"friend": "10.9.8.7"})
    assert said.splitlines()[0] == "me.here"
    assert "10.9.8.7\tfriend" in said


# -- pausing, restarting, health


def test_pause_and_unpause(client):
    container = run(client)
    container.pause()
    container.reload()
    assert (container.status, container.attrs["State"]["Paused"], container.attrs["State"]["Running"]) == (
        "paused",
        True,
        True,
    )
    (line,) = client.api.containers(filters={"status": "paused"})
    assert line["Status"].endswith("(Paused)")
    with refused(409, "is already paused"):
        container.pause()
    with refused(409, "is paused, unpause the container before exec"):
        container.exec_run("true")
    container.unpause()
    container.reload()
    assert container.status == "running"
    with refused(500, "is not paused"):
        container.unpause()
    container.pause()
    container.stop(timeout=0)


def test_on_failure_restarts_a_number_of_times(client):
    container = run(client, "sh", "-c", "exit 5", restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
    assert container.wait(timeout=30)["StatusCode"] == 5
    until(container, lambda attrs: attrs["State"]["Status"] == "exited", "it is not restarted any more")
    assert container.attrs["RestartCount"] == 2


def test_always_restarts_until_it_is_stopped(client):
    container = run(client, "true", restart_policy={"Name": "always"})
    until(container, lambda attrs: attrs["RestartCount"] >= 2, "it has been restarted twice")
    container.stop()
    container.reload()
    assert container.status == "exited"
    container.update(restart_policy={"Name": "no"})
    container.reload()
    assert container.attrs["HostConfig"]["RestartPolicy"]["Name"] == "no"


@pytest.mark.parametrize(("test", "status"), [("true", "healthy"), ("echo wrong; false", "unhealthy")])
def test_health(client, test: str, status: str):
    second = 10**9
    check = Healthcheck(test=test, interval=second // 2, timeout=second, retries=1)
    container = run(client, healthcheck=check)
    container.reload()
    assert container.attrs["State"]["Health"]["Status"] in ("starting", status)
    until(container, lambda attrs: attrs["State"]["Health"]["Status"] == status, f"it is {status}")
    log = container.attrs["State"]["Health"]["Log"]
    assert log[-1]["Output"] == ("wrong\n" if status == "unhealthy" else "")
    (line,) = client.api.containers(filters={"health": status})
    assert line["Status"].endswith(f"({status})")


# -- volumes


def test_a_named_volume_keeps_what_was_written(client):
    volume = client.volumes.create("kl-cont-data", labels={"of": "cont"})
    assert client.volumes.get("kl-cont-data").attrs["Labels"] == {"of": "cont"}
    shell(client, "echo kept > /data/file", volumes={volume.name: {"bind": "/data", "mode": "rw"}})
    container = run(client, volumes={volume.name: {"bind": "/data", "mode": "ro"}})
    assert container.exec_run(["cat", "/data/file"]).output == b"kept\n"
    assert container.exec_run(["touch", "/data/other"]).exit_code != 0
    (mount,) = container.attrs["Mounts"]
    assert (mount["Type"], mount["Name"], mount["Destination"], mount["RW"]) == (
        "volume",
        "kl-cont-data",
        "/data",
        False,
    )
    with refused(409, f"remove kl-cont-data: volume is in use - \\[{container.id}"):
        volume.remove()
    assert [each.name for each in client.volumes.list(filters={"dangling": False})] == ["kl-cont-data"]
    container.remove(force=True, v=True)
    assert client.volumes.list(filters={"label": "of=cont"})[0].name == "kl-cont-data"
    volume.remove()
    with pytest.raises(docker.errors.NotFound, match="get kl-cont-data: no such volume"):
        client.volumes.get("kl-cont-data")


def test_a_new_volume_gets_what_the_image_has_there(client):
    listed = shell(client, "ls /usr/bin | head -3; ls -ld /usr/bin | cut -c1-10")
    assert (
        shell(client, "ls /usr/bin | head -3; ls -ld /usr/bin | cut -c1-10", mounts=[Mount("/usr/bin", "kl-cont-up")])
        == listed
    )
    nocopy = Mount("/usr/share", "kl-cont-no", no_copy=True)
    assert shell(client, "ls /usr/share | wc -l", mounts=[nocopy]).strip() == "0"


def test_anonymous_volumes_go_with_their_container_by_v_alone(client):
    kept, gone = (client.containers.create(BASE, ["true"], volumes=["/anon"]) for _ in range(2))
    (mount,) = kept.attrs["Mounts"]
    kept.remove()
    gone.remove(v=True)
    assert [volume.name for volume in client.volumes.list()] == [mount["Name"]]
    shared = client.containers.create(BASE, ["true"], volumes=["/anon"])
    user = client.containers.create(BASE, ["true"], volumes_from=[shared.id])
    assert user.attrs["Mounts"][0]["Name"] == shared.attrs["Mounts"][0]["Name"]


@pytest.mark.parametrize(
    ("status", "options", "words"),
    [
        (400, {"volumes": ["x:/data"]}, "create x: volume name is too short"),
        (400, {"volumes": ["a b:/data"]}, '"a b" includes invalid characters for a local volume name'),
        (400, {"mounts": [Mount("a", "v1")]}, "invalid mount path: 'a' mount path must be absolute"),
        (400, {"mounts": [Mount("/a", "v1"), Mount("/a", "v2")]}, "Duplicate mount point: /a"),
        (400, {"mounts": [Mount("/a", "/nonesuch", type="bind")]}, "bind source path does not exist: /nonesuch"),
        (404, {"volumes": ["nn:/a"], "volume_driver": "foo"}, 'volume plugin foo: plugin "foo" not found'),
        (400, {"volumes_from": ["nope"]}, "No such container: nope"),
        (400, {"cap_add": ["FOO"]}, 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        (400, {"restart_policy": {"Name": "foo"}}, "invalid restart policy"),
        (400, {"nano_cpus": 10**9, "cpu_quota": 20000}, "Nano CPUs and CPU Quota cannot both be set"),
        (400, {"mem_limit": "64m", "memswap_limit": "32m"}, "memoryswap limit should be larger than memory limit"),
        (400, {"working_dir": "rel"}, "the working directory 'rel' is invalid"),
        (400, {"stop_signal": "FOO"}, "Invalid signal: FOO"),
        (400, {"log_config": LogConfig(type="foo")}, 'error looking up logging plugin foo: plugin "foo" not found'),
        (400, {"entrypoint": [""], "command": []}, "No command specified"),
    ],
    ids=str,
)
def test_a_create_that_is_refused(client, status: int, options: dict, words: str):
    with refused(status, words):
        client.containers.create(BASE, **{"command": ["true"], **options})
    assert client.containers.list(all=True) == []


# -- networks


def test_names_are_resolved_on_a_network_of_ones_own(client):
    network = client.networks.create("kl-cont-net", labels={"of": "cont"})
    aliases = {"kl-cont-net": client.api.create_endpoint_config(aliases=["friend"])}
    server = run(client, name="kl-cont-server", network="kl-cont-net", networking_config=aliases)
    asker = run(client, network="kl-cont-net")
    server.reload()
    endpoint = server.attrs["NetworkSettings"]["Networks"]["kl-cont-net"]
    assert {"friend", server.id[:12]} <= set(endpoint["Aliases"])
    assert asker.exec_run(["cat", "/etc/resolv.conf"]).output.startswith(b"nameserver 127.0.0.11")
    for name in ("kl-cont-server", "friend", server.id[:12]):
        result = asker.exec_run(["python3", "-c", f"import socket; print(socket.gethostbyname({name!r}))"])
        if result.exit_code in (126, 127):  # this base has no Python; getent and nslookup come with busybox or glibc
            pytest.skip("the base image has no resolver to ask with")
        assert result.output.decode().strip() == endpoint["IPAddress"]
    network.reload()
    assert {each["Name"] for each in network.attrs["Containers"].values()} == {"kl-cont-server", asker.name}
    with refused(403, "has active endpoints"):
        network.remove()


def test_connect_and_disconnect(client):
    first, second = client.networks.create("kl-cont-one"), client.networks.create("kl-cont-two")
    container = run(client, network="kl-cont-one")
    second.connect(container, aliases=["also"])
    container.reload()
    assert set(container.attrs["NetworkSettings"]["Networks"]) == {"kl-cont-one", "kl-cont-two"}
    assert "eth1" in container.exec_run(["cat", "/proc/net/dev"]).output.decode()
    with refused(403, f"endpoint with name {container.name} already exists in network kl-cont-two"):
        second.connect(container)
    first.disconnect(container)
    container.reload()
    assert set(container.attrs["NetworkSettings"]["Networks"]) == {"kl-cont-two"}
    assert "eth0" not in container.exec_run(["cat", "/proc/net/dev"]).output.decode()


def test_a_subnet_and_an_address_of_ones_own(client):
    pool = IPAMPool(subnet="10.77.0.0/24", gateway="10.77.0.9")
    network = client.networks.create("kl-cont-ip", ipam=IPAMConfig(pool_configs=[pool]), internal=True)
    assert network.attrs["IPAM"]["Config"] == [{"Subnet": "10.77.0.0/24", "Gateway": "10.77.0.9"}]
    container = client.containers.create(BASE, ["sleep", "60"], network="kl-cont-ip")
    network.disconnect(container)
    network.connect(container, ipv4_address="10.77.0.5")
    container.start()
    container.reload()
    assert container.attrs["NetworkSettings"]["Networks"]["kl-cont-ip"]["IPAddress"] == "10.77.0.5"
    with refused(403, "Pool overlaps with other one on this address space"):
        client.networks.create("kl-cont-ip2", ipam=IPAMConfig(pool_configs=[pool]))


def test_none_host_and_a_shared_network(client):
    devices = shell(client, "cat /proc/net/dev", network_mode="none")
    assert [line.split(":")[0].strip() for line in devices.splitlines()[2:] if line.strip().startswith("eth")] == []
    owner = run(client)
    own = owner.exec_run(["readlink", "/proc/self/ns/net"]).output.decode()
    assert shell(client, "readlink /proc/self/ns/net", network_mode=f"container:{owner.id}") == own
    assert shell(client, "readlink /proc/self/ns/net", network_mode="host") != own


def test_networks_that_are_refused(client):
    client.networks.create("kl-cont-twice")
    with refused(409, "network with name kl-cont-twice already exists"):
        client.networks.create("kl-cont-twice", check_duplicate=True)
    with refused(403, "operation is not permitted on predefined bridge network"):
        client.networks.create("bridge")
    with refused(403, "bridge is a pre-defined network and cannot be removed"):
        client.networks.get("bridge").remove()
    with pytest.raises(docker.errors.NotFound, match="network nonesuch not found"):
        client.networks.get("nonesuch")
    container = client.containers.create(BASE, ["true"], network_mode="kl-cont-gone")
    with pytest.raises(docker.errors.NotFound, match="network kl-cont-gone not found"):
        container.start()


# -- events


def test_events_of_every_kind(client):
    since = int(time.time()) - 1
    network = client.networks.create("kl-cont-events")
    container = run(client, "sleep", "60", network="kl-cont-events", volumes=["kl-cont-events:/data"])
    container.exec_run("true")
    container.pause()
    container.unpause()
    container.kill("SIGKILL")
    container.wait()
    container.remove()
    network.remove()
    client.volumes.get("kl-cont-events").remove()
    seen = [
        (event["Type"], event["Action"].split(":")[0])
        for event in client.events(since=since, until=time.time() + 0.5, decode=True)
        if container.id in str(event) or "kl-cont-events" in str(event)
    ]
    expected = {
        "container": {
            "create",
            "start",
            "exec_create",
            "exec_start",
            "exec_die",
            "pause",
            "unpause",
            "kill",
            "die",
            "destroy",
        },
        "network": {"create", "connect", "disconnect", "destroy"},
        "volume": {"create", "mount", "unmount", "destroy"},
    }
    for kind, actions in expected.items():
        assert actions <= {action for of, action in seen if of == kind}
