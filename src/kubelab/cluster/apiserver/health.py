"""/livez, /readyz and /healthz: single checks, and what they say together.

Upstream: staging/src/k8s.io/apiserver/pkg/server/healthz. Where kube-apiserver checks `etcd` there is `store` here, its
own database. It has no check `informer-sync`: this API server asks its store directly and keeps no informers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from aiohttp import web

from kubelab.cluster.apiserver import errors
from kubelab.cluster.store import Store

log = logging.getLogger(__name__)
ENDPOINTS = ("healthz", "livez", "readyz")
HEADERS = {"X-Content-Type-Options": "nosniff"}

Check = Callable[[], None]  # raises whatever is wrong


class NotHealthy(Exception):
    """Why a check fails; only who may ask for the single check is told."""


class Health:
    """The checks of one API server. `hooks` name what has to be done once after it has begun to serve."""

    def __init__(self, store: Store, hooks: Iterable[str]) -> None:
        self.shutting_down = False
        self._pending = set(hooks)
        alive: dict[str, Check] = {"ping": lambda: None, "log": _log, "store": store.check}
        alive |= {f"poststarthook/{name}": self._hook(name) for name in hooks}
        ready = {**alive, "shutdown": self._shutdown}
        self._checks: dict[str, dict[str, Check]] = {"healthz": alive, "livez": alive, "readyz": ready}

    def done(self, hook: str) -> None:
        """What the hook has to do is done."""
        self._pending.discard(hook)

    def paths(self) -> list[str]:
        """All paths that `respond` knows."""
        singles = (f"/{endpoint}/{name}" for endpoint, checks in self._checks.items() for name in checks)
        return [*(f"/{endpoint}" for endpoint in ENDPOINTS), *singles]

    def respond(self, request: web.Request, path: str) -> web.Response:
        """`/readyz` with its parameters `verbose` and `exclude`, or `/readyz/ping`. Raises 404."""
        endpoint, _, name = path.strip("/").partition("/")
        checks = self._checks[endpoint]
        if not name:
            return _all(endpoint, checks, set(request.query.getall("exclude", ())), "verbose" in request.query)
        if name not in checks:
            raise errors.no_such_path()
        problem = _problem(checks[name])
        text = "ok" if problem is None else f"internal server error: {problem}\n"
        return web.Response(text=text, status=500 if problem else 200, headers=HEADERS)

    def _hook(self, name: str) -> Check:
        def check() -> None:
            if name in self._pending:
                raise NotHealthy("not finished")

        return check

    def _shutdown(self) -> None:
        if self.shutting_down:
            raise NotHealthy("process is shutting down")


def serves(path: str) -> bool:
    return path.lstrip("/").partition("/")[0] in ENDPOINTS


def _all(endpoint: str, checks: dict[str, Check], excluded: set[str], verbose: bool) -> web.Response:
    """A line for each check, and one for all; "ok" where all is well and nobody wants to know more."""
    lines: list[str] = []
    failed: list[str] = []
    for name, check in checks.items():
        problem = None if name in excluded else _problem(check)
        if problem is not None:
            failed.append(f"{name}: {problem}")
        state = "failed: reason withheld" if problem is not None else "excluded: ok" if name in excluded else "ok"
        lines.append(f"[{'-' if problem is not None else '+'}]{name} {state}")
    unknown = ",".join(f'"{name}"' for name in sorted(excluded - checks.keys()))
    if unknown:
        lines.append(f"warn: some health checks cannot be excluded: no matches for {unknown}")
    if failed:
        log.warning("%s check failed: %s", endpoint, "; ".join(failed))
    lines.append(f"{endpoint} check {'failed' if failed else 'passed'}")
    text = "".join(f"{line}\n" for line in lines) if failed or verbose else "ok"
    return web.Response(text=text, status=500 if failed else 200, headers=HEADERS)


def _problem(check: Check) -> str | None:
    try:
        check()
    except Exception as error:  # whatever it is, it is what the check has found
        return str(error) or type(error).__name__
    return None


def _log() -> None:
    """What was logged can be written: raises OSError where the disk is full or the reader gone."""
    for handler in logging.getLogger().handlers:
        handler.flush()
