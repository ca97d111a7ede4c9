"""What users of the docker SDK do with containers and networks, on both engines. After docker-py's
tests/integration/api_container_test.py, api_exec_test.py and api_network_test.py, without a network.

A line that names a version tells where dockerd 20 (Debian's) and the API that the embedded engine speaks differ.
"""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator

import docker
import pytest
from docker.models.containers import Container
from docker.types import EndpointConfig, IPAMConfig, IPAMPool
from docker.utils.socket import next_frame_header, read_exactly

from harness_images import make_tar

pytestmark = pytest.mark.timeout(120)
BASE = "kl/base"
NETWORK = "sdk-own"


@pytest.fixture
def sdk(engine_client: docker.DockerClient) -> Iterator[docker.DockerClient]:
    yield engine_client
    for container in engine_client.containers.list(all=True):
        container.remove(force=True, v=True)
    for network in engine_client.networks.list(filters={"type": "custom"}):
        network.remove()


def run(sdk: docker.DockerClient, *argv: str, **options: object) -> Container:
    container = sdk.containers.run(BASE, list(argv) or ["sleep", "60"], detach=True, **options)
    container.reload()
    return container


def prints(sdk: docker.DockerClient, *argv: str, **options: object) -> list[str]:
    return sdk.containers.run(BASE, list(argv), remove=True, **options).decode().splitlines()


# -- the engine


def test_info_has_what_clients_look_for(sdk: docker.DockerClient):
    info = sdk.info()
    assert info["Debug"] is False and info["ExperimentalBuild"] is False and info["CPUSet"] is True
    assert info["Swarm"]["LocalNodeState"] == "inactive"
    assert info["DefaultRuntime"] in info["Runtimes"] and "runc" in info["Runtimes"]


@pytest.mark.parametrize(
    "ask",
    [lambda s: s.swarm.reload(), lambda s: s.nodes.list(), lambda s: s.services.list(), lambda s: s.secrets.list()],
)
def test_no_node_of_a_swarm(sdk: docker.DockerClient, ask):
    with pytest.raises(docker.errors.APIError, match="This node is not a swarm manager") as got:
        ask(sdk)
    assert got.value.status_code == 503


def test_there_is_nothing_to_prune_beside_images(sdk: docker.DockerClient):
    assert sdk.api.prune_builds()["SpaceReclaimed"] == 0
    assert sdk.plugins.list() == []


def test_leaving_no_swarm(sdk: docker.DockerClient):
    with pytest.raises(docker.errors.APIError, match="This node is not part of a swarm") as got:
        sdk.swarm.leave()
    assert got.value.status_code == 503
    assert sdk.swarm.leave(force=True) is True  # which the SDK takes for done


# -- images in archives


def test_load_says_what_is_wrong_in_its_stream(sdk: docker.DockerClient):
    with pytest.raises(docker.errors.ImageLoadError):
        sdk.images.load(b"abc")


def test_what_was_saved_by_id_is_loaded_by_id(sdk: docker.DockerClient):
    image = sdk.images.get(BASE)
    image.tag("sdk/other", "1")
    image.reload()
    (loaded,) = sdk.images.load(b"".join(image.save()))
    assert loaded.id == image.id
    lines = list(sdk.api.load_image(b"".join(image.save(named="sdk/other:1"))))
    assert [line["stream"] for line in lines if "stream" in line] == ["Loaded image: sdk/other:1\n"]


def test_a_commit_names_the_image_as_its_container_does(sdk: docker.DockerClient):
    container = sdk.containers.create(BASE, ["true"])
    made = container.commit()
    assert made.attrs["Config"]["Image"] == BASE and made.attrs["Parent"] == sdk.images.get(BASE).id


def test_a_cache_from_that_is_not_there_is_no_cache(sdk: docker.DockerClient):
    def cached(**options: object) -> int:
        text = f"FROM {BASE}\nENV SDK=cache\nRUN true\n".encode()
        lines = sdk.api.build(fileobj=io.BytesIO(text), decode=True, rm=True, **options)
        return sum("Using cache" in line.get("stream", "") for line in lines)

    cached(tag="sdk/one")
    assert cached(cache_from=["sdk/one"]) == 2
    assert cached(cache_from=["sdk/nosuchtag"]) == 0


def test_a_build_on_one_processor(sdk: docker.DockerClient):
    text = f"FROM {BASE}\nRUN grep Cpus_allowed_list /proc/self/status\n".encode()
    limits = {"cpusetcpus": "0"}
    lines = list(sdk.api.build(fileobj=io.BytesIO(text), decode=True, rm=True, nocache=True, container_limits=limits))
    assert any(line.get("stream", "").split() == ["Cpus_allowed_list:", "0"] for line in lines)


def test_build_on_a_network_of_ones_own(sdk: docker.DockerClient):
    network = sdk.networks.create(NETWORK)
    server = run(sdk, network=NETWORK, name="sdk-server")
    text = f"FROM {BASE}\nRUN cat /etc/hosts /etc/resolv.conf; ls /sys/class/net\n".encode()
    options = {
        "network_mode": network.id,
        "nocache": True,
        "extra_hosts": {"one.test": "10.9.8.7", "two.test": "10.9.8.7"},
    }
    said = "".join(line.get("stream", "") for line in sdk.api.build(fileobj=io.BytesIO(text), decode=True, **options))
    assert "10.9.8.7\tone.test\n" in said and "10.9.8.7\ttwo.test\n" in said
    assert "nameserver 127.0.0.11" in said and "eth0" in said
    network.reload()
    assert [each.id for each in network.containers] == [server.id]  # the build's own has gone


def test_build_on_no_such_network(sdk: docker.DockerClient):
    text = f"FROM {BASE}\nRUN true\n".encode()
    lines = list(sdk.api.build(fileobj=io.BytesIO(text), decode=True, network_mode="sdk-none", nocache=True))
    assert "network sdk-none not found" in lines[-1]["error"]


# -- exec


def test_an_exec_with_a_terminal_is_sent_in_frames_unless_the_start_says_so(sdk: docker.DockerClient):
    container = run(sdk)
    text = "yay, interactive exec!"
    made = sdk.api.exec_create(container.id, ["printf", text], tty=True)
    with contextlib.closing(sdk.api.exec_start(made, socket=True)) as socket:
        assert next_frame_header(socket) == (1, len(text))
        assert read_exactly(socket, len(text)).decode() == text
    script = "echo out; echo err >&2"
    made = sdk.api.exec_create(container.id, ["sh", "-c", script], tty=True)
    assert sdk.api.exec_start(made, demux=True) == (b"out\r\nerr\r\n", None)
    made = sdk.api.exec_create(container.id, ["sh", "-c", script], tty=True)
    assert sdk.api.exec_start(made, tty=True) == b"out\r\nerr\r\n"


# -- a container's options


def test_wait_ends_with_the_run_also_where_another_follows(sdk: docker.DockerClient):
    container = run(sdk, "sleep", "0.5", restart_policy={"Name": "always"})
    assert container.wait()["StatusCode"] == 0
    with pytest.raises(docker.errors.APIError, match=r"[Ss]top the container before"):
        container.remove()


def test_processors(sdk: docker.DockerClient):
    (line,) = prints(sdk, "sh", "-c", "grep Cpus_allowed_list /proc/self/status", cpuset_cpus="0")
    assert line.split() == ["Cpus_allowed_list:", "0"]
    container = run(sdk, cpuset_cpus="0")
    result = container.exec_run(["sh", "-c", "grep Cpus_allowed_list /proc/self/status"])
    assert result.output.split()[-1] == b"0"
    with pytest.raises(docker.errors.APIError, match="Requested CPUs are not available - requested 4096, available: 0"):
        sdk.containers.create(BASE, cpuset_cpus="4096")
    with pytest.raises(docker.errors.APIError, match="Invalid value x for cpuset cpus"):
        sdk.containers.create(BASE, cpuset_cpus="x")


@pytest.mark.skipif(os.cpu_count() == 1, reason="one processor")
def test_other_processors_for_one_that_runs(sdk: docker.DockerClient):
    container = run(sdk, cpuset_cpus="0")
    container.update(cpuset_cpus="0-1")
    result = container.exec_run(["sh", "-c", "grep Cpus_allowed_list /proc/1/status /proc/self/status"])
    assert [line.split()[-1] for line in result.output.splitlines()] == [b"0-1", b"0-1"]


def test_what_is_harmless_or_beyond_the_kernel_is_taken(sdk: docker.DockerClient):
    api = sdk.api
    host = api.create_host_config(device_cgroup_rules=["c 7:128 rwm"], uts_mode="host", mem_swappiness=40)
    made = api.create_container(BASE, "hostname", host_config=host)
    found = api.inspect_container(made)["HostConfig"]
    assert found["DeviceCgroupRules"] == ["c 7:128 rwm"] and found["UTSMode"] == "host"
    if found["MemorySwappiness"] is None:
        assert made["Warnings"] == [
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
            "Memory swappiness discarded."
        ]
    api.start(made)
    api.wait(made)
    assert api.logs(made).decode().strip() == os.uname().nodename
    with pytest.raises(docker.errors.APIError, match="conflicting options: hostname and the UTS mode"):
        api.create_container(BASE, hostname="x", host_config=api.create_host_config(uts_mode="host"))
    with pytest.raises(docker.errors.APIError, match="invalid device cgroup rule format: 'x'"):
        made = api.create_container(BASE, "true", host_config=api.create_host_config(device_cgroup_rules=["x"]))
        api.start(made)  # where dockerd notices it


def test_runtimes(sdk: docker.DockerClient):
    made = sdk.api.create_container(BASE, ["true"], host_config=sdk.api.create_host_config(runtime="runc"))
    assert sdk.api.inspect_container(made)["HostConfig"]["Runtime"] == "runc"
    with pytest.raises(docker.errors.APIError, match="nosuch"):
        sdk.api.create_container(BASE, ["true"], host_config=sdk.api.create_host_config(runtime="nosuch"))


# -- files in volumes


def test_files_go_into_and_out_of_volumes_of_one_that_does_not_run(sdk: docker.DockerClient):
    container = sdk.containers.create(BASE, ["sh", "-c", "echo more > /vol1/out; ls -p /vol1"], volumes=["/vol1"])
    assert container.put_archive("/vol1", make_tar({"a.py": "a", "foo/b.py": "b"}))
    container.start()
    container.wait()
    assert container.logs().decode().split() == ["a.py", "foo/", "out"]
    stream, status = container.get_archive("/vol1/out")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        assert archive.extractfile("out").read() == b"more\n"
    assert (status["name"], status["size"]) == ("out", 5)
    with tarfile.open(fileobj=io.BytesIO(b"".join(container.get_archive("/vol1")[0]))) as archive:
        assert {"vol1", "vol1/a.py", "vol1/foo/b.py", "vol1/out"} <= set(archive.getnames())
    with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as archive:
        assert not [name for name in archive.getnames() if name.startswith("vol1/")]


def test_read_only_is_read_only_for_copies_too(sdk: docker.DockerClient):
    volume = sdk.volumes.create()
    data = make_tar({"f": "x"})
    container = sdk.containers.create(BASE, "true", volumes={volume.name: {"bind": "/vol", "mode": "ro"}})
    with pytest.raises(docker.errors.APIError, match="marked read-only"):
        container.put_archive("/vol", data)
    container = sdk.containers.create(BASE, "true", read_only=True, volumes={volume.name: {"bind": "/vol"}})
    with pytest.raises(docker.errors.APIError, match="container rootfs is marked read-only"):
        container.put_archive("/tmp", data)
    assert container.put_archive("/vol", data)


# -- networks


def test_the_ipam_of_a_network(sdk: docker.DockerClient):
    aux = {"a": "172.28.1.5", "b": "172.28.5.1"}
    pool = IPAMPool(subnet="172.28.0.0/16", iprange="172.28.5.0/24", gateway="172.28.5.254", aux_addresses=aux)
    network = sdk.networks.create(NETWORK, ipam=IPAMConfig(driver="default", pool_configs=[pool]))
    network.reload()
    (shown,) = network.attrs["IPAM"]["Config"]
    assert shown == {"Subnet": "172.28.0.0/16", "IPRange": "172.28.5.0/24", "Gateway": "172.28.5.254",
                     "AuxiliaryAddresses": aux}  # fmt: skip
    assert network.attrs["IPAM"]["Options"] is None
    addresses = [run(sdk, network=NETWORK).attrs["NetworkSettings"]["Networks"][NETWORK]["IPAddress"] for _ in range(2)]
    assert addresses == ["172.28.5.0", "172.28.5.2"]
    container = sdk.containers.create(BASE, ["sleep", "60"])
    network.connect(container, ipv4_address="172.28.9.9")  # of the subnet, though not of the range
    container.start()
    container.reload()
    assert container.attrs["NetworkSettings"]["Networks"][NETWORK]["IPAddress"] == "172.28.9.9"


def test_the_gateway_of_a_range(sdk: docker.DockerClient):
    pool = IPAMPool(subnet="172.28.0.0/16", iprange="172.28.5.0/24")
    network = sdk.networks.create(NETWORK, ipam=IPAMConfig(pool_configs=[pool]))
    network.reload()
    assert network.attrs["IPAM"]["Config"] == [{"Subnet": "172.28.0.0/16", "IPRange": "172.28.5.0/24"}]  # as asked
    endpoint = run(sdk, network=NETWORK).attrs["NetworkSettings"]["Networks"][NETWORK]
    assert (endpoint["Gateway"], endpoint["IPAddress"]) == ("172.28.5.0", "172.28.5.1")


def test_a_name_with_a_space(sdk: docker.DockerClient):
    assert sdk.networks.get(sdk.networks.create("sdk 01").id).name == "sdk 01"


def test_a_mac_address(sdk: docker.DockerClient):
    mac = "02:42:ac:11:00:0a"
    container = run(sdk, mac_address=mac)
    assert container.attrs["NetworkSettings"]["Networks"]["bridge"]["MacAddress"] == mac
    assert container.exec_run(["cat", "/sys/class/net/eth0/address"]).output.decode().strip() == mac
    network = sdk.networks.create(NETWORK)
    container = sdk.containers.create(BASE, ["sleep", "60"])
    network.connect(container, mac_address="02:42:ac:11:00:0b")
    container.reload()
    assert container.attrs["NetworkSettings"]["Networks"][NETWORK]["MacAddress"] == "02:42:ac:11:00:0b"
    container.start()
    if sdk.version()["ApiVersion"] >= "1.44":  # dockerd forgot it at the start before version 25
        assert b"02:42:ac:11:00:0b" in container.exec_run(["sh", "-c", "cat /sys/class/net/*/address"]).output
    with pytest.raises(docker.errors.APIError, match="x: invalid MAC address"):
        run(sdk, mac_address="x")


def test_driver_options_of_an_endpoint_are_kept(sdk: docker.DockerClient):
    endpoint = EndpointConfig(sdk.api._version, driver_opt={"com.docker-py.setting": "on"})
    container = run(sdk, network="bridge", networking_config={"bridge": endpoint})
    assert container.attrs["NetworkSettings"]["Networks"]["bridge"]["DriverOpts"] == {"com.docker-py.setting": "on"}


def test_links_on_a_network_of_ones_own_are_names_for_one_alone(sdk: docker.DockerClient):
    network = sdk.networks.create(NETWORK)
    asker, other = sdk.containers.create(BASE, ["sleep", "60"]), run(sdk, network=NETWORK)
    network.connect(asker, links=[("sdk-upstream", "bar")])
    asker.start()
    asker.reload()
    assert asker.attrs["NetworkSettings"]["Networks"][NETWORK]["Links"] == ["sdk-upstream:bar"]
    server = run(sdk, network=NETWORK, name="sdk-upstream")
    address = server.attrs["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    assert address.encode() in asker.exec_run(["getent", "hosts", "bar"]).output
    assert other.exec_run(["getent", "hosts", "bar"]).exit_code == 2


def test_links_on_the_default_bridge(sdk: docker.DockerClient):
    linked = run(sdk, name="sdk-db", environment={"FOO": "1"}, ports={"5432/tcp": None}, hostname="dbhost")
    script = "env; cat /etc/hosts"
    asker = run(sdk, "sh", "-c", f"{script}; sleep 60", name="sdk-web", links={"sdk-db": "my-db"})
    address = linked.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    asker.stop(timeout=0)
    said = asker.logs().decode().splitlines()
    for line in (
        f"MY_DB_PORT=tcp://{address}:5432",
        f"MY_DB_PORT_5432_TCP=tcp://{address}:5432",
        f"MY_DB_PORT_5432_TCP_ADDR={address}",
        "MY_DB_PORT_5432_TCP_PORT=5432",
        "MY_DB_PORT_5432_TCP_PROTO=tcp",
        "MY_DB_NAME=/sdk-web/my-db",
        "MY_DB_ENV_FOO=1",
        f"{address}\tmy-db dbhost sdk-db",
    ):
        assert line in said
    assert asker.attrs["HostConfig"]["Links"] == ["/sdk-db:/sdk-web/my-db"]
    names = {each["Id"]: sorted(each["Names"]) for each in sdk.api.containers(all=True)}
    assert names[linked.id] == ["/sdk-db", "/sdk-web/my-db"]
    sdk.api.remove_container("sdk-web/my-db", link=True)
    assert sorted(each.name for each in sdk.containers.list(all=True)) == ["sdk-db", "sdk-web"]
    linked.reload()
    names = {each["Id"]: each["Names"] for each in sdk.api.containers(all=True)}
    assert names[linked.id] == ["/sdk-db"]


def test_links_that_lead_nowhere(sdk: docker.DockerClient):
    with pytest.raises(
        docker.errors.APIError, match="could not get container for sdk-none: No such container: sdk-none"
    ):
        sdk.containers.create(BASE, links={"sdk-none": "x"})
    asleep = sdk.containers.create(BASE, ["true"], name="sdk-asleep")
    asker = sdk.containers.create(BASE, ["true"], name="sdk-asker", links={asleep.name: "x"})
    with pytest.raises(
        docker.errors.APIError, match="Cannot link to a non running container: /sdk-asleep AS /sdk-asker/x"
    ):
        asker.start()
