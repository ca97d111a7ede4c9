"""Images through the docker SDK: list, inspect, tag, rmi, save, load, prune, events."""

from __future__ import annotations

import io
import stat
import time

import docker
import pytest

from engines.engine.conftest import Running
from engines.engine.test_build import build


def test_version_and_ping(running: Running, client):
    assert client.ping() is True
    if running.home:
        assert client.version()["ApiVersion"] == "1.44"
        assert client.api._version == "1.44"


def test_socket_is_its_owners_alone(running: Running):
    if running.home:
        assert stat.S_IMODE(running.home.docker_socket.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1.99/images/json", 400, "client version 1.99 is too new. Maximum supported API version is "),
        ("/nosuch", 404, "page not found"),
        ("/images/nosuch/json", 404, "No such image: nosuch:latest"),
        ("/v1.24/images/nosuch:1/json", 404, "No such image: nosuch:1"),
        ('/images/json?filters={"foo":["x"]}', 400, "invalid filter 'foo'"),
    ],
)
def test_errors_are_json_messages(running: Running, client, path, status, message):
    answer = client.api.get(f"http+docker://localhost{path}")
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert message.lower() in answer.json()["message"].lower()


def test_intermediate_images_are_listed_with_all_only(client):
    image, _ = build(client, "FROM kubelab/python\nENV A=list\nENV B=2\n", tag="listed")
    listed = client.images.list()
    assert {"listed:latest", "kubelab/python:latest"} <= {tag for each in listed for tag in each.tags}
    assert image.attrs["Parent"] not in {each.id for each in listed}
    assert image.attrs["Parent"] in {each.id for each in client.images.list(all=True)}


def test_filters(client):
    image, _ = build(client, "FROM kubelab/python\nLABEL a=b\n", tag="org/labelled:1")
    assert [i.tags for i in client.images.list(filters={"label": "a=b"})] == [["org/labelled:1"]]
    assert client.images.list(filters={"label": "a=c"}) == []
    assert [i.tags for i in client.images.list(name="org/labelled")] == [["org/labelled:1"]]
    assert client.images.list(name="labelled") == []
    assert image.id not in {each.id for each in client.images.list(filters={"dangling": True})}
    assert image.id in {each.id for each in client.images.list(filters={"dangling": False})}


def test_tag_and_untag(client):
    image, _ = build(client, "FROM kubelab/python\nENV A=tag\n", tag="one")
    assert image.tag("docker.io/library/two", "v2")
    image.reload()
    assert image.tags == ["one:latest", "two:v2"]
    client.images.remove("two:v2")
    assert client.images.get("one").id == image.id
    with pytest.raises(docker.errors.APIError, match="must be lowercase"):
        image.tag("UPPER")


def test_removal_takes_the_name_then_the_image_then_its_parents(client):
    image, _ = build(client, "FROM kubelab/python\nENV A=rm\nENV B=2\n", tag="gone")
    parent = image.attrs["Parent"]
    answer = client.api.remove_image("gone")
    assert answer == [{"Untagged": "gone:latest"}, {"Deleted": image.id}, {"Deleted": parent}]
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get(parent)


def test_removal_refuses_what_others_stand_on(client):
    image, _ = build(client, "FROM kubelab/python\nENV A=parent\n", tag="parent")
    build(client, "FROM parent\nENV B=child\n", tag="child")
    with pytest.raises(docker.errors.APIError, match=r"\(cannot be forced\) - image has dependent child images"):
        client.images.remove(image.id, force=True)
    image.tag("other")
    with pytest.raises(docker.errors.APIError, match=r"dependent child images|multiple repositories"):
        client.images.remove(image.id)
    assert client.api.remove_image("parent") == [{"Untagged": "parent:latest"}]


def test_removal_by_id_of_an_image_with_two_names_must_be_forced(client):
    image, _ = build(client, "FROM kubelab/python\nENV A=two\n", tag="first")
    image.tag("second")
    with pytest.raises(docker.errors.APIError, match=r"\(must be forced\) - image is referenced in multiple"):
        client.images.remove(image.id)
    gone = client.api.remove_image(image.id, force=True)
    assert (
        {"Untagged": "first:latest"} in gone and {"Untagged": "second:latest"} in gone and {"Deleted": image.id} in gone
    )


def test_save_and_load_bring_the_same_image_back(client):
    image, _ = build(client, "FROM scratch\nCOPY f /f\nENV A=b\n", {"f": "saved"}, tag="saved:1")
    archive = b"".join(image.save(named="saved:1"))
    client.images.remove("saved:1")
    (loaded,) = client.images.load(io.BytesIO(archive))
    assert (loaded.id, loaded.tags) == (image.id, ["saved:1"])
    assert [line["Id"] for line in loaded.history()] == [image.id, "<missing>"]


def test_load_of_something_else_is_a_clear_error(client):
    answer = client.api._post(client.api._url("/images/load"), data=b"no archive")
    assert "rror" in answer.text or "invalid" in answer.text


def test_prune_takes_what_has_no_name_and_no_child(client):
    first, _ = build(client, "FROM scratch\nCOPY f /f\n", {"f": "1"}, tag="pruned")
    build(client, "FROM scratch\nCOPY f /f\n", {"f": "22"}, tag="pruned")
    pruned = client.images.prune()
    assert {"Deleted": first.id} in pruned["ImagesDeleted"]
    assert pruned["SpaceReclaimed"] == 1
    assert client.images.get("pruned").attrs["Size"] == 2


def test_events_tell_of_names(client):
    start = time.time()
    image, _ = build(client, "FROM kubelab/python\nENV A=events\n", tag="evented")
    client.images.remove("evented")
    events = client.events(since=start, until=time.time() + 0.2, decode=True, filters={"type": "image"})
    seen = [(event["Action"], event["Actor"]["ID"]) for event in events]
    assert seen[:3] == [("tag", image.id), ("untag", image.id), ("delete", image.id)]
