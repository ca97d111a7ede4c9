"""From overlayfs' upper folder to a layer's tar and back."""

import os
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubelab.images import whiteout
from kubelab.images.blobs import digest_of
from kubelab.images.changes import diff
from kubelab.images.layers import EMPTY_DIFF_ID
from kubelab.images.unpack import unpack


def names(upper):
    with diff(upper) as file, tarfile.open(fileobj=file) as tar:
        return [(member.name, member.type) for member in tar]


def test_nothing_changed_is_the_empty_layer(tmp_path):
    with diff(tmp_path) as file:
        assert digest_of(file.read()) == EMPTY_DIFF_ID


def test_entries_are_sorted_and_folders_come_first(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_text("x")
    (tmp_path / "b.txt").write_text("y")
    (tmp_path / "a").symlink_to("b")
    kinds = [("a", tarfile.SYMTYPE), ("b", tarfile.DIRTYPE), ("b/x", tarfile.REGTYPE), ("b.txt", tarfile.REGTYPE)]
    assert names(tmp_path) == kinds


def test_whiteouts_and_opaque_folders(tmp_path):
    (tmp_path / "d").mkdir()
    whiteout.make_opaque(tmp_path / "d")
    whiteout.hide(tmp_path / "d" / "gone")
    assert [name for name, _ in names(tmp_path)] == ["d", "d/.wh..wh..opq", "d/.wh.gone"]


def test_hard_links_are_one_file(tmp_path):
    (tmp_path / "a").write_text("x")
    os.link(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path) == [("a", tarfile.REGTYPE), ("b", tarfile.LNKTYPE)]


def test_what_the_runtime_mounts_over_is_left_out(tmp_path):
    for name in ("proc", "sys", "dev", "etc"):
        (tmp_path / name).mkdir()
    (tmp_path / "etc" / "hosts").touch()
    assert names(tmp_path) == []
    (tmp_path / "etc" / "own").touch()
    assert [name for name, _ in names(tmp_path)] == ["etc", "etc/own"]


@pytest.mark.parametrize("length", [99, 100, 101, 255])
def test_long_names(tmp_path, length):
    (tmp_path / ("n" * length)).write_text("x")
    assert [name for name, _ in names(tmp_path)] == ["n" * length]


_tree = st.recursive(
    st.binary(max_size=2000),
    lambda inner: st.dictionaries(st.text("abcé.-", min_size=1, max_size=4), inner, max_size=4),
).filter(lambda tree: isinstance(tree, dict))


def write(folder, tree):
    for name, content in tree.items():
        if isinstance(content, dict):
            (folder / name).mkdir()
            write(folder / name, content)
        else:
            (folder / name).write_bytes(content)


def read(folder):
    return {path.name: read(path) if path.is_dir() else path.read_bytes() for path in folder.iterdir()}


def _usable(tree):
    return all(
        name not in (".", "..") and not name.startswith(".wh.") and (not isinstance(inner, dict) or _usable(inner))
        for name, inner in tree.items()
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=_tree.filter(_usable))
def test_round_trip(tmp_path_factory, tree):
    upper, again = tmp_path_factory.mktemp("upper"), tmp_path_factory.mktemp("again")
    write(upper, tree)
    with diff(upper) as first, diff(upper) as second:
        data = first.read()
        assert data == second.read()
        assert len(data) % 512 == 0
        first.seek(0)
        unpack(first, again)
    assert read(again) == tree
