"""The merged view is what overlayfs shows: asked of a model, and of the kernel in the engines' tests."""

import io

import pytest

from harness_images import make_tar, symlink
from kubelab.images.unpack import unpack
from kubelab.images.view import MergedView


@pytest.fixture
def view(tmp_path):
    def make(*layers):
        folders = []
        for number, files in enumerate(layers):
            folder = tmp_path / str(number)
            folder.mkdir()
            unpack(io.BytesIO(make_tar(files)), folder)
            folders.insert(0, folder)
        return MergedView(folders)

    return make


def text(view, path):
    found = view.find(path)
    return found.read_text() if found else None


def test_topmost_wins_and_folders_merge(view):
    merged = view({"d/": b"", "d/a": "1", "d/b": "1"}, {"d/": b"", "d/b": "2", "d/c": "2"})
    assert [text(merged, f"/d/{name}") for name in "abc"] == ["1", "2", "2"]
    assert merged.names("/d") == ["a", "b", "c"]


def test_whiteout_hides_what_is_below_and_not_what_is_above(view):
    merged = view({"a": "1", "d/": b"", "d/x": "1"}, {".wh.a": "", ".wh.d": ""}, {"d/": b"", "d/y": "3"})
    assert text(merged, "/a") is None
    assert merged.names("/") == ["d"]
    assert merged.names("/d") == ["y"]


def test_opaque_folder(view):
    merged = view({"d/": b"", "d/old": "1"}, {"d/": b"", "d/.wh..wh..opq": "", "d/new": "2"})
    assert merged.names("/d") == ["new"]
    assert text(merged, "/d/old") is None


def test_file_in_place_of_a_folder_hides_it(view):
    merged = view({"d/": b"", "d/x": "1"}, {".wh.d": ""}, {"d": "file"})
    assert text(merged, "/d") == "file"
    assert text(merged, "/d/x") is None


def test_links_are_followed_inside_the_image(view):
    merged = view(
        {"usr/": b"", "usr/lib/": b"", "lib": symlink("usr/lib"), "abs": symlink("/usr")},
        {"usr/up": symlink("../lib")},
    )
    assert merged.resolve("/lib/x/y") == "/usr/lib/x/y"
    assert merged.resolve("/abs/lib") == "/usr/lib"
    assert merged.resolve("/usr/up") == "/usr/lib"
    assert merged.resolve("/../..") == "/"


def test_link_that_leads_to_itself(view):
    with pytest.raises(OSError, match="too many levels of symbolic links"):
        view({"loop": symlink("loop")}).resolve("/loop")


def test_image_without_layers():
    merged = MergedView([])
    assert merged.is_dir("/")
    assert merged.names("/") == []
    assert merged.resolve("/a/b") == "/a/b"
