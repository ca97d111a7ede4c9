"""What a layer did to its files, and what it wastes: from archives as either engine saves them."""

from __future__ import annotations

import hashlib
import json
import tarfile
from types import SimpleNamespace

import pytest

from harness_images import hardlink, make_tar, symlink
from kubelab.course import build_steps, layer_tree


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Saved:
    """An image of the docker SDK, saved in a layout: "docker" as dockerd 20.10 writes it, "oci" as newer ones do."""

    def __init__(
        self, layers: list[dict], layout: str = "docker", name: str = "x:1", lines: list[str] | None = None
    ) -> None:
        self.tars, self.layout, self.tags, self.short_id = (
            [make_tar(each) for each in layers],
            layout,
            [name],
            "sha256:0",
        )
        diff_ids = ["sha256:" + digest(tar) for tar in self.tars]
        lines = [f"COPY file:{number} in / " for number in range(len(layers))]
        history = [{"created_by": f"/bin/sh -c #(nop) {line}"} for line in lines]
        history.append({"created_by": '/bin/sh -c #(nop)  CMD ["x"]', "empty_layer": True})
        self.config = json.dumps({"rootfs": {"diff_ids": diff_ids}, "history": history, "layout": layout}).encode()
        self.id, self.attrs = "sha256:" + digest(self.config), {"RootFS": {"Layers": diff_ids}}
        self.saves = 0

    def save(self):
        self.saves += 1
        oci = self.layout == "oci"
        config = f"blobs/sha256/{digest(self.config)}" if oci else f"{digest(self.config)}.json"
        names, files = [], {config: self.config}
        for number, tar in enumerate(self.tars):
            name = f"blobs/sha256/{digest(tar)}" if oci else f"{number:064x}/layer.tar"
            if tar in files.values() and not oci:
                first = next(each for each in names if files[each] == tar)
                files[name] = symlink(f"../{first}")
            else:
                files[name] = tar
            names.append(name)
        files["manifest.json"] = json.dumps([{"Config": config, "Layers": names, "RepoTags": self.tags}]).encode()
        data = make_tar(files)
        return iter([data[i : i + 1000] for i in range(0, len(data), 1000)])


BASE = {"etc/": "", "etc/a": "aaaa", "etc/b": "bbbbbb", "opt/": "", "opt/big": "x" * 1000}
ABOVE = {"etc/": "", "etc/a": "AA", "etc/.wh.b": "", "new": "n" * 10, "link": symlink("new"), "same": hardlink("new")}
LAST = {".wh.opt": "", "etc/.wh..wh..opq": "", "etc/c": "c"}


@pytest.fixture(autouse=True)
def nothing_remembered():
    layer_tree._trees.clear()
    layer_tree._members.clear()


@pytest.mark.parametrize("layout", ["docker", "oci"])
def test_added_changed_removed_and_wasted(layout: str):
    found = layer_tree.tree(Saved([BASE, ABOVE, LAST], layout))
    marks = [
        [(each.mark, each.path, each.size, each.wasted, each.hidden_by) for each in layer.changes]
        for layer in found.layers
    ]
    assert marks[0] == [
        ("A", "/etc", 0, 0, None),
        ("A", "/etc/a", 4, 4, 1),
        ("A", "/etc/b", 6, 6, 1),
        ("A", "/opt", 0, 0, 2),
        ("A", "/opt/big", 1000, 1000, 2),
    ]
    assert marks[1] == [
        ("C", "/etc/a", 2, 2, 2),
        ("D", "/etc/b", 0, 0, None),
        ("A", "/link", 0, 0, None),
        ("A", "/new", 10, 0, None),
        ("A", "/same", 0, 0, None),
    ]
    assert marks[2] == [("A", "/etc/c", 1, 0, None), ("D", "/opt", 0, 0, None)]
    assert [(layer.size, layer.wasted) for layer in found.layers] == [(1010, 1010), (12, 2), (1, 0)]
    assert (found.size, found.wasted) == (1023, 1012)
    assert [layer.instruction for layer in found.layers] == ["COPY file in /"] * 3


def test_every_layout_says_the_same_and_is_read_once():
    one, other = Saved([BASE, ABOVE], "docker"), Saved([BASE, ABOVE], "oci")
    first = layer_tree.tree(one)
    assert layer_tree.tree(one).layers == first.layers and one.saves == 1
    assert layer_tree.tree(other).layers == first.layers


def test_a_layer_that_is_in_the_image_twice():
    found = layer_tree.tree(Saved([BASE, BASE]))
    assert [each.mark for each in found.layers[1].changes] == ["C", "C", "C"]
    assert found.layers[0].wasted == found.layers[0].size == 1010


def test_a_folder_in_the_place_of_a_file_hides_it():
    found = layer_tree.tree(Saved([{"p": "1234"}, {"p/": "", "p/q": "5"}, {"p": "6"}]))
    assert [(each.mark, each.path, each.kind) for layer in found.layers for each in layer.changes] == [
        ("A", "/p", "file"),
        ("C", "/p", "folder"),
        ("A", "/p/q", "file"),
        ("C", "/p", "file"),
    ]
    assert found.wasted == 5


def test_layers_shared_with_other_images_count_from_the_bottom():
    image = Saved([BASE, ABOVE])
    others = [Saved([BASE, LAST], name="other:1"), Saved([LAST, ABOVE], name="unlike:1"), image]
    found = layer_tree.tree(image, others)
    assert [layer.shared_with for layer in found.layers] == [("other:1",), ()]
    assert [block["shared"] for block in found.blocks()] == [True, False]
    assert found.blocks()[1]["counts"] == {"A": 3, "C": 1, "D": 1}


def test_it_is_json_and_words():
    found = layer_tree.tree(Saved([BASE, ABOVE]))
    assert json.loads(json.dumps(found.to_json()))["layers"][0]["changes"][1]["path"] == "/etc/a"
    text = found.text(first=1, limit=2)
    assert text.splitlines() == [
        "x:1  1.02kB, of which 10B wasted",
        "└ 1  COPY file in /  (12B)",
        "    C /etc/a  2B",
        "    D /etc/b  0B",
        "    … and 3 more",
    ]


def test_a_large_layer_is_read_as_a_stream():
    stream = layer_tree._Stream(bytes([number % 256]) * 1000 for number in range(100))
    assert [len(stream.read(1500)) for _ in range(3)] == [1500] * 3
    assert stream.read(10**9)[-1:] == bytes([99])
    assert stream.read(1) == b""


# -- why


def log(*lines: str) -> list[dict[str, str]]:
    return [{"stream": f"{line}\n"} for line in lines]


def test_the_first_step_that_differs_is_done_and_all_after_it():
    found = build_steps.steps(
        log("Step 1/4 : FROM base", " ---> 111111111111",
            "Step 2/4 : RUN true", " ---> Using cache", " ---> 222222222222",
            "Step 3/4 : COPY . .", " ---> 333333333333",
            "Step 4/4 : CMD x", " ---> Running in 444444444444", " ---> 555555555555")
    )  # fmt: skip
    assert [(each.number, each.of, each.cached, each.image[:1]) for each in found] == [
        (1, 4, False, "1"), (2, 4, True, "2"), (3, 4, False, "3"), (4, 4, False, "5"),
    ]  # fmt: skip
    assert [each.why for each in found] == [
        build_steps.BASE, build_steps.SAME, build_steps.DIFFERS["COPY"], build_steps.AFTER,
    ]  # fmt: skip


def test_without_any_hit_there_was_nothing_to_hit():
    found = build_steps.steps(log("Step 1/3 : FROM base", "Step 2/3 : RUN true", "Step 3/3 : RUN false"))
    assert [each.why for each in found] == [build_steps.BASE, build_steps.NO_CACHE, build_steps.AFTER]


def test_a_stage_begins_anew():
    found = build_steps.steps(
        log("Step 1/4 : FROM a", "Step 2/4 : RUN x", "Step 3/4 : FROM b", "Step 4/4 : RUN y", " ---> Using cache")
    )
    assert [each.why for each in found] == [build_steps.BASE, build_steps.OTHER, build_steps.BASE, build_steps.SAME]


def test_a_truncated_archive_says_so():
    image = Saved([BASE])
    whole = b"".join(image.save())
    with pytest.raises((tarfile.TarError, KeyError, EOFError)):
        layer_tree.tree(
            SimpleNamespace(id="sha256:cut", attrs=image.attrs, tags=["x"], save=lambda: iter([whole[:700]]))
        )
