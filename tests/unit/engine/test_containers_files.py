"""A container's files through its layers, as overlayfs joins them."""

import tarfile
from pathlib import Path, PurePosixPath

import pytest

from kubelab.engine.containers_archive import pack
from kubelab.engine.containers_files import diff, resolve
from kubelab.engine.errors import DockerError
from kubelab.images import whiteout
from kubelab.images.view import MergedView


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, Path]:
    """An upper layer that changes a lower one."""
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for folder in (upper / "etc", upper / "replaced", lower / "etc", lower / "replaced", lower / "usr/bin"):
        folder.mkdir(parents=True)
    (lower / "etc/kept").write_text("lower")
    (lower / "etc/over").write_text("lower")
    (lower / "etc/gone").write_text("lower")
    (lower / "replaced/old").write_text("lower")
    (lower / "bin").symlink_to("usr/bin")
    (lower / "usr/bin/sh").write_text("shell")
    (upper / "etc/over").write_text("upper")
    whiteout.hide(upper / "etc/gone")
    whiteout.make_opaque(upper / "replaced")
    (upper / "replaced/new").write_text("upper")
    return upper, lower


def test_links_are_followed_inside_the_container(layers: tuple[Path, Path]):
    upper, _ = layers
    (upper / "absolute").symlink_to("/bin/sh")
    (upper / "out").symlink_to("../../../../etc/kept")
    (upper / "loop").symlink_to("loop")
    view = MergedView(list(layers))
    assert str(resolve(view, "/bin/sh", follow=True)) == "/usr/bin/sh"
    assert str(resolve(view, "/absolute", follow=True)) == "/usr/bin/sh"
    assert str(resolve(view, "/absolute", follow=False)) == "/absolute"
    assert str(resolve(view, "/out", follow=True)) == "/etc/kept"
    assert str(resolve(view, "/", follow=False)) == "/"
    with pytest.raises(DockerError, match="too many levels of symbolic links"):
        resolve(view, "/loop", follow=True)


def test_diff_tells_changed_added_deleted(layers: tuple[Path, Path]):
    upper, lower = layers
    found = {change["Path"]: change["Kind"] for change in diff(upper, MergedView([lower]))}
    assert found == {"/etc": 0, "/etc/over": 0, "/etc/gone": 2, "/replaced": 0, "/replaced/new": 1}


def test_a_packed_folder_holds_the_merged_files(layers: tuple[Path, Path]):
    with pack(MergedView(list(layers)), PurePosixPath("/etc"), "etc") as packed, tarfile.open(fileobj=packed) as tar:
        assert sorted(tar.getnames()) == ["etc", "etc/kept", "etc/over"]
