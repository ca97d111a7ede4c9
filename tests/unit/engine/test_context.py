"""The build context, read from its tar: names, links, patterns, and hashes that are dockerd's."""

import bz2
import gzip
import io
import lzma
import tarfile

import pytest
import zstandard

from engines.engine import facts, facts_seen
from harness_images import hardlink, make_tar, symlink
from kubelab.engine.builder.context import BuildContext
from kubelab.engine.builder.source import hashed
from kubelab.images.compressed import decompressed
from kubelab.images.unpack import UnsafeArchive

ZSTD = zstandard.ZstdCompressor().compress


def context(files):
    return BuildContext(io.BytesIO(make_tar(files)))


@pytest.fixture
def recorded():
    return context(facts.CONTEXT)


def test_hashes_are_those_of_dockerd(recorded):
    seen = "\n".join(created_by for created_by, _, _ in facts_seen.HISTORY)
    assert recorded.hash("app.py") == facts_seen.APP
    assert recorded.hash("link.py") == facts_seen.APP
    assert f"COPY {recorded.hash('sub')} in /app/sub2 " in seen
    assert f"ADD {recorded.hash('in.tar')} in /untar/ " in seen
    assert f"COPY {hashed('multi', [recorded.hash('app.py'), recorded.hash('sub/a.txt')])} in /multi/ " in seen


def test_time_does_not_count_and_mode_and_name_do():
    one = context({"f": "x"})
    assert context({"f": ("x", 0o600)}).hash("f") != one.hash("f")
    assert context({"g": "x"}).hash("g") != one.hash("f")
    early, late = tarfile.TarInfo(), tarfile.TarInfo()
    early.mtime, late.mtime = 1, 2
    assert context({"f": early}).hash("f") == context({"f": late}).hash("f")


def test_folders_without_an_entry_are_there():
    tree = context({"a/b/c": "x"})
    assert tree.is_dir("a/b")
    assert list(tree.walk("a")) == ["a", "a/b", "a/b/c"]


def test_patterns_match_part_by_part():
    tree = context({"a.py": "", "b.txt": "", "d/c.py": ""})
    assert tree.glob("*.py") == ["a.py"]
    assert tree.glob("*/*.py") == ["d/c.py"]
    assert tree.glob("[ab].*") == ["a.py", "b.txt"]


def test_links_stay_inside():
    tree = context({"d/": b"", "d/up": symlink("../../../../f"), "f": "x", "h": hardlink("f"), "loop": symlink("loop")})
    assert tree.resolve("d/up") == "f"
    assert tree.open("h").read() == b"x"
    with pytest.raises(Exception, match="too many levels of symbolic links"):
        tree.resolve("loop")


@pytest.mark.parametrize("name", ["../f", "/f", "a/../../f"])
def test_names_outside_are_refused(name):
    with pytest.raises(UnsafeArchive):
        context({name: "x"})


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, ZSTD])
def test_compressed_contexts(compress):
    with decompressed(io.BytesIO(compress(make_tar({"f": "x"})))) as file:
        assert BuildContext(file).open("f").read() == b"x"


def test_ignored_dockerfile_is_forgotten():
    tree = context({".dockerignore": "Dockerfile\n", "Dockerfile": "FROM x\n", "f": ""})
    tree.hide_ignored("Dockerfile")
    assert list(tree.walk("")) == [".dockerignore", "f"]
