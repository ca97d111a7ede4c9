"""The lab's own registry with who speaks to one: both engines, the docker CLI, skopeo, a kubelet."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from engines.engine.real_engine import running_dockerd
from harness import kubelab
from kubelab.course.lab import Lab
from kubelab.course.start import start
from kubelab.home import Home

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True)
class Where:
    home: Home
    address: str
    client: docker.DockerClient


@pytest.fixture(scope="module")
def lab(best_engines: Home) -> Iterator[Where]:
    with contextlib.closing(docker.DockerClient(base_url=f"unix://{best_engines.docker_socket}")) as client:
        yield Where(best_engines, best_engines.registry_address, client)


@pytest.fixture(scope="module")
def real() -> Iterator[docker.DockerClient]:
    with running_dockerd() as engine, contextlib.closing(docker.DockerClient(base_url=engine.host)) as client:
        yield client


def made(client: docker.DockerClient, tag: str, content: str) -> str:
    """An image of two layers; its ID."""
    dockerfile = 'FROM scratch\nCOPY a /a\nCOPY b /b\nCMD ["/a"]\n'
    files = {"Dockerfile": dockerfile, "a": content, "b": "b" * 9000}
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data.encode()))
    context.seek(0)
    return client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)[0].id


def aux(lines: list[dict]) -> dict:
    assert not [each for each in lines if "error" in each], lines
    return next(each["aux"] for each in lines if "aux" in each)


def pushed(client: docker.DockerClient, name: str) -> dict:
    return aux(list(client.api.push(name, stream=True, decode=True)))


def test_it_is_named_where_one_looks(lab: Where):
    assert f"KUBELAB_REGISTRY={lab.address}" in kubelab(lab.home, "env").stdout
    assert f"{lab.address}, HTTP status 200" in kubelab(lab.home, "doctor", check=False).stdout


def test_tag_push_rmi_pull(lab: Where):
    name = f"{lab.address}/team/hello:1"
    id = made(lab.client, name, "round trip")
    digest = pushed(lab.client, name)["Digest"]
    lab.client.images.remove(name)
    with pytest.raises(docker.errors.ImageNotFound):
        lab.client.images.get(name)
    assert lab.client.images.pull(name).id == id
    assert lab.client.images.get(name).attrs["RepoDigests"] == [f"{lab.address}/team/hello@{digest}"]
    lab.client.images.remove(name)


@pytest.mark.requires("dockerd")
def test_a_real_dockerd_pulls_what_the_lab_has_and_pushes_what_the_lab_pulls(lab: Where, real: docker.DockerClient):
    assert (
        real.images.pull(f"{lab.address}/kubelab/python", tag="latest").id == lab.client.images.get("kubelab/python").id
    )
    name = f"{lab.address}/real/thing:1"
    id = made(real, name, "by dockerd")
    pushed(real, name)
    assert lab.client.images.pull(name).id == id
    name = f"{lab.address}/lab/thing:1"
    id = made(lab.client, name, "by the lab")
    pushed(lab.client, name)
    assert real.images.pull(name).id == id
    found = real.images.get_registry_data(name)
    assert (found.id, found.attrs["Platforms"]) == _seen(lab, name)


def _seen(lab: Where, name: str) -> tuple[str, list[dict[str, str]]]:
    found = lab.client.images.get_registry_data(name)
    return found.id, found.attrs["Platforms"]


@pytest.mark.requires("docker")
def test_the_docker_cli(lab: Where, tmp_path: Path):
    name = f"{lab.address}/cli/hello:1"
    made(lab.client, name, "cli")
    again = name.replace(":1", ":2")
    lab.client.images.get(name).tag(again)
    out = run(lab, tmp_path, "push", "--all-tags", f"{lab.address}/cli/hello")
    assert "1: digest: sha256:" in out and "2: digest: sha256:" in out
    manifest = json.loads(run(lab, tmp_path, "manifest", "inspect", "--insecure", name))
    assert manifest["schemaVersion"] == 2 and len(manifest["layers"]) == 2
    assert "Login Succeeded" in run(lab, tmp_path, "login", "-u", "anybody", "-p", "x", lab.address)
    for each in (name, again):
        lab.client.images.remove(each)
    assert "Status: Downloaded newer image for" in run(lab, tmp_path, "pull", "-a", f"{lab.address}/cli/hello")
    assert {name, again} <= set(lab.client.images.get(name).tags)
    failed = run(lab, tmp_path, "search", "busybox", check=False)
    assert "docker search asks Docker Hub's website" in failed


def run(lab: Where, folder: Path, *arguments: str, check: bool = True) -> str:
    environment = os.environ | {
        "DOCKER_HOST": f"unix://{lab.home.docker_socket}",
        "DOCKER_CONFIG": str(folder / "config"),
    }
    done = subprocess.run(["docker", *arguments], env=environment, capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.requires("skopeo")
def test_skopeo_copies_out_and_in(lab: Where, tmp_path: Path):
    def skopeo(*arguments: str) -> str:
        done = subprocess.run(["skopeo", "--insecure-policy", *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    name = f"{lab.address}/skopeo/hello:1"
    id = made(lab.client, name, "skopeo")
    pushed(lab.client, name)
    layout = f"oci:{tmp_path}/layout:hello"
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", layout)
    back = f"{lab.address}/skopeo/back:1"
    skopeo("copy", "--dest-tls-verify=false", layout, f"docker://{back}")
    assert lab.client.images.pull(back).attrs["RootFS"] == lab.client.images.get(id).attrs["RootFS"]
    tags = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{lab.address}/skopeo/back"))
    assert tags["Tags"] == ["1"]
    skopeo("delete", "--tls-verify=false", f"docker://{back}")
    with pytest.raises(docker.errors.NotFound):
        lab.client.images.pull(back)
    # The base image comes straight from the engine's store, as plain tars.
    found = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{lab.address}/kubelab/python"))
    assert found["Layers"] == lab.client.images.get("kubelab/python").attrs["RootFS"]["Layers"]


def test_a_pod_pulls_from_it(lab: Where, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBELAB_HOME", str(lab.home.path))
    monkeypatch.delenv("KUBELAB_CONTEXT", raising=False)
    course: Lab = start("02")
    name = f"{course.registry}/pods/python:1"
    course.docker.images.get("kubelab/python").tag(name)
    pushed(course.docker, name)
    course.docker.images.remove(name)
    command = ["python", "-c", "print('from the registry')"]
    containers = [{"name": "main", "image": name, "imagePullPolicy": "Always", "command": command}]
    course.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "pulled"},
            "spec": {"restartPolicy": "Never", "containers": containers},
        }
    )
    course.wait_for("pod/pulled", lambda pod: pod["status"].get("phase") == "Succeeded")
    events = course.events("pod/pulled").rows
    assert any("Successfully pulled image" in str(row) for row in events), events
    course.k8s.close()
