"""COPY and ADD: where files go, over which image, owned by whom."""

import io
import tarfile

import pytest

from harness_images import hardlink, make_tar, special, symlink
from kubelab.engine.builder import copying
from kubelab.engine.builder.context import BuildContext
from kubelab.engine.builder.dockerfile import parse
from kubelab.images.unpack import UnsafeArchive, unpack
from kubelab.images.view import MergedView

FILES = {"f": "1", "g": "2", "d/": b"", "d/x": "3", "d/e/": b"", "d/e/y": "4"}


@pytest.fixture
def image(tmp_path):
    files = {
        "usr/": b"",
        "usr/lib/": (b"", 0o711),
        "lib": symlink("usr/lib"),
        "file": "x",
        "etc/": b"",
        "etc/passwd": "root:x:0:0::/root:/bin/sh\nme:x:1000:1001::/:\n",
        "etc/group": "us:x:1002:\nme:x:1003:\n",
    }
    unpack(io.BytesIO(make_tar(files)), tmp_path, chown=False)
    return MergedView([tmp_path])


def copied(image, line, files=FILES, working_dir=""):
    """The layer's entries: name -> entry."""
    (step,) = parse(f"FROM x\n{line}\n").stages[0].instructions
    context = BuildContext(io.BytesIO(make_tar(files)))
    planned = copying.plan(step, list(step.args), step.flags.get("chown", ""), context)
    with copying.layer(planned, context, image, working_dir) as file, tarfile.open(fileobj=file) as tar:
        return {member.name: member for member in tar}


@pytest.mark.parametrize(
    ("line", "working_dir", "expected"),
    [
        ("COPY f /new", "", ["new"]),
        ("COPY f /new/", "", ["new", "new/f"]),
        ("COPY f /a/b/new", "", ["a", "a/b", "a/b/new"]),
        ("COPY f /usr", "", ["usr", "usr/f"]),
        ("COPY f /lib", "", ["usr", "usr/lib", "usr/lib/f"]),
        ("COPY f /lib/deep/", "", ["usr", "usr/lib", "usr/lib/deep", "usr/lib/deep/f"]),
        ("COPY f .", "/app", ["app"]),
        ("COPY f ./", "/app", ["app", "app/f"]),
        ("COPY f sub/", "/app", ["app", "app/sub", "app/sub/f"]),
        ("COPY f g /t/", "", ["t", "t/f", "t/g"]),
        ("COPY d /t", "", ["t", "t/e", "t/e/y", "t/x"]),
        ("COPY d/ /", "", ["e", "e/y", "x"]),
        ("COPY . /t", "", ["t", "t/d", "t/d/e", "t/d/e/y", "t/d/x", "t/f", "t/g"]),
        ("COPY [fg] /t/", "", ["t", "t/f", "t/g"]),
        ("COPY d/* /t/", "", ["t", "t/x", "t/y"]),
        ('COPY ["f", "/a b"]', "", ["a b"]),
    ],
)
def test_where_files_go(image, line, working_dir, expected):
    assert list(copied(image, line, working_dir=working_dir)) == expected


def test_folders_on_the_way_keep_the_images_attributes(image):
    entries = copied(image, "COPY f /lib/new/")
    assert oct(entries["usr/lib"].mode) == "0o40711"
    assert oct(entries["usr/lib/new"].mode) == "0o40755"


@pytest.mark.parametrize(
    ("chown", "owner"),
    [
        ("1", (1, 1)),
        ("1:2", (1, 2)),
        ("me", (1000, 1003)),
        ("me:us", (1000, 1002)),
        ("me:7", (1000, 7)),
    ],
)
def test_chown(image, chown, owner):
    entries = copied(image, f"COPY --chown={chown} f /new/")
    assert [(entry.uid, entry.gid) for entry in entries.values()] == [owner, owner]


def test_files_are_roots_without_chown(image):
    info = tarfile.TarInfo()
    info.uid = info.gid = 1234
    assert copied(image, "COPY f /", {"f": info})["f"].uid == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("COPY f /file/x", "failed to copy files: mkdir /file: not a directory"),
        ("COPY d /file", "failed to copy files: mkdir /file: not a directory"),
        ("COPY --chown=nosuch f /", "can't find uid for user nosuch: no such user: nosuch"),
        ("COPY --chown=me:nosuch f /", "can't find gid for group nosuch: no such group: nosuch"),
        ("COPY ../f /", r"COPY failed: forbidden path outside the build context: \.\./f"),
        ("COPY *.md /", "COPY failed: no source files were specified"),
    ],
)
def test_errors(image, line, message):
    with pytest.raises(copying.CopyError, match=message):
        copied(image, line)


def test_device_nodes_are_refused_by_name(image):
    with pytest.raises(UnsafeArchive, match="'d/null' is a device node"):
        copied(image, "COPY d /x", {"d/": b"", "d/null": special(tarfile.CHRTYPE)})


def test_add_unpacks_archives_and_keeps_their_owners(image):
    owned = tarfile.TarInfo()
    owned.uid = owned.gid = 5
    link = hardlink("a/f")
    link.uid = link.gid = 5
    inner = make_tar({"a/": b"", "a/f": owned, "a/h": link, "l": symlink("a")})
    entries = copied(image, "ADD in.tar /t", {"in.tar": inner})
    assert list(entries) == ["t", "t/a", "t/a/f", "t/a/h", "t/l"]
    assert entries["t/a/f"].uid == 5
    assert entries["t/a/h"].linkname == "t/a/f"
    assert list(copied(image, "COPY in.tar /t", {"in.tar": inner})) == ["t"]


def test_add_of_an_archive_that_leaves_its_folder_is_refused(image):
    with pytest.raises(UnsafeArchive, match="is outside of the archive"):
        copied(image, "ADD in.tar /t", {"in.tar": make_tar({"../../f": "x"})})
