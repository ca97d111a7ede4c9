"""Upstream's conformance tests, flow by flow, for the areas that the course can reach.

Each test names, in `@conformance`, the ones of test/conformance/testdata/conformance.yaml (v1.33) whose flow it goes
through. Their programs (agnhost, mounttest) are small Python or shell programs here. With KUBELAB_TEST_CONTEXT the
same tests run on another cluster; KUBELAB_TEST_IMAGE is then an image that has Python 3 and a shell.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import kubernetes
import pytest
from urllib3.exceptions import HTTPError

from engines.api.conftest import CONTEXT, Cluster, client_of, cluster_of_context
from harness import eventually
from kubelab.home import Home

Object = dict[str, Any]
IMAGE = os.environ.get("KUBELAB_TEST_IMAGE", "kubelab/python")
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"


class Refused(Exception):
    """What the API server answered instead of doing it: `status` is a metav1.Status."""

    def __init__(self, code: int, status: Object) -> None:
        super().__init__(f"{code} {status.get('message', status)}")
        self.code, self.status = code, status


class Bench:
    """One namespace of a running cluster, and the API without a client library in between."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    def do(self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: Any) -> Any:
        """A request; `path` as upstream's documentation has it, with `{ns}` for the namespace, in the
        body, too. The decoded answer, or
        its text where that is no JSON. Refused where the server does not do it."""
        client = self.cluster.client
        headers = {**_authorization(client), "Content-Type": kind, "Accept": "application/json, */*"}
        data = None if body is None else json.dumps(body).replace("{ns}", self.namespace)
        pool = client.rest_client.pool_manager
        answer = pool.request(method, self.url(path, **query), body=data, headers=headers, timeout=60)
        text = answer.data.decode()
        told = json.loads(text) if "json" in answer.headers.get("Content-Type", "") and text else text
        if answer.status >= 400:
            raise Refused(answer.status, told if isinstance(told, dict) else {"message": told})
        return told

    def url(self, path: str, **query: Any) -> str:
        url = self.cluster.url + path.replace("{ns}", self.namespace)
        return url + ("&" if "?" in url else "?") + urlencode(query) if query else url

    def get(self, path: str, **query: Any) -> Any:
        return self.do("GET", path, **query)

    def create(self, path: str, body: Object, **query: Any) -> Object:
        return self.do("POST", path, body, **query)

    def patch(self, path: str, body: Any, kind: str = MERGE, **query: Any) -> Object:
        return self.do("PATCH", path, body, kind, **query)

    def replace(self, path: str, change: Callable[[Object], None]) -> Object:
        """Read, change, write; again where somebody else wrote meanwhile, as client-go's RetryOnConflict."""
        while True:
            found = self.get(path)
            change(found)
            try:
                return self.do("PUT", path, found)
            except Refused as refused:
                if refused.code != 409:
                    raise

    def delete(self, path: str, **options: Any) -> Any:
        return self.do("DELETE", path, options or None)

    def gone(self, path: str, deadline: float = 30) -> None:
        def is_gone() -> bool:
            try:
                self.get(path)
            except Refused as refused:
                return refused.code == 404
            return False

        eventually(is_gone, f"{path} is gone", deadline)

    def until(self, path: str, true: Callable[[Object], Any], what: str, deadline: float = 30) -> Object:
        """The object as it is when `true(object)` has come true."""
        found: list[Object] = []

        def has_come() -> bool:
            found[:] = [self.get(path)]
            return bool(true(found[0]))

        eventually(has_come, f"{path}: {what}", deadline)
        return found[0]

    # pods

    def pod(self, name: str, *containers: Object, **spec: Any) -> Object:
        """Make a pod of these containers; its labels are {"app": name} unless `labels` says others."""
        metadata = {"name": name, "labels": spec.pop("labels", {"app": name}), "annotations": spec.pop("notes", {})}
        spec = {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}
        return self.create("/api/v1/namespaces/{ns}/pods", {"metadata": metadata, "spec": spec})

    def phase(self, name: str, *phases: str) -> Object:
        return self.until(POD + name, lambda pod: pod["status"]["phase"] in phases, f"is {phases}")

    def ready(self, name: str) -> Object:
        def is_ready(pod: Object) -> bool:
            return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))

        return self.until(POD + name, is_ready, "is ready")

    def output(self, name: str, *containers: Object, **spec: Any) -> str:
        """What a pod that ends well has written."""
        self.pod(name, *containers, restartPolicy="Never", **spec)
        pod = self.phase(name, "Succeeded", "Failed")
        log = self.log(name, container=containers[0]["name"])
        assert pod["status"]["phase"] == "Succeeded", f"{pod['status']}\n{log}"
        return log

    def log(self, name: str, **query: Any) -> str:
        return self.do("GET", f"{POD}{name}/log", **query)

    def logged(self, name: str, text: str, deadline: float = 30, **query: Any) -> None:
        eventually(lambda: text in self.log(name, **query), f"{text!r} in the log of {name}", deadline)

    @contextmanager
    def watching(self, path: str, **query: Any) -> Iterator[list[tuple[str, Object]]]:
        """The events of a watch, as (type, object), added to the list as they come."""
        seen: list[tuple[str, Object]] = []
        client = kubernetes.client.ApiClient(self.cluster.client.configuration)
        url = self.url(path, watch=1, timeoutSeconds=60, **query)
        pool = client.rest_client.pool_manager
        answer = pool.request("GET", url, headers=_authorization(client), preload_content=False)

        def read() -> None:
            with contextlib.suppress(ValueError, OSError, AttributeError, HTTPError):  # closed in the middle of a read
                for line in answer:
                    event = json.loads(line)
                    seen.append((event["type"], event["object"]))

        threading.Thread(target=read, daemon=True).start()
        try:
            yield seen
        finally:
            answer.shutdown()  # a close alone waits for the read that is under way
            client.close()


def _authorization(client: kubernetes.client.ApiClient) -> dict[str, str]:
    return {setting["key"]: setting["value"] for setting in client.configuration.auth_settings().values()}


POD = "/api/v1/namespaces/{ns}/pods/"
CORE, APPS, BATCH = "/api/v1/namespaces/{ns}/", "/apis/apps/v1/namespaces/{ns}/", "/apis/batch/v1/namespaces/{ns}/"


def shell(script: str, name: str = "c", **fields: Any) -> Object:
    """A container that runs a script of the shell."""
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], "imagePullPolicy": "IfNotPresent", **fields}


def python(code: str, name: str = "c", **fields: Any) -> Object:
    """A container that runs a Python program."""
    return shell("", name, command=["python3", "-uc", code], **fields)


SERVER = """
import http.server, sys, threading
started = __import__("time").monotonic()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        old = __import__("time").monotonic() - started
        bad = self.path == "/healthz" and old > float(sys.argv[1])
        self.send_response(500 if bad else 200)
        self.end_headers()
        print("asked", self.path, self.headers.get("X-Hook", ""))
    do_POST = do_GET
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def server(fails_after: float = 1e9, **fields: Any) -> Object:
    """A container that answers each request at port 8080 and writes its path; /healthz with 500 after that time."""
    made = python(SERVER, **fields)
    return {**made, "command": [*made["command"], str(fails_after)]}


@pytest.fixture(scope="session")
def running(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The embedded cluster at its best level, whole; with KUBELAB_TEST_CONTEXT that context's cluster."""
    if CONTEXT:
        with tempfile.TemporaryDirectory(prefix="kl-") as folder:
            yield from cluster_of_context(Path(folder))
        return
    home: Home = request.getfixturevalue("best_engines")
    with client_of(home.kubeconfig) as client:
        yield Cluster(home.kubeconfig, client)


@pytest.fixture
def bench(running: Cluster) -> Iterator[Bench]:
    namespace = f"conformance-{secrets.token_hex(3)}"
    made = Bench(running, namespace)
    made.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    eventually(lambda: _is_there(made, f"{CORE}serviceaccounts/default"), "the default service account")
    yield made
    made.delete(f"/api/v1/namespaces/{namespace}")


def _is_there(bench: Bench, path: str) -> bool:
    try:
        return bool(bench.get(path))
    except Refused:
        return False
