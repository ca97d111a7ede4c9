"""Progress: kept at once and as a whole, merged on import, never lost to a bad file."""

from __future__ import annotations

import json
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.course.errors import LabError
from kubelab.course.progress import Progress, empty, merge

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def progress(folder: Path, hour: int = 0) -> Progress:
    return Progress(folder, now=lambda: NOON + timedelta(hours=hour))


def test_what_was_done_is_there_for_the_next_kernel(tmp_path: Path):
    progress(tmp_path).checked("4.1", passed=False)
    progress(tmp_path).checked("4.1", passed=True)
    progress(tmp_path).predicted("04/crash/web", right=False)
    progress(tmp_path).predicted("04/crash/web", right=True)
    progress(tmp_path).quizzed("04/restarts", right=True)
    found = progress(tmp_path).read()
    assert found["checks"] == {"4.1": {"passed": "2030-01-01T12:00:00+00:00", "tries": 2}}
    assert found["predictions"]["04/crash/web"] | {"when": ""} == {
        "first": False,
        "right": True,
        "tries": 2,
        "when": "",
    }
    assert found["quiz"]["04/restarts"]["first"] and progress(tmp_path).passed("4.1")


def test_what_is_passed_stays_passed_with_its_first_time(tmp_path: Path):
    progress(tmp_path).checked("4.1", passed=True)
    progress(tmp_path, hour=1).checked("4.1", passed=False)
    progress(tmp_path, hour=2).checked("4.1", passed=True)
    assert progress(tmp_path).read()["checks"]["4.1"] == {"passed": "2030-01-01T12:00:00+00:00", "tries": 1}


def test_an_export_is_merged_where_it_is_loaded(tmp_path: Path):
    progress(tmp_path / "a").checked("4.1", passed=True)
    file = progress(tmp_path / "a").export(tmp_path / "mine.json")
    progress(tmp_path / "b", hour=1).checked("4.1", passed=True)
    progress(tmp_path / "b", hour=1).checked("4.2", passed=True)
    progress(tmp_path / "b").load(file)
    progress(tmp_path / "b").load(file)
    checks = progress(tmp_path / "b").read()["checks"]
    assert sorted(checks) == ["4.1", "4.2"] and checks["4.1"]["passed"].startswith("2030-01-01T12")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ('{"checks": {}}', 'lacks "format"'),
        ('{"format": "kubelab-progress", "version": 2}', "version 2"),
        ('{"format": "kubelab-progress", "version": 1, "checks": {"4.1": {"passed": true}}}', "checks is not as"),
        ('{"format": "kubelab-progress", "version": 1, "quiz": []}', "quiz is not as"),
    ],
)
def test_a_bad_file_changes_nothing_and_says_why(tmp_path: Path, text: str, said: str):
    progress(tmp_path).checked("4.1", passed=True)
    before = (tmp_path / "progress.json").read_bytes()
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(LabError, match=said):
        progress(tmp_path).load(tmp_path / "bad.json")
    assert (tmp_path / "progress.json").read_bytes() == before


def test_a_damaged_progress_is_left_as_it_is(tmp_path: Path):
    (tmp_path / "progress.json").write_text("{")
    with pytest.raises(LabError, match="Nothing was changed"):
        progress(tmp_path).checked("4.1", passed=True)
    assert (tmp_path / "progress.json").read_text() == "{"


def _check_many(folder: Path, chapter: int) -> None:
    for number in range(20):
        progress(folder).checked(f"{chapter}.{number}", passed=True)


def test_two_kernels_do_not_take_each_others_results_away(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_check_many, args=(tmp_path, chapter)) for chapter in (3, 4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert len(progress(tmp_path).read()["checks"]) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "progress.json"]


_check = st.builds(
    lambda passed, tries: {"passed": passed, "tries": tries}, st.sampled_from(["", "a", "b"]), st.integers(0, 3)
)
_answer = st.fixed_dictionaries(
    {"first": st.booleans(), "right": st.booleans(), "tries": st.integers(1, 3), "when": st.sampled_from(["a", "b"])}
)
_names = st.sampled_from(["x", "y"])
_document = st.builds(
    lambda checks, quiz: {**empty(), "checks": checks, "quiz": quiz},
    st.dictionaries(_names, _check),
    st.dictionaries(_names, _answer),
)


@given(_document, _document)
def test_merging_takes_nothing_back_and_its_order_does_not_matter(one, other):
    both = merge(one, other)
    assert both == merge(other, one) and merge(both, other) == both
    for name, row in one["checks"].items():
        assert bool(both["checks"][name]["passed"]) >= bool(row["passed"])
    for name, row in one["quiz"].items():
        assert both["quiz"][name]["right"] >= row["right"]
    json.dumps(both)
