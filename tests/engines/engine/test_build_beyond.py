"""What the embedded builder does beyond dockerd 20.10's classic one: heredocs, checksums, the cache's reasons.

Where both do it, both are asked (`engine_client`).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from engines.engine.parity import members, post_build, told
from engines.engine.real_engine import tidy
from harness_images import make_tar

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def embedded(embedded_engine) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.DockerClient(base_url=embedded_engine.host)) as client:
        yield client
        tidy(client)


@pytest.fixture
def server(tmp_path) -> Iterator[tuple[str, Path]]:
    """A web server on the loopback: its address, and the folder that it serves."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", tmp_path
        running.shutdown()


def build(client: docker.DockerClient, dockerfile: str, files: dict | None = None, **query: str):
    """The stream's lines; the build must have worked."""
    status, lines = post_build(client, make_tar({"Dockerfile": dockerfile, **(files or {})}), t="beyond", **query)
    assert status == 200
    assert not [line for line in lines if "error" in line], lines[-1]
    return lines


def fails(client: docker.DockerClient, dockerfile: str, **query: str) -> str:
    _, lines = post_build(client, make_tar({"Dockerfile": dockerfile, "f": "x"}), t="beyond", **query)
    return lines[-1].get("error") or lines[-1]["message"]


def content(client: docker.DockerClient, path: str) -> str:
    return client.containers.run("beyond", ["cat", path], remove=True).decode()


def last_layer(client: docker.DockerClient) -> list[dict]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(client.api.get_image("beyond")))) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        return members(archive.extractfile(manifest["Layers"][-1]))


# -- heredocs


def test_heredoc_is_a_script(embedded):
    build(embedded, "FROM kl/base\nARG W=world\nRUN <<EOF\nset -e\necho hello $W > /a\necho more >> /a\nEOF\nCMD x\n")
    assert content(embedded, "/a") == "hello world\nmore\n"


def test_heredoc_with_an_interpreter_of_its_own(embedded):
    build(embedded, "FROM kl/base\nRUN <<EOF\n#!/bin/bash\necho ${BASH_VERSION:+bash} > /a\nEOF\n")
    assert content(embedded, "/a") == "bash\n"
    assert [entry["name"] for entry in last_layer(embedded)] == ["a"]


def test_heredocs_of_a_command_go_to_the_shell(embedded):
    build(embedded, "FROM kl/base\nRUN cat <<ONE > /a && cat <<-'TWO' > /b\n1 $((1 + 1))\nONE\n\t$x\n\tTWO\n")
    assert content(embedded, "/a") == "1 2\n"
    assert content(embedded, "/b") == "$x\n"


def test_heredoc_is_a_file(embedded):
    texts = 'COPY <<A <<-"b" /d/\nI am ${N}, "quoted"\nA\n\t$N\nb\nCOPY --chown=5:6 <<E /c\nE\n'
    build(embedded, f"FROM kl/base\nENV N=me\n{texts}")
    assert content(embedded, "/d/A") == 'I am me, "quoted"\n'
    assert content(embedded, "/d/b") == "$N\n"
    (entry,) = last_layer(embedded)
    assert (entry["name"], entry["uid"], entry["gid"], entry["size"], entry["mode"]) == ("c", 5, 6, 0, 0o100644)


def test_heredoc_that_changes_is_not_found_in_the_cache(embedded):
    text = "FROM kl/base\nCOPY <<E /f\n{}\nE\nRUN <<E\necho {}\nE\n"
    build(embedded, text.format(1, 2))
    assert [line["cache"]["hit"] for line in build(embedded, text.format(1, 2)) if "cache" in line] == [True, True]
    assert [line["cache"]["hit"] for line in build(embedded, text.format(1, 3)) if "cache" in line] == [True, False]


def test_heredoc_without_an_end(embedded):
    assert "unterminated heredoc: EOF is missing" in fails(embedded, "FROM kl/base\nRUN <<EOF\necho\n")


# -- ADD of URLs, remote contexts


def test_added_url_is_a_file_with_the_servers_time(engine_client, server):
    url, folder = server
    (folder / "file.tar").write_bytes(make_tar({"f": "not unpacked"}))
    build(engine_client, f"FROM kl/base\nADD {url}/file.tar /in/\nADD {url}/file.tar /out\n")
    (entry,) = last_layer(engine_client)
    assert (entry["name"], entry["mode"], entry["size"]) == ("out", 0o100600, (folder / "file.tar").stat().st_size)


def test_added_url_is_hashed_alike(both_engines, server):
    url, folder = server
    (folder / "file").write_text("content")
    for client in both_engines.values():
        build(client, f"FROM kl/base\nADD {url}/file /x/\n")
    made = {name: client.images.get("beyond").history()[0]["CreatedBy"] for name, client in both_engines.items()}
    assert made["embedded"] == made["host"]


def test_what_a_server_refuses(both_engines, server):
    url, _ = server
    said = {name: fails(client, f"FROM kl/base\nADD {url}/nope /x\n") for name, client in both_engines.items()}
    assert said["embedded"] == said["host"]
    assert "with status 404 File not found" in said["host"]


def test_checksum_of_an_added_url(embedded, server):
    url, folder = server
    (folder / "file").write_text("content")
    digest = hashlib.sha256(b"content").hexdigest()
    build(embedded, f"FROM kl/base\nADD --checksum=sha256:{digest} {url}/file /x\n")
    wrong = fails(embedded, f"FROM kl/base\nADD --checksum=sha256:{'0' * 64} {url}/file /x\n")
    assert wrong == f"ADD failed: digest mismatch sha256:{digest} : sha256:{'0' * 64}"
    assert "non-HTTP(S) sources" in fails(embedded, f"FROM kl/base\nADD --checksum=sha256:{digest} f /x\n")


def test_context_from_a_url(engine_client, server):
    url, folder = server
    (folder / "Dockerfile").write_text("FROM kl/base\nRUN echo remote > /r\n")
    engine_client.images.build(path=f"{url}/Dockerfile", tag="beyond", rm=True)
    assert content(engine_client, "/r") == "remote\n"
    (folder / "context.tar").write_bytes(make_tar({"Dockerfile": "FROM kl/base\nCOPY f /f\n", "f": "in a tar\n"}))
    engine_client.images.build(path=f"{url}/context.tar", tag="beyond", rm=True)
    assert content(engine_client, "/f") == "in a tar\n"


def test_git_is_refused_by_name(embedded):
    with pytest.raises(docker.errors.APIError, match="clones no git repository"):
        embedded.images.build(path="https://github.com/some/repository.git")


@pytest.mark.requires("docker")
@pytest.mark.parametrize("kind", ["dockerfile", "tar"])
def test_context_on_standard_input(engine_client, kind):
    text = "FROM kl/base\nRUN echo stdin > /s\n"
    data = text.encode() if kind == "dockerfile" else make_tar({"Dockerfile": text})
    host = f"unix://{engine_client.api._custom_adapter.socket_path}"
    command = ["docker", "--host", host, "build", "--tag", "beyond", "-"]
    done = subprocess.run(command, input=data, capture_output=True, env={**os.environ, "DOCKER_BUILDKIT": "0"})
    assert done.returncode == 0, done.stderr
    assert content(engine_client, "/s") == "stdin\n"


# -- the cache


def reasons(lines: list[dict]) -> list[str]:
    return [line["cache"]["reason"] for line in lines if "cache" in line]


def test_stream_tells_why_each_step_was_built(embedded):
    recipe = "FROM kl/base\nENV WHY=1\nCOPY f /why\nRUN cat /why\n"
    assert reasons(build(embedded, recipe, {"f": "1"}))[1:] == ["after-miss", "after-miss"]
    assert reasons(build(embedded, recipe, {"f": "1"})) == ["hit", "hit", "hit"]
    lines = build(embedded, recipe, {"f": "2"})
    assert reasons(lines) == ["hit", "changed", "after-miss"]
    (why,) = [line["cache"] for line in lines if "cache" in line and line["cache"]["reason"] == "changed"]
    assert (why["step"], why["instruction"], why["hit"]) == (3, "COPY f /why", False)
    assert why["message"].startswith("what is copied has changed")
    assert why["differences"][0]["field"] == "Cmd"
    assert why["differences"][0]["was"] != why["differences"][0]["now"]
    assert reasons(build(embedded, recipe, {"f": "1"}, nocache="1")) == ["no-cache"] * 3


def test_reasons_name_what_differs(embedded):
    recipe = "FROM kl/base\nARG V\nRUN echo built\n"
    build(embedded, recipe, buildargs='{"V": "1"}')
    (why,) = [
        line["cache"]
        for line in build(embedded, recipe, buildargs='{"V": "2"}')
        if line.get("cache", {}).get("reason") == "changed"
    ]
    assert why["message"] == "a build argument has another value than the last time"
    build(embedded, "FROM kl/base\nLABEL a=1\n")
    lines = build(embedded, "FROM kl/base\nLABEL a=2\n")
    assert "Labels" in [each["field"] for line in lines if "cache" in line for each in line["cache"]["differences"]]


def test_reasons_do_not_disturb_the_docker_sdk(embedded):
    context = io.BytesIO(make_tar({"Dockerfile": "FROM kl/base\nRUN echo sdk\n"}))
    image, log = embedded.images.build(fileobj=context, custom_context=True, tag="beyond", rm=True)
    assert image.tags == ["beyond:latest"]
    assert [line["cache"]["hit"] for line in log if "cache" in line] == [False]


def test_cache_from_an_image_that_came_from_elsewhere(both_engines):
    """Loaded images have no parents, so only --cache-from finds their steps."""
    recipe = "FROM kl/base\nENV CF=1\nRUN echo from > /cf\nRUN echo more > /cf2\n"
    archives = {}
    for name, client in both_engines.items():
        build(client, recipe)
        archives[name] = b"".join(client.images.get("beyond").save(named=True))
        client.images.remove("beyond")
        client.images.load(archives[name])
    plain = {name: told(build(client, recipe, nocache="")) for name, client in both_engines.items()}
    assert "Using cache" not in plain["host"][0]
    assert plain["embedded"] == plain["host"]
    for name, client in both_engines.items():
        client.images.remove("beyond")
        client.images.load(archives[name])
    cached = {name: told(build(client, recipe, cachefrom='["beyond"]')) for name, client in both_engines.items()}
    assert cached["host"][0].count("Using cache") == 3
    assert cached["embedded"] == cached["host"]


# -- options of RUN's containers


def test_hosts_and_limits_of_run(engine_client):
    lines = build(
        engine_client,
        "FROM kl/base\nRUN grep other /etc/hosts; ulimit -n; df -k /dev/shm | tail -1\n",
        extrahosts="other:10.9.8.7",
        ulimits='[{"Name": "nofile", "Soft": 321, "Hard": 400}]',
        shmsize=str(8 << 20),
    )
    said = "".join(line.get("stream", "") for line in lines)
    assert "10.9.8.7\tother\n" in said
    assert "\n321\n" in said or "321\n" in said
    assert " 8192 " in said


def test_memory_below_the_least_is_refused(embedded):
    with pytest.raises(docker.errors.APIError, match="Minimum memory limit allowed is 6MB"):
        embedded.api._raise_for_status(
            embedded.api._post(embedded.api._url("/build"), params={"memory": "1000"}, data=make_tar({}))
        )
