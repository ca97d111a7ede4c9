"""What `POST /containers/create` makes of a request: the image's defaults below it, refusals by name."""

import pytest

from kubelab.engine import containers_config, containers_names
from kubelab.engine.containers_config import complete, extra_hosts, listed_mounts, runtime_config
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
    config, host = complete(body, IMAGE)
    assert config["Env"] == ["PATH=/bin", "KEPT=image", "OVER=request", "NEW=1"]
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
    config, host = complete(body, IMAGE)
    assert runtime_config(config, host, name="n", image_id="i", labels={}, log="/log").argv == argv


def test_without_any_command():
    with pytest.raises(DockerError, match="no command specified") as refused:
        complete({}, Image("sha256:2", {}, 0))
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"Domainname": "x"}, "Domainname is not supported"),
        ({"HostConfig": {"CapAdd": ["NET_ADMIN"]}}, "HostConfig.CapAdd is not supported"),
        ({"HostConfig": {"MemorySwap": 5}}, "HostConfig.MemorySwap is not supported"),
        ({"HostConfig": {"Memory": 1}}, "Minimum memory limit allowed is 6MB"),
        ({"HostConfig": {"LogConfig": {"Type": "syslog"}}}, "logging driver syslog"),
        ({"HostConfig": {"NetworkMode": "host"}}, "network host is not supported"),
        ({"NetworkingConfig": {"EndpointsConfig": {"bridge": {"Aliases": ["a"]}}}}, "NetworkingConfig.Aliases"),
        ({"Volumes": {"/data": {}}}, "volume /data is not supported"),
        ({"HostConfig": {"Binds": ["relative:/x"]}}, "volume relative is not supported"),
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


def test_binds_and_hosts():
    host = {
        "Binds": ["/a:/b:ro", "/c:/d"],
        "Mounts": [{"Type": "bind", "Source": "/e", "Target": "/f", "ReadOnly": True}],
    }
    assert listed_mounts(host) == [Mount("/b", "/a", True), Mount("/d", "/c", False), Mount("/f", "/e", True)]
    with pytest.raises(DockerError, match="bind source path does not exist: /nonesuch"):
        containers_config.mounts({"Binds": ["/nonesuch:/b"]})
    assert extra_hosts({"ExtraHosts": ["db:10.0.0.1"]}) == {"db": "10.0.0.1"}
    with pytest.raises(DockerError, match="host-gateway"):
        extra_hosts({"ExtraHosts": ["db:host-gateway"]})


def test_publications():
    host = {"PortBindings": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}, "PublishAllPorts": True}
    config = {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}}}
    assert publications(config, host) == [Publication(80, "", 8080), Publication(81, "", 0)]
    for bad, words in (
        ({"53/udp": [{}]}, "TCP ports only"),
        ({"80/tcp": [{"HostIp": "192.0.2.1"}]}, "the loopback only"),
        ({"80/tcp": [{"HostPort": "8000-8001"}]}, "one host port is expected"),
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
