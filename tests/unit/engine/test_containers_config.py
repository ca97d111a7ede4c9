"""What `POST /containers/create` makes of a request: the image's defaults below it, refusals by name."""

from pathlib import Path

import pytest

from kubelab.engine import containers_limits, containers_mounts, containers_names
from kubelab.engine.containers_config import complete, extra_hosts, runtime_config
from kubelab.engine.containers_mounts import Folders, MountPoint
from kubelab.engine.containers_ports import Publication, publications
from kubelab.engine.errors import DockerError
from kubelab.images.store import Image
from kubelab.runtime.api import Mount

IMAGE = Image(
    "sha256:1",
    {
        "config": {
            "Env": ["PATH=/bin", "KEPT=image", "OVER=image", "GONE=image"],
            "Entrypoint": ["enter"],
            "Cmd": ["default"],
            "WorkingDir": "/app",
            "User": "7",
            "Labels": {"of": "image", "both": "image"},
            "ExposedPorts": {"80/tcp": {}},
            "StopSignal": "SIGINT",
        }
    },
    0,
)


def test_a_request_lies_over_the_images_configuration():
    body = {
        "Image": "x",
        "Env": ["OVER=request", "NEW=1", "GONE"],
        "Labels": {"both": "request"},
        "HostConfig": {"Memory": 64 << 20},
    }
    config, host, _ = complete(body, IMAGE)
    assert config["Env"] == ["OVER=request", "NEW=1", "GONE", "PATH=/bin", "KEPT=image"]  # as dockerd orders them
    assert config["Labels"] == {"of": "image", "both": "request"}
    made = runtime_config(config, host, name="n", image_id="sha256:1", labels={}, log="/log")
    assert made.argv == ("enter", "default")
    assert (made.working_dir, made.user, made.stop_signal, made.resources.memory_limit) == (
        "/app",
        "7",
        "SIGINT",
        64 << 20,
    )


@pytest.mark.parametrize(
    ("body", "argv"),
    [
        ({"Cmd": ["other"]}, ("enter", "other")),
        ({"Entrypoint": ["mine"]}, ("mine",)),
        ({"Entrypoint": [""], "Cmd": ["alone"]}, ("alone",)),
    ],
    ids=["command", "entrypoint takes the command away", "no entrypoint"],
)
def test_entrypoint_and_command(body: dict, argv: tuple[str, ...]):
    config, host, _ = complete(body, IMAGE)
    assert runtime_config(config, host, name="n", image_id="i", labels={}, log="/log").argv == argv


def test_without_any_command():
    with pytest.raises(DockerError, match="No command specified") as refused:
        complete({}, Image("sha256:2", {}, 0))
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"HostConfig": {"Privileged": True}}, "HostConfig.Privileged is not supported"),
        ({"HostConfig": {"Devices": [{"PathOnHost": "/dev/sda"}]}}, "HostConfig.Devices is not supported"),
        ({"HostConfig": {"PidMode": "host"}}, "HostConfig.PidMode is not supported"),
        ({"HostConfig": {"CapAdd": ["FOO"]}}, 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        ({"HostConfig": {"MemorySwap": 5}}, "You should always set the Memory limit when using Memoryswap limit"),
        ({"HostConfig": {"NanoCpus": 10**9, "CpuQuota": 20000}}, "Nano CPUs and CPU Quota cannot both be set"),
        ({"HostConfig": {"CpuQuota": 10}}, "CPU cfs quota can not be less than 1ms"),
        ({"HostConfig": {"OomScoreAdj": 2000}}, "Invalid value 2000, range for oom score adj"),
        ({"HostConfig": {"SecurityOpt": ["foo=bar"]}}, "invalid --security-opt"),
        ({"HostConfig": {"Sysctls": {"kernel.panic": "1"}}}, "not in a separate kernel namespace"),
        ({"HostConfig": {"Ulimits": [{"Name": "foo"}]}}, "invalid ulimit type: foo"),
        ({"HostConfig": {"RestartPolicy": {"Name": "foo"}}}, "invalid restart policy 'foo'"),
        ({"HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}}}, "cannot be used with restart"),
        ({"HostConfig": {"RestartPolicy": {"Name": "always"}, "AutoRemove": True}}, "can't create 'AutoRemove'"),
        ({"HostConfig": {"Dns": ["notip"]}}, "notip is not an ip address"),
        ({"WorkingDir": "rel"}, "the working directory 'rel' is invalid, it needs to be an absolute path"),
        ({"StopSignal": "FOO"}, "Invalid signal: FOO"),
        ({"Healthcheck": {"Test": ["CMD", "x"], "Interval": 10}}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"HostConfig": {"Memory": 1}}, "Minimum memory limit allowed is 6MB"),
        (
            {"HostConfig": {"LogConfig": {"Type": "syslog"}}},
            'error looking up logging plugin syslog: plugin "syslog" not found',
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_what_is_not_served_is_named(body: dict, words: str):
    with pytest.raises(DockerError, match=words) as refused:
        complete(body, IMAGE)
    assert refused.value.status == 400


def test_what_the_cli_sends_with_every_request_is_harmless():
    host = {
        "Binds": None,
        "NetworkMode": "default",
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "", "Config": {}},
        "ConsoleSize": [24, 80],
        "Dns": [],
        "MemorySwappiness": -1,
        "OomKillDisable": False,
        "MaskedPaths": None,
        "CgroupnsMode": "private",
    }
    complete({"HostConfig": host, "NetworkingConfig": {"EndpointsConfig": {"default": {"Links": None}}}}, IMAGE)


FOLDERS = Folders((Path("/tmp"),), (Path("/tmp/lab"),))


def parsed(host: dict, config: dict | None = None, folders: Folders = FOLDERS) -> list[MountPoint]:
    return containers_mounts.parse(config or {}, host, folders, lambda _: [])


def test_mounts_of_every_kind():
    host = {
        "Binds": ["/tmp/a:/b:ro", "named:/n"],
        "Mounts": [{"Type": "volume", "Source": "v1", "Target": "/v", "VolumeOptions": {"Subpath": "s"}}],
        "Tmpfs": {"/t": "size=1m,mode=700,exec"},
    }
    found = {each.destination: each for each in parsed(host, {"Volumes": {"/n": {}, "/anon": {}}})}
    assert found["/b"].for_runtime() == Mount("/b", "/tmp/a", True)
    assert (found["/n"].type, found["/n"].name, found["/n"].anonymous) == ("volume", "named", False)
    assert (found["/v"].name, found["/v"].sub_path) == ("v1", "s")
    assert (found["/t"].size, found["/t"].permissions, found["/t"].options) == (1 << 20, 0o700, ("nosuid", "nodev"))
    assert found["/anon"].anonymous


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"Binds": ["/etc:/x"]}, "cannot bind /etc: this engine binds only what is below /tmp"),
        ({"Binds": ["/tmp/lab/docker.sock:/x"]}, "it belongs to the lab itself"),
        ({"Binds": ["/tmp/../etc:/x"]}, "cannot bind /etc"),
        ({"Binds": ["/tmp/a:b"]}, "invalid mount path: 'b' mount path must be absolute"),
        ({"Binds": ["/tmp/a:/"]}, "destination can't be '/'"),
        ({"Binds": ["/tmp/a:/b:bad"]}, "invalid mode: bad"),
        (
            {"Mounts": [{"Type": "bind", "Source": "/nonesuch", "Target": "/b"}]},
            "bind source path does not exist: /nones",
        ),
        ({"Mounts": [{"Type": "npipe", "Source": "x", "Target": "/b"}]}, "mount type npipe is not supported"),
        (
            {"Mounts": [{"Type": "volume", "Source": s, "Target": "/b"} for s in ("v1", "v2")]},
            "Duplicate mount point: /b",
        ),
        ({"Tmpfs": {"/a": "foo=1"}}, "invalid tmpfs option"),
    ],
    ids=str,
)
def test_mounts_that_are_refused(host: dict, words: str):
    with pytest.raises(DockerError, match=words):
        parsed(host)


def test_a_bind_is_judged_by_where_its_links_lead(tmp_path: Path):
    (tmp_path / "link").symlink_to("/etc")
    folders = Folders((tmp_path.resolve(),), ())
    with pytest.raises(DockerError, match="cannot bind"):
        parsed({"Binds": [f"{tmp_path}/link:/x"]}, folders=folders)
    assert parsed({"Binds": [f"{tmp_path}/plain:/x"]}, folders=folders)


def test_limits():
    _, host, _ = complete({"HostConfig": {"Memory": 64 << 20, "NanoCpus": 500_000_000, "CapAdd": ["net_admin"]}}, IMAGE)
    assert (host["MemorySwap"], host["CapAdd"]) == (128 << 20, ["CAP_NET_ADMIN"])
    made = containers_limits.resources(host)
    assert (made.memory_limit, made.cpu_quota, made.cpu_period) == (64 << 20, 50_000, 100_000)
    assert containers_limits.security(host).add_capabilities == ("CAP_NET_ADMIN",)


def test_extra_hosts():
    assert extra_hosts({"ExtraHosts": ["db:10.0.0.1"]}) == {"db": "10.0.0.1"}
    assert extra_hosts({"ExtraHosts": ["db:host-gateway"]}, "172.17.0.1") == {"db": "172.17.0.1"}
    with pytest.raises(DockerError, match='invalid IP address in add-host: "b"'):
        extra_hosts({"ExtraHosts": ["a:b"]})


def test_publications():
    host = {"PortBindings": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}, "PublishAllPorts": True}
    config = {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}}}
    assert publications(config, host) == [Publication(80, "", 8080), Publication(81, "", 0)]
    (ranged,) = publications({}, {"PortBindings": {"53/udp": [{"HostPort": "8000-8001"}]}})
    assert (ranged.key, list(ranged.host_ports)) == ("53/udp", [8000, 8001])
    for bad, words in (
        ({"53/sctp": [{}]}, "TCP and UDP ports only"),
        ({"80/tcp": [{"HostIp": "192.0.2.1"}]}, "the loopback only"),
        ({"80/tcp": [{"HostPort": "8001-8000"}]}, "invalid port specification"),
        ({"x/tcp": [{}]}, "invalid port specification"),
    ):
        with pytest.raises(DockerError, match=words):
            publications({}, {"PortBindings": bad})


def test_names():
    assert containers_names.check("/web-1.x") == "web-1.x"
    for bad in ("", "-x", "a", "a b", "a/b"):
        with pytest.raises(DockerError, match="Invalid container name"):
            containers_names.check(bad)
    every = {f"{a}_{p}" for a in containers_names.ADJECTIVES for p in containers_names.PEOPLE}
    assert containers_names.random_name(()) in every
    assert containers_names.random_name(every) not in every
