"""What chapter 2 reads out of histories, build logs and saved layers."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from kubelab.course import layers


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0B"), (999, "999B"), (7020, "7.02kB"), (71_500_000, "71.5MB"), (2_300_000_000, "2.3GB")]
)
def test_sizes_are_the_docker_clis(count: int, shown: str):
    assert layers.size(count) == shown


@pytest.mark.parametrize(
    ("created_by", "line"),
    [
        ('/bin/sh -c #(nop)  CMD ["python" "faulty.py"]', 'CMD ["python" "faulty.py"]'),
        ("/bin/sh -c #(nop) COPY file:0f3a in . ", "COPY file in ."),
        ("/bin/sh -c echo hello", "RUN echo hello"),
        ("COPY faulty.py . # buildkit", "COPY faulty.py ."),
        ("RUN " + "x" * 100, "RUN " + "x" * 67 + "…"),
    ],
)
def test_history_shows_the_dockerfiles_lines_whichever_builder_made_them(created_by: str, line: str):
    assert layers.instruction(created_by) == line


def test_build_steps_tell_cached_ones():
    log = [
        {"stream": "Step 1/3 : FROM kubelab/python"},
        {"stream": "\n"},
        {"stream": " ---> 0123456789ab\n"},
        {"stream": "Step 2/3 : COPY a ."},
        {"stream": " ---> Using cache\n"},
        {"stream": "Step 3/3 : RUN true"},
        {"aux": {"ID": "sha256:0"}},
    ]
    assert layers.build_steps(log).rows == [
        ["1/3", "FROM kubelab/python", "done"],
        ["2/3", "COPY a .", "from the cache"],
        ["3/3", "RUN true", "done"],
    ]


def layer(*files: tuple[str, bytes | None]) -> tarfile.TarFile:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size = len(content or b"")
            tar.addfile(member, io.BytesIO(content or b""))
    buffer.seek(0)
    return tarfile.open(fileobj=buffer)


def test_a_layer_adds_changes_and_removes():
    seen: set[str] = set()
    with layer(("app", None), ("app/big", b"x" * 1000), ("app/a.py", b"1")) as first:
        assert layers.changes(first, seen) == [("A", "/app", 0), ("A", "/app/big", 1000), ("A", "/app/a.py", 1)]
    with layer(("app", None), ("app/a.py", b"22"), ("app/.wh.big", b"")) as second:
        assert layers.changes(second, seen) == [("", "/app", 0), ("C", "/app/a.py", 2), ("D", "/app/big", 0)]
    assert seen == {"/app", "/app/a.py"}


def test_the_context_is_what_dockerignore_leaves(tmp_path: Path):
    (tmp_path / "hello.py").write_bytes(b"x" * 100)
    (tmp_path / "Dockerfile").write_text("FROM kubelab/python\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_bytes(b"x" * 300_000)
    (tmp_path / ".dockerignore").write_text("# mine alone\nnotes\nDockerfile\n")
    assert {row[0]: row[1:] for row in layers.context(tmp_path).rows} == {
        ".dockerignore": ["30B", "sent"],
        "Dockerfile": ["20B", "sent"],  # the engine needs it, whatever .dockerignore says
        "hello.py": ["100B", "sent"],
        "notes/diary.txt": ["300kB", "left out"],
    }
    assert (layers.context_size(tmp_path), layers.context_size(tmp_path, ignored=[])) == ("10.2kB", "317kB")
