"""`docker build` through the docker SDK: images, history, layers, cache and errors as dockerd has them."""

from __future__ import annotations

import io
import json
import tarfile
import time

import docker
import pytest

from engines.engine import facts, facts_seen
from engines.engine.conftest import Running
from engines.engine.levels import isolated
from harness_images import make_tar

pytestmark = pytest.mark.timeout(60)


def build(client: docker.DockerClient, dockerfile: str, files: dict | None = None, **options):
    """The image, and what the stream said."""
    context = make_tar({"Dockerfile": dockerfile, **(files or {})})
    image, log = client.images.build(fileobj=io.BytesIO(context), custom_context=True, rm=True, **options)
    return image, "".join(line.get("stream", "") for line in log)


def _tar(file) -> tarfile.TarFile:
    return tarfile.open(fileobj=file)


def saved(client: docker.DockerClient, name: str) -> tuple[dict, list[list[tuple]]]:
    """The image's config, and what its layers hold."""
    archive = _tar(io.BytesIO(b"".join(client.images.get(name).save(named=True))))
    manifest = json.load(archive.extractfile("manifest.json"))[0]
    layers = [_tar(archive.extractfile(layer)) for layer in manifest["Layers"]]
    entries = [[(e.name, e.mode & 0o7777, e.uid, e.type, e.size, e.linkname) for e in layer] for layer in layers]
    return json.load(archive.extractfile(manifest["Config"])), entries


@isolated
def test_history_and_layers_are_those_of_dockerd(client):
    image, _ = build(client, facts.DOCKERFILE, facts.CONTEXT, tag="facts", nocache=True)
    config, layers = saved(client, "facts")
    empty = [bool(entry.get("empty_layer")) for entry in config["history"]]
    seen = [(line["CreatedBy"], line["Size"]) for line in reversed(image.history())]
    assert seen[1:] == [(created_by, size) for created_by, size, _ in facts_seen.HISTORY]
    assert empty[1:] == [not has_layer for _, _, has_layer in facts_seen.HISTORY]
    assert layers[1:] == facts_seen.LAYERS
    assert config["config"]["Env"][-3:] == ["B=two words", "P=/x:", "OLD=style value"]
    assert config["config"]["ExposedPorts"] == {"8080/tcp": {}, "9000/udp": {}}
    assert config["config"]["WorkingDir"] == "/tmp"
    assert config["config"]["User"] == "nobody"


@isolated
def test_stream_says_each_step_and_what_it_printed(client):
    _, said = build(client, "FROM kubelab/python\nRUN echo out; echo err >&2\n", tag="said", buildargs={"UNUSED": "x"})
    assert "Step 2/2 : RUN echo out; echo err >&2\n" in said
    assert "\n ---> Running in " in said
    assert "out\n" in said
    assert "\x1b[91merr\n\x1b[0m" in said
    assert "[Warning] One or more build-args [UNUSED] were not consumed\nSuccessfully built " in said
    assert said.endswith("Successfully tagged said:latest\n")


@isolated
def test_second_build_comes_from_the_cache_up_to_the_line_that_changed(client):
    recipe = "FROM kubelab/python\nRUN echo {} > /a\nCOPY f /f\nRUN cat /f > /g\n"
    first, _ = build(client, recipe.format("one"), {"f": "1"}, tag="cached")
    again, log = build(client, recipe.format("one"), {"f": "1"}, tag="cached")
    assert again.id == first.id
    assert log.count("Using cache") == 3
    _, log = build(client, recipe.format("one"), {"f": "2"}, tag="cached")
    assert log.count("Using cache") == 1
    _, log = build(client, recipe.format("one"), {"f": "1"}, tag="cached", nocache=True)
    assert "Using cache" not in log


def test_build_argument_is_part_of_the_cache_and_environment_goes_before_it(client):
    recipe = "FROM kubelab/python\nARG WHO=me\nRUN echo hello $WHO\nENV WHO=env\nRUN echo bye $WHO\n"
    _, log = build(client, recipe, tag="args")
    assert "hello me\n" in log
    assert "bye env\n" in log
    image, log = build(client, recipe, tag="args", buildargs={"WHO": "you"})
    assert "hello you\n" in log
    assert "bye env\n" in log
    assert [line["CreatedBy"] for line in image.history()][2] == "|1 WHO=you /bin/sh -c echo hello $WHO"


@isolated
def test_deleted_files_hide_what_is_below_and_still_cost_their_bytes(client):
    image, _ = build(
        client,
        "FROM kubelab/python\nRUN head -c 1000000 /dev/zero > /big\nRUN rm /big\nRUN ls /big || echo gone\n",
        tag="big",
    )
    _, layers = saved(client, "big")
    assert [entry[0] for entry in layers[-1]] == [".wh.big"]
    assert [line["Size"] for line in image.history()][:3] == [0, 0, 1000000]


@isolated
def test_folder_that_is_made_again_is_opaque(client):
    recipe = "FROM kubelab/python\nRUN mkdir /d && touch /d/old\nRUN rm -rf /d && mkdir /d && touch /d/new\nRUN ls /d\n"
    _, log = build(client, recipe, tag="opaque", nocache=True)
    assert "\nnew\n" in log
    assert "\nold\n" not in log


@pytest.mark.parametrize(("line", "expected"), facts_seen.ERRORS.items())
@isolated
def test_errors_are_those_of_dockerd(client, line, expected):
    status, message = expected
    with pytest.raises((docker.errors.BuildError, docker.errors.APIError)) as error:
        build(client, f"FROM kubelab/python\n{line}\n", {"f": "x", "d/": b"", "d/g": "y"})
    if status == 200:
        assert error.value.msg == message
    else:
        assert (error.value.status_code, error.value.explanation) == (status, message)


@isolated
def test_user_that_the_image_does_not_have(client):
    with pytest.raises(
        docker.errors.BuildError, match="unable to find user nosuch: no matching entries in passwd file"
    ):
        build(client, "FROM kubelab/python\nUSER nosuch\nRUN true\n")


def test_failing_run_tells_its_exit_code(running: Running, client):
    with pytest.raises(docker.errors.BuildError) as error:
        build(client, "FROM kubelab/python\nRUN exit 3\n")
    assert error.value.msg == "The command '/bin/sh -c exit 3' returned a non-zero code: 3"
    last = list(error.value.build_log)[-1]
    assert last["errorDetail"]["code"] == 3
    if running.home:
        assert list((running.home.engine / "builds").iterdir()) == []
        assert client.info()["Containers"] == 0


def test_labels_of_the_client_are_steps_of_their_own(client):
    image, log = build(client, "FROM kubelab/python\n", labels={"z": "b c", "a": "$d"}, tag="labels")
    assert "Step 2/3 : LABEL a=$d\n" in log
    assert image.labels["z"] == "b c"
    assert image.labels["a"] == "$d"


def test_stages_build_on_each_other(client):
    image, _ = build(client, "FROM kubelab/python AS one\nENV A=1\nFROM one\nENV B=2\n", tag="stages")
    assert image.attrs["Config"]["Env"][-2:] == ["A=1", "B=2"]


def test_from_scratch(client):
    image, log = build(client, "FROM scratch\nCOPY f /f\n", {"f": "content"}, tag="scratch")
    assert " ---> \n" in log
    assert image.attrs["Size"] == 7
    assert len(image.history()) == 1


def test_dockerfile_and_dockerignore_are_not_copied_where_ignored(client):
    files = {".dockerignore": "Dockerfile\n.dockerignore\n", "f": "x"}
    build(client, "FROM scratch\nCOPY . /\n", files, tag="ignoring")
    _, layers = saved(client, "ignoring")
    assert [entry[0] for entry in layers[0]] == ["f"]


def test_leaving_the_context_out_is_a_clear_error(running: Running, client):
    api = client.api
    answer = api._post(api._url("/build"), data=b"no tar", headers={"Content-Type": "application/x-tar"})
    assert answer.status_code >= 400
    assert answer.json()["message"]


def test_squash_is_refused_as_dockerd_does(client):
    with pytest.raises(docker.errors.APIError, match="squash is only supported with experimental mode"):
        build(client, "FROM kubelab/python\n", squash=True)


def test_option_that_is_not_honoured_is_refused_by_name(running: Running, client):
    if running.home is None:
        return
    api = client.api
    answer = api._post(api._url("/build"), params={"cgroupparent": "x"}, data=make_tar({"Dockerfile": "FROM x\n"}))
    assert answer.status_code == 501
    assert answer.json()["message"] == "cgroupparent=x is not supported by this engine: leave it out"


@isolated
def test_client_that_goes_away_takes_its_build_along(running: Running, client):
    if running.home is None:
        return
    context = make_tar({"Dockerfile": "FROM kubelab/python\nRUN echo started; sleep 600\n"})
    stream = client.api._post(client.api._url("/build"), data=context, stream=True)
    for line in stream.iter_lines():
        if b"started" in line and b"Step" not in line:
            break
    stream.close()
    client.close()
    _until(lambda: docker.DockerClient(base_url=running.host).info()["Containers"] == 0)


def _until(condition) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "the build's container is still there"
        time.sleep(0.05)
