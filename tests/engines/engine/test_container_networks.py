"""Names, addresses and published ports of containers on the embedded engine, at both levels.

Asked from inside with Python of the lab's own base image."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import docker
import pytest
from docker.models.containers import Container

from engines.engine.conftest import Running
from engines.engine.levels import REAL, isolated
from harness import eventually
from kubelab.runtime.api import Level

pytestmark = pytest.mark.skipif(bool(REAL), reason="of the embedded engine")
IMAGE = "kubelab/python"
ECHO = (
    "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 5353)); print('up', flush=True)\n"
    "while True: data, peer = s.recvfrom(99); s.sendto(data.upper(), peer)"
)


@pytest.fixture
def sdk(client: docker.DockerClient) -> Iterator[docker.DockerClient]:
    yield client
    for container in client.containers.list(all=True):
        with suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)
    for network in client.networks.list(filters={"type": "custom"}):
        network.remove()
    for volume in client.volumes.list():
        volume.remove()


def run(sdk: docker.DockerClient, *argv: str, **options: object) -> Container:
    container = sdk.containers.run(IMAGE, list(argv) or ["sleep", "60"], detach=True, **options)
    container.reload()
    return container


def address(container: Container, network: str = "bridge") -> str:
    container.reload()
    return container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]


def resolve(asker: Container, name: str) -> list[str]:
    """What Python in a container finds for a name; [] where it is not known."""
    script = (
        "import socket, sys\n"
        "try: found = socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET, socket.SOCK_STREAM)\n"
        "except socket.gaierror: found = []\n"
        "print(*[each[4][0] for each in found])"
    )
    result = asker.exec_run(["python3", "-c", script, name])
    assert result.exit_code == 0, result.output
    return result.output.decode().split()


# -- names


def test_names_and_aliases_are_resolved_on_a_network_of_ones_own(sdk: docker.DockerClient):
    sdk.networks.create("own")
    aliases = {"own": sdk.api.create_endpoint_config(aliases=["friend", "Other"])}
    server = run(sdk, name="server", network="own", networking_config=aliases)
    asker, stranger = run(sdk, name="asker", network="own"), run(sdk, name="stranger")
    for name in ("server", "friend", "other", server.id[:12]):
        assert resolve(asker, name) == [address(server, "own")], name
        assert resolve(stranger, name) == [], name
    assert resolve(server, "asker") == [address(asker, "own")]
    assert resolve(asker, "nonesuch") == []


def test_an_alias_of_several_has_all_their_addresses(sdk: docker.DockerClient, running: Running):
    sdk.networks.create("own")
    aliases = {"own": sdk.api.create_endpoint_config(aliases=["pool"])}
    both = [run(sdk, network="own", networking_config=aliases) for _ in range(2)]
    found = set(resolve(run(sdk, network="own"), "pool"))
    expected = {address(each, "own") for each in both}
    assert found == expected if running.level == Level.NAMESPACES else found <= expected


def test_names_follow_connect_disconnect_rename_and_stop(sdk: docker.DockerClient):
    network = sdk.networks.create("own")
    asker, server = run(sdk, network="own"), run(sdk, name="server")
    assert resolve(asker, "server") == []
    network.connect(server, aliases=["late"])
    assert resolve(asker, "late") == resolve(asker, "server") == [address(server, "own")]
    server.rename("renamed")
    assert resolve(asker, "renamed") == [address(server, "own")]
    assert resolve(asker, "server") == []
    server.stop(timeout=0)
    assert resolve(asker, "renamed") == []
    server.start()
    assert resolve(asker, "renamed") == [address(server, "own")]
    network.disconnect(server)
    assert resolve(asker, "renamed") == []


@isolated
def test_the_name_server_is_docker_s_and_answers_over_tcp(sdk: docker.DockerClient):
    sdk.networks.create("own")
    server, asker = run(sdk, name="server", network="own"), run(sdk, network="own")
    assert asker.exec_run(["cat", "/etc/resolv.conf"]).output == b"nameserver 127.0.0.11\noptions ndots:0\n"
    script = (
        "import socket, struct\n"
        "q = struct.pack('>6H', 7, 256, 1, 0, 0, 0) + b'\\6server\\0' + struct.pack('>2H', 1, 1)\n"
        "s = socket.create_connection(('127.0.0.11', 53)); s.sendall(len(q).to_bytes(2, 'big') + q)\n"
        "print(socket.inet_ntoa(s.recv(999)[-4:]))"
    )
    assert asker.exec_run(["python3", "-c", script]).output.decode().strip() == address(server, "own")
    bridge = run(sdk).exec_run(["cat", "/etc/resolv.conf"]).output
    assert b"127.0.0.11" not in bridge


def test_a_domain_name(sdk: docker.DockerClient, running: Running):
    container = run(sdk, hostname="web", domainname="lab.example")
    assert container.attrs["Config"]["Domainname"] == "lab.example"
    if running.level == Level.NAMESPACES:
        hosts = container.exec_run(["cat", "/etc/hosts", "/proc/sys/kernel/domainname"]).output.decode()
        assert f"{address(container)}\tweb.lab.example web\n" in hosts
        assert hosts.endswith("lab.example\n")
    assert resolve(container, "web.lab.example") == [address(container)]


# -- addresses


def test_who_does_not_run_has_no_address(sdk: docker.DockerClient):
    """As dockerd's: an address is for a run."""
    pool = docker.types.IPAMPool(subnet="10.78.0.0/29", gateway="10.78.0.1")
    sdk.networks.create("small", ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    for _ in range(7):  # more than there are addresses
        container = run(sdk, network="small")
        assert address(container, "small")
        container.stop(timeout=0)
        assert address(container, "small") == ""
        assert container.attrs["NetworkSettings"]["IPAddress"] == ""
    container.start()
    assert address(container, "small")


def test_what_a_stopped_container_has_written_stays(sdk: docker.DockerClient):
    container = run(sdk, "sh", "-c", "echo again >> log; cat log; wc -l < log", working_dir="/tmp")
    assert container.wait()["StatusCode"] == 0
    container.start()
    container.wait()
    assert container.logs().split()[-1] == b"2"


# -- ports


def test_a_udp_port_is_published(sdk: docker.DockerClient):
    container = run(sdk, "python3", "-c", ECHO, ports={"5353/udp": None})
    eventually(lambda: container.logs() == b"up\n", "it listens")
    (binding,) = container.attrs["NetworkSettings"]["Ports"]["5353/udp"]
    with socket.socket(type=socket.SOCK_DGRAM) as asker:
        asker.settimeout(10)
        asker.connect((binding["HostIp"], int(binding["HostPort"])))
        for word in (b"hello", b"again"):
            asker.send(word)
            assert asker.recv(99) == word.upper()


def test_of_a_range_of_host_ports_the_first_free_one_is_taken(sdk: docker.DockerClient):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        config = sdk.api.create_host_config(port_bindings={"80/tcp": f"{first}-{first + 5}"})
        identifier = sdk.api.create_container(IMAGE, ["sleep", "60"], ports=[80], host_config=config)["Id"]
        sdk.api.start(identifier)
        (binding,) = sdk.api.inspect_container(identifier)["NetworkSettings"]["Ports"]["80/tcp"]
        assert first < int(binding["HostPort"]) <= first + 5


# -- prune


def test_networks_and_volumes_that_nobody_uses_are_pruned(sdk: docker.DockerClient):
    for name in ("used", "unused"):
        sdk.networks.create(name)
        sdk.volumes.create(f"v-{name}")
    anonymous = sdk.volumes.create()
    run(sdk, network="used", volumes=["v-used:/data"])
    assert sdk.networks.prune()["NetworksDeleted"] == ["unused"]
    assert sdk.volumes.prune()["VolumesDeleted"] == [anonymous.name]
    assert sdk.volumes.prune({"all": True})["VolumesDeleted"] == ["v-unused"]
    assert [each.name for each in sdk.volumes.list()] == ["v-used"]


def test_system_df_counts_volumes(sdk: docker.DockerClient):
    sdk.volumes.create("counted")
    run(sdk, "sh", "-c", "head -c 5000 /dev/zero > data/file", volumes=["counted:/srv/data"], working_dir="/srv").wait()
    (volume,) = sdk.df()["Volumes"]
    assert (volume["Name"], volume["UsageData"]) == ("counted", {"Size": 5000, "RefCount": 1})


def test_info_counts_containers_by_state(sdk: docker.DockerClient, running: Running):
    paused, _ = run(sdk), run(sdk)
    paused.pause()
    info = sdk.info()
    counts = tuple(info[f"Containers{state}"] for state in ("", "Running", "Paused", "Stopped"))
    assert counts == (2, 1, 1, 0)
    assert info["Plugins"]["Volume"] == ["local"]
    assert (info["CgroupDriver"] == "cgroupfs") == info["PidsLimit"]
    isolation = [line for line in info["Warnings"] or () if "isolation" in line]
    assert bool(isolation) == (running.level == Level.PROCESS)


# -- logs


def test_a_log_without_a_driver_cannot_be_read(sdk: docker.DockerClient):
    container = run(sdk, "echo", "hello", log_config=docker.types.LogConfig(type="none"))
    container.wait()
    with pytest.raises(docker.errors.APIError, match="configured logging driver does not support reading"):
        container.logs()


def test_a_log_keeps_as_much_as_is_asked_for(sdk: docker.DockerClient):
    options = docker.types.LogConfig(type="json-file", config={"max-size": "1k", "max-file": "3"})
    script = "for i in range(200): print('line', i)"
    container = run(sdk, "python3", "-c", script, log_config=options)
    container.wait()
    lines = container.logs().splitlines()
    assert lines[-1] == b"line 199"
    assert 20 < len(lines) < 100
    assert lines == [b"line %d" % number for number in range(200 - len(lines), 200)]
    assert container.logs(tail=30).splitlines() == lines[-30:]


# -- top


def test_top_takes_ps_s_options(sdk: docker.DockerClient):
    container = run(sdk, "sleep", "77")
    table = container.top(ps_args="-o pid,args")
    assert table["Titles"] == ["PID", "COMMAND"]
    assert [line[-1].split()[-2:] for line in table["Processes"]] == [["sleep", "77"]]
    with pytest.raises(docker.errors.APIError, match="Couldn't find PID field in ps output"):
        container.top(ps_args="-o args")
    with pytest.raises(docker.errors.APIError, match="Error running ps"):
        container.top(ps_args="--nonesuch")


def test_a_container_that_ends_at_once_ends_once(sdk: docker.DockerClient):
    since = time.time()
    container = run(sdk, "true")
    container.wait()
    seen = [
        event["Action"]
        for event in sdk.events(since=since, until=time.time() + 0.5, decode=True)
        if container.id in str(event)
    ]
    assert seen == ["create", "connect", "start", "die", "disconnect"]
