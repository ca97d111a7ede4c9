"""Unpacking layers: nothing gets out of the folder, whiteouts become what overlayfs reads."""

import io
import os
import stat
import tarfile

import pytest

from harness_images import hardlink, make_tar, special, symlink
from kubelab.images import whiteout
from kubelab.images.unpack import UnsafeArchive, unpack


def unpacked(folder, files):
    folder.mkdir(exist_ok=True)
    return unpack(io.BytesIO(make_tar(files)), folder)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"../f": "x"}, r"'\.\./f' is outside of the archive"),
        ({"a/../../f": "x"}, "is outside of the archive"),
        ({"/etc/f": "x"}, "'/etc/f' is an absolute path"),
        ({"l": symlink("/tmp"), "l/f": "x"}, "'l/f' goes through 'l', which is no folder in this layer"),
        ({"l": symlink("../.."), "l/f": "x"}, "'l/f' goes through 'l'"),
        ({"l": symlink("/etc"), "h": hardlink("l/passwd")}, "'l/passwd' goes through 'l'"),
        ({"h": hardlink("../f")}, "is outside of the archive"),
        ({"h": hardlink("nosuch")}, "'h' is a hard link to 'nosuch', which is not in this layer"),
        ({"d": special(tarfile.CHRTYPE)}, "'d' is a device node"),
        ({"d": special(tarfile.BLKTYPE)}, "'d' is a device node"),
    ],
)
def test_unsafe_entries_are_refused_by_name(tmp_path, files, message):
    with pytest.raises(UnsafeArchive, match=message):
        unpacked(tmp_path / "layer", files)
    assert [path.name for path in tmp_path.iterdir()] == ["layer"]


def test_links_of_the_container_are_kept_as_they_are(tmp_path):
    unpacked(
        tmp_path,
        {
            "a/": b"",
            "a/up": symlink("../f"),
            "abs": symlink("/etc/passwd"),
            "out": symlink("../../f"),
            "f": "x",
            "h": hardlink("f"),
        },
    )
    assert str((tmp_path / "a" / "up").readlink()) == "../f"
    assert str((tmp_path / "abs").readlink()) == "/etc/passwd"
    assert str((tmp_path / "out").readlink()) == "../../f"
    assert (tmp_path / "h").stat().st_ino == (tmp_path / "f").stat().st_ino


def test_modes_and_times(tmp_path):
    info = tarfile.TarInfo()
    info.mode, info.mtime = 0o640, 1234567890
    unpacked(tmp_path, {"d/": (b"", 0o555), "d/f": ("x", 0o4755), "t": info})
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o555
    assert stat.S_IMODE((tmp_path / "d" / "f").stat().st_mode) == 0o4755
    assert (tmp_path / "t").stat().st_mtime == 1234567890


def test_size_counts_files_and_links_and_a_hard_link_once(tmp_path):
    assert unpacked(tmp_path, {"f": "12345", "h": hardlink("f"), "l": symlink("abc"), "d/": b""}) == 8


def test_whiteouts(tmp_path):
    unpacked(tmp_path, {"a/": b"", "a/.wh.gone": "", "b/": b"", "b/.wh..wh..opq": "", ".wh..wh.plnk": ""})
    assert whiteout.hides(tmp_path / "a", "gone")
    assert not whiteout.hides(tmp_path / "a", "other")
    assert whiteout.is_opaque(tmp_path / "b")
    assert not whiteout.is_opaque(tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("names", [(".wh.d", "d/"), ("d/", ".wh.d")])
def test_folder_that_also_has_a_whiteout_is_opaque(tmp_path, names):
    unpacked(tmp_path, {name: b"" for name in names})
    assert (tmp_path / "d").is_dir()
    assert whiteout.is_opaque(tmp_path / "d")


def test_whiteouts_where_overlayfs_cannot_have_them(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "mknod", refused)
    monkeypatch.setattr(os, "setxattr", refused)
    unpacked(tmp_path, {"a/": b"", "a/.wh.gone": "", "a/.wh..wh..opq": ""})
    assert whiteout.hides(tmp_path / "a", "gone")
    assert whiteout.is_opaque(tmp_path / "a")


def test_later_entry_takes_the_place_of_an_earlier_one(tmp_path):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, kind, content in [
            ("x", tarfile.DIRTYPE, b""),
            ("x/y", tarfile.REGTYPE, b"1"),
            ("x", tarfile.REGTYPE, b"2"),
        ]:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            tar.addfile(info, io.BytesIO(content))
    target.seek(0)
    unpack(target, tmp_path)
    assert (tmp_path / "x").read_bytes() == b"2"
