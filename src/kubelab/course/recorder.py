"""Records every watch event of a namespace, in the background, from `start()` until it is stopped.

    recorder = lab.recorder            # one a lab; started at its first use
    recorder.recording                 # what it has so far: see `kubelab.course.recording`
    recorder.mark("pressed deadlock")  # a note among the records, at this moment
    recorder.trouble                   # why nothing comes in just now; "" while it does
    recorder.stop()

What is recorded: pods, events, what owns pods, endpoint slices (which replace Endpoints; those are deprecated), nodes.
A daemon thread a kind lists once and then watches, as client-go's reflector does; after a gap (410 Gone) it lists
again and records what the gap hid as ADDED, MODIFIED and DELETED. Nothing is printed. A lost connection is a LOST
record and a sentence in `trouble`; when it is back, a RESUMED record. It stops by itself with the kernel and with its
namespace.

`at` is when an event arrived here. Kinds come over connections of their own, so that between two of them the order of
arrival can be off by milliseconds; `version` tells the order in which they were written, where the server has one
revision for all (etcd's, and this course's store).
"""

from __future__ import annotations

import atexit
import threading
import time
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.client.rest import ApiException

from . import states
from .recording import HERE, Record, Recording
from .watching import Change, changes

KINDS = {  # kind -> the client's class and method, and whether the kind lives in a namespace
    "Pod": ("CoreV1Api", "list_namespaced_pod", True),
    "Event": ("CoreV1Api", "list_namespaced_event", True),
    "EndpointSlice": ("DiscoveryV1Api", "list_namespaced_endpoint_slice", True),
    "Deployment": ("AppsV1Api", "list_namespaced_deployment", True),
    "ReplicaSet": ("AppsV1Api", "list_namespaced_replica_set", True),
    "ReplicationController": ("CoreV1Api", "list_namespaced_replication_controller", True),
    "DaemonSet": ("AppsV1Api", "list_namespaced_daemon_set", True),
    "Job": ("BatchV1Api", "list_namespaced_job", True),
    "CronJob": ("BatchV1Api", "list_namespaced_cron_job", True),
    "Node": ("CoreV1Api", "list_node", False),
    "Namespace": ("CoreV1Api", "list_namespace", False),
}
RETRY = 1.0  # seconds until an API that was away is asked again
REFUSED = (403, 404)  # a student who may see one namespace only; a server that lacks the kind
READY_TIMEOUT = 10.0  # seconds for the first lists


class Recorder:
    """api: a client of its own · namespace: which · kinds: names of KINDS, all by default."""

    def __init__(self, api: client.ApiClient, namespace: str, kinds: tuple[str, ...] = tuple(KINDS)) -> None:
        self.namespace, self.kinds = namespace, kinds
        self.recording = Recording(namespace, time.time())
        self.unseen: dict[str, str] = {}  # kind -> why it is not recorded
        self.ended = ""  # why the recording is over; "" while it goes on
        self._api, self._began = api, time.monotonic()
        self._known: dict[str, dict[str, states.State]] = {kind: {} for kind in kinds}  # kind -> uid -> state
        self._away: dict[str, str] = {}  # kind -> why its watch is lost
        self._listed = {kind: threading.Event() for kind in kinds}
        self._lock, self._stop = threading.RLock(), threading.Event()

    @property
    def running(self) -> bool:
        return not self._stop.is_set()

    @property
    def trouble(self) -> str:
        with self._lock:
            return next(iter(self._away.values()), "")

    def start(self, timeout: float = READY_TIMEOUT) -> Recorder:
        """Returns when all that was there is recorded, so that nothing after it is missed; else after `timeout` s."""
        atexit.register(self.stop, "the kernel ended")
        for kind in self.kinds:
            threading.Thread(target=self._follow, args=(kind,), name=f"kubelab-record-{kind}", daemon=True).start()
        deadline = time.monotonic() + timeout
        for listed in self._listed.values():
            listed.wait(max(0.0, deadline - time.monotonic()))
        return self

    def stop(self, why: str = "it was stopped") -> None:
        """No more records from now on; those that are there stay."""
        with self._lock:
            if self._stop.is_set():
                return
            self._note("ENDED", why)
            self.ended = why
            self._stop.set()
        atexit.unregister(self.stop)

    def now(self) -> float:
        """Seconds since the recording began: the clock of `Record.at`."""
        return time.monotonic() - self._began

    def mark(self, message: str, name: str = "") -> int:
        """Put a note among the records. Returns its number."""
        with self._lock:
            self._note("MARK", message, name)
            return len(self.recording) - 1

    def _note(self, what: str, message: str, name: str = "") -> None:
        self.recording.add(Record(self.now(), time.time(), what, HERE, name, message=message))

    def _follow(self, kind: str) -> None:
        api, method, namespaced = KINDS[kind]
        list_function = getattr(getattr(client, api)(self._api), method)
        where = [self.namespace] if namespaced else []
        options = {"field_selector": f"metadata.name={self.namespace}"} if kind == "Namespace" else {}
        known: dict[str, dict[str, Any]] = {}  # outlives a lost connection: what it hid is found by comparing
        while not self._stop.is_set():
            try:
                first = not self._listed[kind].is_set()
                seen = changes(list_function, *where, stop=self._stop, known=known, first=first, **options)
                for change in seen:
                    self._take(kind, change)
            except (ApiException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                if getattr(error, "status", 0) in REFUSED:
                    return self._give_up(kind, error)
                self._lose(kind, error)
                self._stop.wait(RETRY)

    def _give_up(self, kind: str, error: Exception) -> None:
        with self._lock:
            self.unseen[kind] = f"{error.status} {error.reason}"
            self._away.pop(kind, None)
        self._listed[kind].set()

    def _lose(self, kind: str, error: Exception) -> None:
        with self._lock:
            if self._stop.is_set():
                return
            if not self._away:
                self._note("LOST", words(error))
            self._away.setdefault(kind, words(error))

    def _take(self, kind: str, change: Change | None) -> None:
        """`None`: the server answered, and nothing has changed."""
        with self._lock:
            if self._stop.is_set():
                return
            if self._away.pop(kind, None) and not self._away:
                self._note(
                    "RESUMED", "the API server answers again; of what happened meanwhile the traces are recorded"
                )
            if change:
                self.recording.add(self._record(kind, change))
                if kind == "Namespace" and change.what == "DELETED":
                    self.stop("the namespace was deleted")
            else:
                self._listed[kind].set()

    def _record(self, kind: str, change: Change) -> Record:
        metadata = change.object["metadata"]
        uid = metadata.get("uid") or metadata["name"]
        before, after = self._known[kind].get(uid, {}), states.of(kind, change.object)
        if change.what == "DELETED":
            self._known[kind].pop(uid, None)
        else:
            self._known[kind][uid] = after
        return Record(
            self.now(), time.time(), change.what, kind, metadata["name"], uid,
            metadata.get("resourceVersion", ""), after, states.changed(before, after) if before else {},
        )  # fmt: skip


def words(error: Exception) -> str:
    """Why the API cannot be read."""
    if isinstance(error, ApiException) and error.status:
        return f"the API server answers {error.status} {error.reason}"
    return f"the API server does not answer since {time.strftime('%H:%M:%S')}"
