"""What all labs have in common: background work, its end, its errors; the newest of a kind alone is live."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from kubelab.course.errors import LabError
from kubelab.widgets import states
from kubelab.widgets.frame import HERE, LabWidget, script, style


class Lab(LabWidget):
    def press(self, action: str, **options) -> None:
        if action == "fail":
            raise LabError("it cannot be done.")
        super().press(action, **options)


@pytest.fixture
def lab() -> SimpleNamespace:
    return SimpleNamespace(namespace="lab")


def test_work_runs_in_the_background_one_at_a_time(lab):
    widget, go = Lab(lab, "Test"), threading.Event()
    widget.begin(go.wait)
    with pytest.raises(LabError, match="still at work"):
        widget.begin(go.wait)
    with pytest.raises(LabError, match="not done after"):
        widget.wait(0.01)
    go.set()
    widget.wait(5)
    assert widget.progress["text"] == ""
    widget.close()


def test_what_work_dies_of_is_shown_and_raised_where_somebody_waits(lab):
    def fail() -> None:
        raise LabError("no pod.")

    widget = Lab(lab, "Test")
    widget.begin(fail)
    with pytest.raises(LabError, match=r"no pod\."):
        widget.wait(5)
    assert (widget.trouble, widget.said) == ("no pod.", "no pod.")
    widget.begin(lambda: None)
    widget.wait(5)
    assert widget.trouble == ""
    widget.close()


def test_a_bad_press_from_the_page_is_said(lab):
    widget = Lab(lab, "Test")
    widget._pressed(widget, {"press": "fail"}, [])
    assert widget.said == "it cannot be done."
    widget._pressed(widget, {"press": "melt"}, [])
    assert widget.said == "there is no action 'melt'."
    widget.close()


def test_a_newer_one_takes_the_place_of_the_one_before(lab):
    first, other = Lab(lab, "Test"), Lab(lab, "Test", key="other")
    second = Lab(lab, "Test")
    assert first.ended == "a newer one took its place"
    assert other.ended == second.ended == ""
    for widget in (first, second, other):
        widget.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("kubelab-Lab-") and not each.daemon]


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.js") if path.stem != "frame"))
def test_every_script_has_the_frame_in_front_and_one_export(name):
    assert script(name).count("export default") == 1 and "function frame(" in script(name)
    assert ".kl-lab {" in style(name)


def test_every_state_has_a_shape_and_a_word_of_its_own():
    shapes = [each["shape"] for each in states.STATES.values()]
    words = [each["label"] for each in states.STATES.values()]
    assert len(set(shapes)) == len(set(words)) == len(states.STATES)


@pytest.mark.parametrize(
    ("status", "ready", "terminating", "expected"),
    [
        ("Running", True, False, "ready"),
        ("Running", False, False, "running"),
        ("Running", True, True, "terminating"),
        ("CrashLoopBackOff", False, False, "crashloop"),
        ("Completed", False, False, "done"),
        ("ContainerCreating", False, False, "pending"),
        ("Init:0/1", False, False, "pending"),
        ("OOMKilled", False, False, "failed"),
        ("ErrImagePull", False, False, "failed"),
    ],
)
def test_the_state_behind_a_status(status, ready, terminating, expected):
    assert states.of_words(status, ready, terminating) == expected
