"""pull and push through the docker SDK, against Debian's docker-registry on the loopback."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from engines.engine.levels import isolated
from engines.engine.test_build import build

pytestmark = [pytest.mark.timeout(60), pytest.mark.requires("docker-registry"), isolated]
CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:0"}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Iterator[str]:
    """A running registry's `host:port`."""
    folder = tmp_path_factory.mktemp("registry")
    with serving(folder, CONFIG.format(folder=folder / "data")) as address:
        yield address


@contextlib.contextmanager
def serving(folder: Path, config: str) -> Iterator[str]:
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not on PATH")
    (folder / "config.yml").write_text(config)
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            found = None
            while not found:
                line = process.stderr.readline()
                assert line, "the registry ended before it listened"
                found = re.search(r"listening on (127\.0\.0\.1:\d+)", line)
            with drained(process):
                yield found[1]
        finally:
            process.terminate()


@contextlib.contextmanager
def drained(process: subprocess.Popen[str]) -> Iterator[None]:
    """Somebody must read the log, or the registry stops when its pipe is full."""
    reader = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        reader.terminate()
        reader.wait()


def statuses(lines) -> list[str]:
    """Each kind of line once, in order, with the layer's place instead of its ID."""
    seen: dict[str, None] = {}
    for line in lines:
        seen.setdefault(line.get("status") or line.get("error") or "aux")
    return list(seen)


def pushed(client, name: str) -> list[dict]:
    return list(client.api.push(name, stream=True, decode=True))


def pulled(client, name: str, tag: str | None = "v1", **options) -> list[dict]:
    return list(client.api.pull(name, tag=tag, stream=True, decode=True, **options))


def test_what_was_pushed_comes_back_the_same(client, registry):
    name = f"{registry}/org/shop"
    image, _ = build(
        client, "FROM scratch\nCOPY f /f\nCOPY g /g\nENV A=b\n", {"f": "x" * 5000, "g": "y"}, tag=f"{name}:v1"
    )
    lines = pushed(client, f"{name}:v1")
    *_, summary, aux = lines
    digest, size = aux["aux"]["Digest"], aux["aux"]["Size"]
    assert aux["aux"] == {"Tag": "v1", "Digest": digest, "Size": size}
    assert summary == {"status": f"v1: digest: {digest} size: {size}"}
    assert statuses(lines)[:4] == [f"The push refers to repository [{name}]", "Preparing", "Pushing", "Pushed"]
    assert "Layer already exists" in statuses(pushed(client, f"{name}:v1"))
    image.reload()
    assert image.attrs["RepoDigests"] == [f"{name}@{digest}"]
    gone = client.api.remove_image(f"{name}:v1")
    assert gone[:2] == [{"Untagged": f"{name}:v1"}, {"Untagged": f"{name}@{digest}"}]
    assert {"Deleted": image.id} in gone
    assert statuses(pulled(client, name)) == [
        "Pulling from org/shop",
        "Pulling fs layer",
        "Downloading",
        "Verifying Checksum",
        "Download complete",
        "Extracting",
        "Pull complete",
        f"Digest: {digest}",
        f"Status: Downloaded newer image for {name}:v1",
    ]
    again = client.images.get(f"{name}:v1")
    assert (again.id, again.attrs["RepoDigests"]) == (image.id, [f"{name}@{digest}"])
    assert statuses(pulled(client, name))[-1] == f"Status: Image is up to date for {name}:v1"


def test_image_is_pulled_by_its_digest(client, registry):
    name = f"{registry}/by/digest"
    image, _ = build(client, "FROM scratch\nCOPY f /f\n", {"f": "1"}, tag=f"{name}:v1")
    digest = pushed(client, f"{name}:v1")[-1]["aux"]["Digest"]
    client.images.remove(f"{name}:v1")
    lines = pulled(client, f"{name}@{digest}", tag=None)
    assert lines[-1]["status"] == f"Status: Downloaded newer image for {name}@{digest}"
    found = client.images.get(f"{name}@{digest}")
    assert (found.id, found.tags) == (image.id, [])
    assert client.api.remove_image(f"{name}@{digest}")[0] == {"Untagged": f"{name}@{digest}"}


def test_layers_that_are_here_are_not_pulled_again(client, registry):
    name = f"{registry}/shared"
    build(client, "FROM scratch\nCOPY f /f\n", {"f": "below"}, tag="below")
    build(client, "FROM below\nCOPY g /g\n", {"g": "above"}, tag=f"{name}:v1")
    pushed(client, f"{name}:v1")
    client.images.remove(f"{name}:v1")
    assert {"Already exists", "Pull complete"} <= set(statuses(pulled(client, name)))


def test_every_tag_is_pulled_where_none_is_named(client, registry):
    name = f"{registry}/all"
    for tag in ("a", "b"):
        build(client, f"FROM scratch\nENV A={tag}\nCOPY f /f\n", {"f": tag}, tag=f"{name}:{tag}")
    pushed(client, name)
    for tag in ("a", "b"):
        client.images.remove(f"{name}:{tag}")
    assert {tag for image in client.images.pull(name, all_tags=True) for tag in image.tags} == {
        f"{name}:a",
        f"{name}:b",
    }


def test_build_pulls_its_base_image(client, registry):
    name = f"{registry}/base"
    build(client, "FROM scratch\nENV A=pulled\nCOPY f /f\n", {"f": "1"}, tag=f"{name}:v1")
    pushed(client, f"{name}:v1")
    client.images.remove(f"{name}:v1")
    image, _ = build(client, f"FROM {name}:v1\nCOPY --from={name}:v1 /f /g\n", tag="child")
    assert "A=pulled" in image.attrs["Config"]["Env"]
    _, log = build(client, f"FROM {name}:v1\nENV B=1\n", tag="child", pull=True)
    assert "Successfully built" in log


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("{}/no/such:v1", 404, "manifest for {}/no/such:v1 not found: manifest unknown: manifest unknown"),
        ("{}/no/such", 404, "repository {}/no/such not found: name unknown: repository name not known to registry"),
        ("127.0.0.1:1/x:v1", 500, 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'),
        ("a:b:c", 400, "invalid reference format"),
    ],
)
def test_what_cannot_be_pulled(client, registry, name, status, message):
    answer = client.api._post(client.api._url("/images/create"), params={"fromImage": name.format(registry)})
    assert (answer.status_code, answer.json()["message"]) == (status, message.format(registry))


def test_what_cannot_be_pushed(client, registry):
    lines = pushed(client, f"{registry}/nosuch:v1")
    assert lines[-1]["error"] == f"An image does not exist locally with the tag: {registry}/nosuch"


def test_platform_that_there_is_not(client, registry):
    with pytest.raises(docker.errors.APIError, match="unknown operating system or architecture: invalid argument"):
        client.images.pull(f"{registry}/x", tag="v1", platform="foo")
