"""What all labs have in common: a widget with a title, a sign of life, a text twin, and work in the background.

A lab's own file is NAME.py with NAME.js and NAME.css beside it; frame.js and frame.css stand in front of them. Threads
set traits and print nothing; what goes wrong in them is shown as `trouble`.
"""

from __future__ import annotations

import atexit
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets
import urllib3
from kubernetes.client.rest import ApiException

from kubelab.course.errors import LabError
from kubelab.course.lab import Lab
from kubelab.course.manifest import message

from . import states

HERE = Path(__file__).parent
BEAT = 2.0  # seconds between signs of life
IDLE: dict[str, Any] = {"share": None, "text": ""}


@functools.cache
def script(name: str) -> str:
    """The lab's script, with what all labs share in front of it."""
    return f"{(HERE / 'frame.js').read_text()}\n{(HERE / f'{name}.js').read_text()}"


@functools.cache
def style(name: str) -> str:
    return f"{(HERE / 'frame.css').read_text()}\n{(HERE / f'{name}.css').read_text()}"


class LabWidget(anywidget.AnyWidget):
    """lab: the chapter's lab. `text()` is the picture in words; `stop()` ends the background work and leaves the last
    picture, as do the end of the kernel and a newer widget of the same `key`; `wait()` blocks until work that was
    begun is done.
    """

    newest: ClassVar[dict[tuple[str, ...], LabWidget]] = {}  # by class, namespace, key: a cell may be run again

    title = traitlets.Unicode().tag(sync=True)
    states = traitlets.Dict(states.for_page()).tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)  # the picture as text
    said = traitlets.Unicode().tag(sync=True)  # the newest thing worth announcing
    trouble = traitlets.Unicode().tag(sync=True)  # why the picture stands still; "" while it is live
    ended = traitlets.Unicode().tag(sync=True)  # why the picture is the last one; "" while it lives
    beat = traitlets.Int().tag(sync=True)  # grows while the kernel is there; the page cannot be told of its end
    progress = traitlets.Dict(IDLE).tag(sync=True)  # {"share": 0 to 1 or None, "text": what is being done, or ""}

    def __init__(self, lab: Lab, title: str, key: str = "", **traits: Any) -> None:
        self.lab = lab
        self._over = threading.Event()
        self._work: threading.Thread | None = None
        super().__init__(title=title, **traits)
        self.on_msg(self._pressed)
        place = (type(self).__name__, lab.namespace, key)
        if before := self.newest.pop(place, None):
            before.stop("a newer one took its place")
        self.newest[place] = self
        atexit.register(self.stop, "the kernel ended")
        self.background(self._live, "beat")

    # -- what a lab overrides

    def press(self, action: str, **options: Any) -> None:
        """Do what the button `action` does. LabError: it cannot be done."""
        raise LabError(f"there is no action {action!r}.")

    def from_page(self, content: dict[str, Any]) -> None:
        """Do what the page has sent. Here a rule for buttons alone has its place: code may press what it likes."""
        options = dict(content)
        self.press(options.pop("press", ""), **options)

    def text(self) -> str:
        """The picture in words."""
        return self.words

    # -- background work

    @property
    def over(self) -> threading.Event:
        """Set when the widget is stopped: every thread waits on it instead of sleeping."""
        return self._over

    def background(self, work: Callable[[], None], name: str) -> threading.Thread:
        """Run `work` in a daemon thread. What it dies of is shown."""

        def run() -> None:
            try:
                work()
            except (LabError, ApiException, urllib3.exceptions.HTTPError, OSError) as error:
                if not self._over.is_set():
                    self.said = self.trouble = explain(error)

        thread = threading.Thread(target=run, name=f"kubelab-{type(self).__name__}-{name}", daemon=True)
        thread.start()
        return thread

    def begin(self, work: Callable[[], None]) -> None:
        """Begin work that takes seconds, one at a time. LabError where the last is not done yet."""
        if self._work is not None and self._work.is_alive():
            raise LabError("it is still at work; wait until it is done.")
        self.trouble = ""

        def run() -> None:
            try:
                work()
            finally:
                self.progress = IDLE

        self._work = self.background(run, "work")

    def wait(self, timeout: float = 120) -> None:
        """Block until the work that was begun is done. LabError where it failed, or takes longer than `timeout` s."""
        if self._work is None:
            return
        self._work.join(timeout)
        if self._work.is_alive():
            raise LabError(f"it is not done after {timeout:g} s: {self.progress['text'] or self.said}")
        if self.trouble:
            raise LabError(self.trouble)

    @contextmanager
    def doing(self, text: str, share: float | None = None) -> Iterator[None]:
        """Show what is being done for as long as the block lasts."""
        self.progress = {"share": share, "text": text}
        yield

    def _live(self) -> None:
        while not self._over.wait(BEAT):
            self.beat += 1

    # -- presses, and the end

    def _pressed(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        try:
            self.from_page(content)
        except (LabError, TypeError) as error:
            self.said = str(error)
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            self.said = explain(error)

    def stop(self, why: str = "stop() was called") -> None:
        """End the background work and leave the last picture."""
        if self._over.is_set():
            return
        self._over.set()
        atexit.unregister(self.stop)
        self.ended = why

    def close(self) -> None:
        if hasattr(self, "_over"):  # not where its making was refused
            self.stop("it was closed")
        super().close()

    def __repr__(self) -> str:
        """What a saved notebook shows where the widget cannot run: the same in every run."""
        return f"{self.title}: run the cell to use it; `.text()` says the same in words."


def explain(error: Exception) -> str:
    """Why something was not done, in the API server's own words where there are some."""
    if isinstance(error, ApiException):
        return f"the API server refused: {message(error)}"
    if isinstance(error, LabError):
        return str(error)
    return f"the API server does not answer ({type(error).__name__})"
