"""What `make notebooks` takes out of outputs, and what it must leave in."""

import pytest
from nbformat.v4 import new_output
from tools.notebooks import SANITIZE, normalised, read_rules, sanitise

RULES = read_rules(SANITIZE)

CHANGES = {
    "web-7d4b8c9f5d-x2x7k": "web-⟨hash⟩-⟨pod⟩",
    "Pod shop-4x7kq started": "Pod shop-⟨pod⟩ started",
    "10.244.1.17": "⟨ip⟩",
    "127.135.0.11:30080": "⟨ip⟩:30080",
    "http://127.0.0.1:43211/healthz": "http://127.0.0.1:⟨port⟩/healthz",
    "2026-11-23T12:32:41.814Z": "⟨time⟩",
    "2026-11-23T12:32:41+01:00": "⟨time⟩",
    "uid: 2f6cf0d1-7c34-4a0f-b1b5-93b0c51c4ac3": "uid: ⟨uid⟩",
    "sha256:" + "0a" * 32: "sha256:⟨digest⟩",
    "f3a1b2c3d4e5": "⟨id⟩",
    "net:[4026532281]": "net:[⟨inode⟩]",
    "detected after 3.4 s": "detected after ⟨duration⟩",
    "2m13s": "⟨duration⟩",
    "Created 2 minutes ago": "Created ⟨ago⟩",
    "About a minute ago": "⟨ago⟩",
    "1 (5s ago)    12s": "1 (⟨ago⟩)  ⟨duration⟩",
    "NAME   READY   RESTARTS      AGE": "NAME   READY   RESTARTS  AGE",
    "45.2MB": "⟨size⟩",
    "pid 4711": "pid ⟨pid⟩",
    "<Figure at 0x7f7463c19120>": "<Figure at ⟨address⟩>",
    "resourceVersion: '1234'": "resourceVersion: ⟨revision⟩",
    "Python 3.11.7": "Python ⟨version⟩",
    "Docker Engine: embedded, API 1.44, runtime level process\n": "Docker Engine: ⟨engine⟩\n",
    "a\nWith a Docker Engine: 20.10.24 at unix:///run/docker.sock (DOCKER_HOST), API 1.41\nb": "a\nb",
    "no such image: busybox: No such image: busybox:latest": "No such image: busybox:latest",
    "image x:1 is sent to the cluster: 14MB\rimage x:1 was sent to the cluster (71MB)\npod/x created": "pod/x created",
}

KEPT = (
    "kubernetes",
    "http-get http://:8080/healthz delay=0s timeout=1s period=10s #success=1 #failure=3",
    "exit code 137",
    "replicas 3/3",
    "node-1",
    "node-2 Ready",
    "COPY app.py /app/  1.2kB",
    "Back-off restarting failed container",
    "http://127.0.0.1/",
    "shop-catalog shop-orders shop-payments",
    "kubelab/python:latest",
)


@pytest.mark.parametrize(("before", "after"), CHANGES.items())
def test_what_changes_by_chance_is_replaced(before, after):
    assert sanitise(before, RULES) == after


@pytest.mark.parametrize("text", KEPT)
def test_what_a_student_reads_stays(text):
    assert sanitise(text, RULES) == text


@pytest.mark.parametrize("text", [*CHANGES, *KEPT])
def test_twice_is_as_once(text):
    once = sanitise(text, RULES)
    assert sanitise(once, RULES) == once


def test_pieces_of_a_stream_are_one():
    pieces = [new_output("stream", name="stdout", text=text) for text in ("took 3", ".4 s\n", "done\n")]
    assert [output.text for output in normalised(pieces, RULES)] == ["took ⟨duration⟩\ndone\n"]


def test_widgets_keep_their_text_and_lose_their_random_id():
    view = {
        "application/vnd.jupyter.widget-view+json": {"model_id": "a1"},
        "text/plain": "FailurePanel('04')",
    }
    (output,) = normalised([new_output("display_data", data=view)], RULES)
    assert output.data == {"text/plain": "FailurePanel('04')"}


def test_images_are_left_alone():
    (output,) = normalised([new_output("display_data", data={"image/svg+xml": "12 s"})], RULES)
    assert output.data == {"image/svg+xml": "12 s"}
