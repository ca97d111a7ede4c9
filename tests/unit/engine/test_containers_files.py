"""A container's files through its layers, as overlayfs joins them."""

from pathlib import Path, PurePosixPath

import pytest

from kubelab.engine.containers_archive import pack
from kubelab.engine.containers_files import MergedView, diff
from kubelab.engine.errors import DockerError
from kubelab.images import whiteout


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


def test_the_upper_layer_hides_and_adds(layers: tuple[Path, Path]):
    view = MergedView(list(layers))
    assert view.names(PurePosixPath("/etc")) == ["kept", "over"]
    assert view.names(PurePosixPath("/replaced")) == ["new"]
    assert view.find(PurePosixPath("/etc/over")).read_text() == "upper"
    assert view.find(PurePosixPath("/etc/kept")).read_text() == "lower"
    assert view.find(PurePosixPath("/etc/gone")) is None
    assert view.find(PurePosixPath("/replaced/old")) is None
    assert view.find(PurePosixPath("/etc/kept/below-a-file")) is None


def test_links_are_followed_inside_the_container(layers: tuple[Path, Path]):
    upper, _ = layers
    (upper / "absolute").symlink_to("/bin/sh")
    (upper / "out").symlink_to("../../../../etc/kept")
    (upper / "loop").symlink_to("loop")
    view = MergedView(list(layers))
    assert str(view.resolve("/bin/sh", follow=True)) == "/usr/bin/sh"
    assert str(view.resolve("/absolute", follow=True)) == "/usr/bin/sh"
    assert str(view.resolve("/absolute", follow=False)) == "/absolute"
    assert str(view.resolve("/out", follow=True)) == "/etc/kept"
    with pytest.raises(DockerError, match="too many levels of symbolic links"):
        view.resolve("/loop", follow=True)


def test_diff_tells_changed_added_deleted(layers: tuple[Path, Path]):
    upper, lower = layers
    found = {change["Path"]: change["Kind"] for change in diff(upper, MergedView([lower]))}
    assert found == {"/etc": 0, "/etc/over": 0, "/etc/gone": 2, "/replaced": 0, "/replaced/new": 1}


def test_a_packed_folder_holds_the_merged_files(layers: tuple[Path, Path]):
    import tarfile

    with pack(MergedView(list(layers)), PurePosixPath("/etc"), "etc") as packed, tarfile.open(fileobj=packed) as tar:
        assert sorted(tar.getnames()) == ["etc", "etc/kept", "etc/over"]
