"""/livez, /readyz, /healthz. After staging/src/k8s.io/apiserver/pkg/server/healthz/healthz_test.go."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request

import pytest

from kubelab.cluster.apiserver import bootstrap

from .conftest import Cluster

HOOKS = [f"poststarthook/{name}" for name in bootstrap.HOOKS]
ALIVE = ["ping", "log", "store", *HOOKS]


def get(cluster: Cluster, path: str, token: str | None = None) -> tuple[int, str]:
    authorization = {"Authorization": f"Bearer {cluster.token if token is None else token}"} if token != "" else {}
    request = urllib.request.Request(cluster.url + path, headers=authorization)
    try:
        with urllib.request.urlopen(request, timeout=20, context=cluster.trust) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("endpoint", "names"), [("healthz", ALIVE), ("livez", ALIVE), ("readyz", [*ALIVE, "shutdown"])]
)
def test_all_is_well(cluster: Cluster, endpoint: str, names: list[str]):
    assert get(cluster, f"/{endpoint}", token="") == (200, "ok")
    lines = [*(f"[+]{name} ok" for name in names), f"{endpoint} check passed"]
    assert get(cluster, f"/{endpoint}?verbose") == (200, "\n".join(lines) + "\n")
    assert all(get(cluster, f"/{endpoint}/{name}") == (200, "ok") for name in names)


def test_a_check_is_excluded(cluster: Cluster):
    code, text = get(cluster, "/livez?verbose&exclude=store&exclude=nonsense&exclude=etcd")
    assert code == 200
    assert "[+]store excluded: ok\n" in text
    assert text.endswith(
        'warn: some health checks cannot be excluded: no matches for "etcd","nonsense"\nlivez check passed\n'
    )


def test_what_fails_is_named_and_why_is_withheld(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster.server.registry.store, "revision", -1)
    code, text = get(cluster, "/livez?exclude=ping")
    assert (code, text.splitlines()[:3]) == (
        500,
        ["[+]ping excluded: ok", "[+]log ok", "[-]store failed: reason withheld"],
    )
    assert text.endswith("\nlivez check failed\n")
    code, text = get(cluster, "/livez/store")
    assert (code, text.startswith("internal server error: the log is at revision ")) == (500, True)


def test_a_server_that_goes_is_alive_but_not_ready(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster.server.health, "shutting_down", True)
    code, text = get(cluster, "/readyz")
    assert code == 500
    assert text.endswith("[-]shutdown failed: reason withheld\nreadyz check failed\n")
    assert get(cluster, "/readyz/shutdown") == (500, "internal server error: process is shutting down\n")
    assert get(cluster, "/readyz?exclude=shutdown") == (200, "ok")
    assert get(cluster, "/livez") == (200, "ok")


def test_a_log_that_cannot_be_written(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    class Full(logging.Handler):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(logging.getLogger(), "handlers", [Full(level=logging.CRITICAL)])
    assert get(cluster, "/livez/log") == (500, "internal server error: [Errno 28] No space left on device\n")
    assert "[-]log failed: reason withheld\n" in get(cluster, "/healthz")[1]


def test_single_checks_are_not_for_everybody(cluster: Cluster):
    code, text = get(cluster, "/readyz/ping", token="")
    assert (code, 'cannot get path \\"/readyz/ping\\"' in text) == (403, True)
    assert get(cluster, "/readyz/nonsense")[0] == get(cluster, "/livez/shutdown")[0] == 404


def test_the_root_lists_them(cluster: Cluster):
    paths = cluster.request("GET", "/")[2]["paths"]
    assert paths == sorted(paths)
    assert {"/livez/ping", "/readyz/shutdown", "/healthz/poststarthook/rbac/bootstrap-roles", "/version"} <= set(paths)
