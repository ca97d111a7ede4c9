"""Images on their way to the cluster, and nodes of a kind cluster: with doubles, since no kind cluster runs here."""

from __future__ import annotations

import json
import socket
import struct
import threading
from types import SimpleNamespace

import docker
import pytest

from kubelab.course import delivery, kind
from kubelab.course.errors import LabError
from kubelab.course.nodes import Nodes, NoPlug

ID = "sha256:" + "ab" * 32


class Source:
    """The docker SDK on an engine with one image."""

    def __init__(self) -> None:
        self.saved: list[str] = []
        self.images = SimpleNamespace(get=self._get)
        self.api = SimpleNamespace(get_image=self._save)

    def _get(self, name: str):
        if not name.startswith("kubelab/hello"):
            raise docker.errors.ImageNotFound(name)
        return SimpleNamespace(id=ID)

    def _save(self, name: str):
        self.saved.append(name)
        return iter([b"arch", b"ive"])


class There:
    def __init__(self, id: str = "") -> None:
        self.id, self.loaded = id, b""

    def image_id(self, name: str) -> str:
        return self.id

    def load(self, archive) -> None:
        self.loaded = b"".join(archive)


def test_only_what_is_not_there_is_sent(capsys: pytest.CaptureFixture[str]):
    source, empty, old, same = Source(), There(), There("sha256:old"), There(ID)
    sent = delivery.deliver(source, [empty, old, same], ["kubelab/hello", "registry/other:1"])
    assert sent == ["kubelab/hello", "kubelab/hello"] and source.saved == ["kubelab/hello:latest"] * 2
    assert (empty.loaded, old.loaded, same.loaded) == (b"archive", b"archive", b"")
    assert capsys.readouterr().out == "image kubelab/hello was sent to the cluster (7B)\n" * 2


def test_images_are_found_wherever_a_template_is():
    template = {"spec": {"initContainers": [{"image": "a"}], "containers": [{"image": "b"}, {"name": "x"}]}}
    job = {"spec": {"jobTemplate": {"spec": {"template": template}}}}
    assert list(delivery.names([job, {"kind": "Pod", "spec": {"containers": [{"image": "c:1"}]}}])) == ["a", "b", "c:1"]
    assert list(delivery.names({"metadata": {"annotations": {"image": "no"}}, "image": "no"})) == []


# -- kind


class Daemon:
    """The far end of `docker exec -i`: reads to the end of input, answers in frames, ends with a code."""

    def __init__(self, code: int = 0, says: bytes = b"") -> None:
        self.code, self.says, self.got, self.commands = code, says, b"", []

    def exec_create(self, container, command, stdin, stdout, stderr):
        self.commands.append((container, command))
        return {"Id": "exec"}

    def exec_start(self, id, socket=False):
        ours, theirs = _pair()
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return ours

    def _serve(self, connection: socket.socket) -> None:
        while data := connection.recv(1 << 16):
            self.got += data
        connection.sendall(struct.pack(">BxxxL", 2, len(self.says)) + self.says if self.says else b"")
        connection.close()

    def exec_inspect(self, id):
        return {"ExitCode": self.code}


def _pair():
    return socket.socketpair()


def node(name: str, role: str, cluster: str = "lab", daemon: Daemon | None = None, output=(1, b"")):
    made = SimpleNamespace(name=name, id=f"{name}-id", labels={kind.CLUSTER: cluster, kind.ROLE: role}, done=[])
    made.client = SimpleNamespace(api=daemon)
    made.exec_run = lambda command, stderr: SimpleNamespace(__iter__=None) and output
    made.stop = lambda timeout: made.done.append(("stop", timeout))
    made.start = lambda: made.done.append(("start",))
    return made


def engine(*nodes):
    def listed(all: bool, filters: dict[str, str]):
        assert filters == {"label": "io.x-k8s.kind.cluster=lab"}
        return list(nodes)

    return SimpleNamespace(containers=SimpleNamespace(list=listed))


def test_an_image_goes_into_a_node_as_kind_brings_it():
    daemon = Daemon()
    target = delivery.KindNode(node("lab-worker", "worker", daemon=daemon))
    assert target.image_id("kubelab/hello:1") == ""
    big = [b"x" * 100_000] * 5
    target.load(big)
    assert daemon.got == b"".join(big)
    assert daemon.commands == [("lab-worker-id", kind.IMPORT)]


def test_what_the_node_s_containerd_says_is_passed_on():
    target = delivery.KindNode(node("lab-worker", "worker", daemon=Daemon(1, b"ctr: unrecognized image format\n")))
    with pytest.raises(LabError, match=r"lab-worker: `ctr .*import.*` ended with 1: ctr: unrecognized image format"):
        target.load([b"nonsense"])


def test_an_image_that_the_node_has_is_known_by_its_id():
    output = 0, json.dumps({"status": {"id": ID}}).encode()
    assert delivery.KindNode(node("n", "worker", output=output)).image_id("kubelab/hello:1") == ID


def test_images_go_to_every_node_but_not_to_the_load_balancer():
    found = kind.nodes(
        engine(node("b", "worker"), node("a", "control-plane"), node("lb", "external-load-balancer")), "lab"
    )
    assert [each.name for each in found] == ["a", "b"]
    with pytest.raises(LabError, match="no node of the kind cluster 'lab'"):
        kind.nodes(engine(), "lab")


def test_a_worker_is_lost_and_comes_back():
    worker = node("lab-worker", "worker")
    plug = kind.KindPlug(lambda: engine(node("lab-control-plane", "control-plane"), worker), "lab")
    nodes = Nodes(SimpleNamespace(), plug)
    assert nodes.can_be_lost
    nodes.stop("lab-worker")
    assert nodes.off == {"lab-worker"}
    nodes.start("lab-worker")
    assert worker.done == [("stop", 0), ("start",)] and nodes.off == set()
    assert plug.command("stop", "lab-worker") == "docker stop --time 0 lab-worker"
    with pytest.raises(LabError, match="lab-control-plane is the control plane"):
        nodes.stop("lab-control-plane")
    with pytest.raises(LabError, match="no node nowhere"):
        nodes.stop("nowhere")


def test_no_node_is_lost_where_it_would_be_the_only_one_or_somebody_else_s():
    alone = Nodes(SimpleNamespace(), kind.KindPlug(lambda: engine(node("lab-control-plane", "control-plane")), "lab"))
    assert not alone.can_be_lost
    with pytest.raises(LabError, match="a control plane and no worker"):
        alone.stop("lab-control-plane")
    own = Nodes(SimpleNamespace(), NoPlug())
    with pytest.raises(LabError, match="this cluster is your own"):
        own.stop("far")
