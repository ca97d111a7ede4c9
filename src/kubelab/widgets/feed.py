"""What a live picture shows, gathered in the background: pods, events, and whether requests are answered.

Daemon threads watch the namespace through the `kubernetes` client and hand what they see to one callback, at most
PER_SECOND times a second. They print nothing and end with the kernel; when the API is away they say so and come back.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.client.rest import ApiException

from kubelab.course.api import proxy_path, request
from kubelab.course.errors import LabError
from kubelab.course.watching import Object, snapshots

PER_SECOND = 5  # updates of the picture at most
BEAT = 2.0  # seconds after which the picture is published even if nothing changed: a sign of life
RETRY = 1.0  # seconds until an API that was away is asked again
ASK_EVERY, ASK_TIMEOUT = 0.5, 1.0  # seconds between requests to the chosen pod, and how long each may take
REMEMBERED = 60  # requests in the strip


@dataclass
class View:
    """The newest of everything, by the time of one publication."""

    pods: dict[str, Object] = field(default_factory=dict)
    events: dict[str, Object] = field(default_factory=dict)
    asked: str = ""  # the pod that requests go to
    answers: deque[bool] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    nodes: dict[str, Object] = field(default_factory=dict)
    home: dict[str, Object] = field(default_factory=dict)  # the namespace itself, by its name
    trouble: str = ""  # why the API cannot be read; "" while it can
    ended: bool = False  # the namespace was there and is gone


class Feed:
    """Keeps a View up to date and calls `publish(view)` after changes, and every BEAT seconds.

    `close()` stops it; so does the kernel's end, and the end of the namespace, which is published as the last view.
    """

    def __init__(self, api: client.ApiClient, namespace: str, selector: str, publish: Callable[[View], None]) -> None:
        self.namespace, self.selector = namespace, selector
        self._api, self._core, self._publish = api, client.CoreV1Api(api), publish
        self._view, self._lock = View(), threading.Lock()
        self._changed, self._stop = threading.Event(), threading.Event()
        follow = (self._follow_pods, self._follow_events, self._follow_nodes, self._follow_home)
        self._threads = [
            threading.Thread(target=work, name=f"kubelab-{work.__name__}", daemon=True)
            for work in (*follow, self._ask, self._tell)
        ]

    @property
    def running(self) -> bool:
        return not self._stop.is_set()

    def start(self) -> None:
        atexit.register(self.close)
        for thread in self._threads:
            thread.start()

    def close(self, timeout: float = 0) -> None:
        """Stop for good. With a timeout in seconds, wait that long for the threads to end."""
        self._stop.set()
        self._changed.set()
        atexit.unregister(self.close)
        for thread in self._threads if timeout else []:
            thread.join(timeout)

    def ask(self, pod: str) -> None:
        """From now on, send the requests to this pod."""
        with self._lock:
            if pod != self._view.asked:
                self._view.asked = pod
                self._view.answers.clear()
        self._changed.set()

    def _follow_pods(self) -> None:
        self._follow("pods", self._core.list_namespaced_pod, self.namespace, label_selector=self.selector)

    def _follow_events(self) -> None:
        self._follow("events", self._core.list_namespaced_event, self.namespace)

    def _follow_nodes(self) -> None:
        self._follow("nodes", self._core.list_node)

    def _follow_home(self) -> None:
        self._follow("home", self._core.list_namespace, field_selector=f"metadata.name={self.namespace}")

    def _follow(self, what: str, list_function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        while not self._stop.is_set():
            try:
                for objects in snapshots(list_function, *arguments, stop=self._stop, **options):
                    self._see(what, objects)
            except (ApiException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                if what in ("nodes", "home") and getattr(error, "status", 0) == 403:
                    return  # a cluster in which the student may see one namespace only
                self._see("trouble", _words(error))
                self._stop.wait(RETRY)

    def _see(self, what: str, value: Any) -> None:
        with self._lock:
            if what == "home" and self._view.home and not value:
                self._view.ended = True
            setattr(self._view, what, value)
            if what == "pods":
                self._view.trouble = ""
        self._changed.set()

    def _ask(self) -> None:
        while not self._stop.wait(ASK_EVERY):
            pod = self._view.asked
            if not pod or pod not in self._view.pods:
                continue
            answered = self._answers(pod)
            with self._lock:
                if pod == self._view.asked:
                    self._view.answers.append(answered)
            self._changed.set()

    def _answers(self, pod: str) -> bool:
        try:
            return request(self._api, "GET", proxy_path(self.namespace, f"pod/{pod}", "/"), timeout=ASK_TIMEOUT).ok
        except (LabError, TimeoutError):
            return False

    def _tell(self) -> None:
        while not self._stop.is_set():
            self._changed.wait(BEAT)
            self._changed.clear()
            if self._stop.is_set():
                return
            with self._lock:
                view = View(**vars(self._view) | {"answers": deque(self._view.answers, REMEMBERED)})
            self._publish(view)
            if view.ended:
                return self.close()
            self._stop.wait(1 / PER_SECOND)


def _words(error: Exception) -> str:
    if isinstance(error, ApiException):
        return f"the API server answers {error.status} {error.reason}"
    return f"the API server does not answer since {time.strftime('%H:%M:%S')}"
