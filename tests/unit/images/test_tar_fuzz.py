"""Anything may be in a tar: nothing is written outside of its folder; a valid one is unpacked as tarfile reads it."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubelab.images.tarstream import TarWriter
from kubelab.images.unpack import UnsafeArchive, unpack

NAMES = st.one_of(
    st.text(max_size=8), st.sampled_from(["a", "a/b", "../x", "/x", "a/../../x", ".wh.a", ".wh..wh..opq", "."])
)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, b"Z"])
PLAIN = st.dictionaries(st.from_regex(r"[a-zé]{1,5}", fullmatch=True), st.binary(max_size=600), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(st.tuples(NAMES, KINDS, NAMES, st.binary(max_size=20)), max_size=8))
def test_nothing_is_written_outside(tmp_path, entries):
    root = tmp_path / os.urandom(6).hex()
    target = root / "inside" / "target"
    target.mkdir(parents=True)
    (root / "witness").write_text("as it was")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, link, content in entries:
            info = tarfile.TarInfo(name.replace("\0", ""))
            info.type, info.linkname = kind, link.replace("\0", "")
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(content))
    with contextlib.suppress(UnsafeArchive, tarfile.TarError):
        unpack(io.BytesIO(data.getvalue()), target, chown=False)
    outside = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_relative_to(target)}
    assert outside == {"witness", "inside"}
    assert (root / "witness").read_text() == "as it was"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=PLAIN)
def test_what_is_written_is_what_tarfile_reads_and_what_is_unpacked(tmp_path, files):
    data, target = io.BytesIO(), Path(tmp_path / os.urandom(6).hex())
    target.mkdir()
    writer = TarWriter(data)
    for name, content in files.items():
        info = tarfile.TarInfo(name)
        info.size = len(content)
        writer.add(info, io.BytesIO(content))
    writer.close()
    data.seek(0)
    with tarfile.open(fileobj=data) as tar:
        assert {member.name: tar.extractfile(member).read() for member in tar} == files
    data.seek(0)
    assert unpack(data, target, chown=False) == sum(map(len, files.values()))
    assert {path.name: path.read_bytes() for path in target.iterdir()} == files
