"""The layer lab's data from the embedded engine and from a real dockerd: the same for the same Dockerfile."""

from __future__ import annotations

import io
import tarfile

import pytest

from engines.engine.real_engine import BASE
from kubelab.course import layer_tree

pytestmark = [pytest.mark.timeout(180), pytest.mark.requires("dockerd")]
DOCKERFILE = f"""\
FROM {BASE}
WORKDIR /work
COPY a b ./
RUN echo changed > a && rm b && echo new > c
RUN rm -r /work && mkdir /work && echo again > /work/d
ENV A=b
COPY a /etc/a
"""


def built(client):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, data in {"Dockerfile": DOCKERFILE, "a": "a" * 5000, "b": "b" * 70}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data.encode()))
    target.seek(0)
    return client.images.build(fileobj=target, custom_context=True, tag="reg/layers:1", rm=True)[0]


def test_both_engines_tell_the_same(both_engines):
    told = {}
    for name, client in both_engines.items():
        found = layer_tree.tree(built(client), client.images.list())
        told[name] = [
            (layer.instruction, layer.size, layer.wasted, layer.changes, layer.shared_with)
            for layer in found.layers[1:]
        ]
    assert told["embedded"] == told["host"]
    marks = {(each.mark, each.path) for _, _, _, changes, _ in told["host"] for each in changes}
    assert {("A", "/work/a"), ("C", "/work/a"), ("D", "/work/b"), ("A", "/work/d"), ("A", "/etc/a")} <= marks
    assert sum(wasted for _, _, wasted, _, _ in told["host"]) == 5000 + 70 + len("changed\n") + len("new\n")
