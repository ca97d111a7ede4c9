"""What users of the docker SDK do with images, on both engines. After docker-py's tests/integration/api_image_test.py
and api_build_test.py, without a network."""

from __future__ import annotations

import http.server
import io
import json
import socketserver
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.utils.proxy import ProxyConfig

from harness_images import make_tar

pytestmark = pytest.mark.timeout(120)
BASE = "kl/base"
TAR = make_tar({"testdata": "A" * 512})


@pytest.fixture
def api(engine_client: docker.DockerClient) -> docker.APIClient:
    return engine_client.api


def build(api: docker.APIClient, *lines: str, **options: object) -> list[dict]:
    return list(api.build(fileobj=io.BytesIO("\n".join(lines).encode()), decode=True, rm=True, **options))


def said(lines: list[dict]) -> str:
    return "".join(line.get("stream", "") for line in lines)


# -- listing and removing


def test_every_image_is_listed_once_and_counted(api: docker.APIClient):
    build(api, f"FROM {BASE}", "ENV A=1", "ENV B=2", tag="sdk/listed")
    found = api.images(all=True)
    assert {"Id", "Created", "RepoTags"} <= set(found[0])
    assert len({image["Id"] for image in found}) == api.info()["Images"]
    assert all(isinstance(each, str) for each in api.images(quiet=True))


def test_a_committed_image_has_its_containers_for_a_parent_and_goes(api: docker.APIClient):
    container = api.create_container(BASE, ["touch", "/test"])
    api.start(container)
    api.wait(container)
    made = api.commit(container, changes=["EXPOSE 8000", 'CMD ["bash"]'])["Id"]
    found = api.inspect_image(made)
    assert found["Parent"] == api.inspect_image(BASE)["Id"]
    assert "8000/tcp" in found["Config"]["ExposedPorts"] and found["Config"]["Cmd"] == ["bash"]
    assert {"Deleted": made} in api.remove_image(made, force=True)
    assert made not in [image["Id"] for image in api.images(all=True)]


def test_prune_leaves_what_is_in_use_and_takes_what_is_named_only_when_told(api: docker.APIClient):
    build(api, f"FROM {BASE}", "LABEL prune=used", tag="sdk/used")
    build(api, f"FROM {BASE}", "LABEL prune=unused", "RUN echo x > /x", tag="sdk/unused")
    api.create_container("sdk/used", ["true"])
    unused = api.inspect_image("sdk/unused")["Id"]
    assert api.prune_images({"label": ["prune"]})["ImagesDeleted"] is None
    pruned = api.prune_images({"dangling": False, "label": ["prune"]})
    assert pruned["SpaceReclaimed"] > 0
    assert {"Untagged": "sdk/unused:latest"} in pruned["ImagesDeleted"]
    assert {"Deleted": unused} in pruned["ImagesDeleted"]
    assert api.inspect_image("sdk/used")


# -- import, save, load


def imported(answer: str) -> str:
    *_, last = map(json.loads, answer.splitlines())
    assert "error" not in last, last
    return last["status"]


def test_import_from_bytes_a_file_and_a_stream(api: docker.APIClient, tmp_path: Path):
    path = tmp_path / "fs.tar"
    path.write_bytes(TAR)
    answers = [
        api.import_image_from_data(TAR, repository="sdk/bytes"),
        api.import_image_from_file(str(path), repository="sdk/file"),
        api.import_image(src=path.open("rb"), repository="sdk/stream"),
    ]
    layers = [api.inspect_image(imported(answer))["RootFS"]["Layers"] for answer in answers]
    assert layers[0] == layers[1] == layers[2] and len(layers[0]) == 1


def test_import_with_changes(api: docker.APIClient):
    made = imported(api.import_image_from_data(TAR, repository="sdk/changed", changes=["USER foobar", 'CMD ["echo"]']))
    config = api.inspect_image(made)["Config"]
    assert (config["Cmd"], config["User"]) == (["echo"], "foobar")


@pytest.fixture
def url() -> Iterator[str]:
    """Where a tar is to be had by HTTP."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/fs.tar"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(TAR) if found else 0))
            self.end_headers()
            self.wfile.write(TAR if found else b"")

        def log_message(self, *_: object) -> None: ...

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_import_from_a_url(api: docker.APIClient, url: str):
    answer = api.import_image_from_url(f"{url}/fs.tar", repository="sdk/url")
    first, *_ = map(json.loads, answer.splitlines())
    assert first == {"status": f"Downloading from {url}/fs.tar"}
    assert api.history(imported(answer))[0]["Comment"] == f"Imported from {url}/fs.tar"
    with pytest.raises(docker.errors.APIError, match=f"failed to GET {url}/none with status 404 Not Found"):
        api.import_image_from_url(f"{url}/none", repository="sdk/none")


def test_what_was_saved_is_loaded_by_its_name(api: docker.APIClient):
    build(api, f"FROM {BASE}", "ENV SAVED=1", tag="sdk/saved:1")
    data = b"".join(api.get_image("sdk/saved:1"))
    assert {"stream": "Loaded image: sdk/saved:1\n"} in list(api.load_image(data))


# -- build


def test_proxies_of_the_client_are_build_arguments(api: docker.APIClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api, "_proxy_configs", ProxyConfig(ftp="a", http="b", https="c", no_proxy="d"))
    wanted = {"FTP_PROXY": "a", "ftp_proxy": "a", "http_proxy": "b", "HTTPS_PROXY": "c", "no_proxy": "d"}
    lines = build(api, f"FROM {BASE}", *(f"RUN env | grep {name}={value}" for name, value in wanted.items()))
    assert "Successfully built" in said(lines)
    lines = build(api, f"FROM {BASE}", "RUN env | grep FTP_PROXY=X", buildargs={"FTP_PROXY": "X"})
    assert "Successfully built" in said(lines)


def test_dockerignore_trims_and_knows_exceptions_and_comments(api: docker.APIClient, tmp_path: Path):
    ignore = ["ignored", "Dockerfile", ".dockerignore", " with-spaces ", "!ignored/sub/excepted", "#*", "\t ", ""]
    files = {
        "Dockerfile": f"FROM {BASE}\nADD . /test\n",
        ".dockerignore": "\n".join(ignore),
        "kept": "",
        "#file": "",
        "with-spaces": "",
        "ignored/sub/file": "",
        "ignored/sub/excepted": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    list(api.build(path=str(tmp_path), tag="sdk/ignored", rm=True))
    container = api.create_container("sdk/ignored")
    with tarfile.open(fileobj=io.BytesIO(b"".join(api.get_archive(container, "/test")[0]))) as tar:
        names = {member.name for member in tar if member.isfile()}
    assert names == {"test/#file", "test/kept", "test/ignored/sub/excepted"}


def test_options_that_leave_no_trace(api: docker.APIClient):
    for options in ({"shmsize": 134217728}, {"isolation": "default"}):
        assert "Successfully built" in said(build(api, "FROM scratch", "CMD true", **options))
    with pytest.raises(docker.errors.APIError, match=r"nsupported isolation: .*hyperv"):
        build(api, "FROM scratch", "CMD true", isolation="hyperv")


def test_build_arguments_and_labels(api: docker.APIClient):
    build(api, "FROM scratch", "ARG test", "USER $test", tag="sdk/args", buildargs={"test": "OK"}, labels={"a": "b"})
    config = api.inspect_image("sdk/args")["Config"]
    assert (config["User"], config["Labels"]) == ("OK", {"a": "b"})


def test_no_network(api: docker.APIClient):
    lines = build(api, f"FROM {BASE}", "RUN ls /sys/class/net", network_mode="none", nocache=True)
    assert "eth0" not in said(lines) and "lo\n" in said(lines)


def test_standard_error_is_red(api: docker.APIClient):
    lines = build(api, f"FROM {BASE}", "RUN echo temple >&2", nocache=True)
    assert {"stream": "\x1b[91mtemple\n\x1b[0m"} in lines


def test_gzip_and_a_media_type_that_is_none(api: docker.APIClient, tmp_path: Path):
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nADD . /test\n")
    lines = list(api.build(path=str(tmp_path), decode=True, gzip=True, rm=True))
    assert "Successfully built" in lines[-1]["stream"]


def test_a_platform_that_there_is_not(api: docker.APIClient):
    with pytest.raises(docker.errors.APIError, match=r"unknown operating system or architecture|invalid platform"):
        build(api, f"FROM {BASE}", platform="foobar")


def test_a_dockerfile_from_outside_of_the_context(api: docker.APIClient, tmp_path: Path):
    context, outside = tmp_path / "context", tmp_path / "outside"
    for folder in (context, outside):
        folder.mkdir()
    (context / "file.txt").write_text("hello")
    (context / ".dockerignore").write_text(".dockerignore\n")
    (outside / "Dockerfile").write_text(f"FROM {BASE}\nCOPY . /src\nWORKDIR /src\n")
    lines = list(
        api.build(path=str(context), dockerfile=str(outside / "Dockerfile"), tag="sdk/out", decode=True, rm=True)
    )
    assert "Successfully tagged" in lines[-1]["stream"]
    container = api.create_container("sdk/out")
    with tarfile.open(fileobj=io.BytesIO(b"".join(api.get_archive(container, "/src")[0]))) as tar:
        assert sorted(tar.getnames()) == ["src", "src/file.txt"]
