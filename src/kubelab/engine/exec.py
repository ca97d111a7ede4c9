"""`docker exec`: a further process in a running container.

Upstream: moby's api/server/router/container/exec.go and daemon/exec.go. An exec is made, then started, then looked at;
the engine forgets it when its container goes.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from kubelab.engine.attach import DETACH_KEYS, detach_keys, take_over, typed
from kubelab.engine.containers_logs import frame
from kubelab.engine.containers_record import Container
from kubelab.engine.containers_run import exit_code_of
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.hijack import Hijacked
from kubelab.runtime.api import RuntimeServiceError
from kubelab.runtime.client import ExecSession
from kubelab.runtime.descriptors import chunks, write

DRAIN_SECONDS = 2.0  # how long output may still come once the command has ended
_HONOURED = "Detach AttachStdin AttachStdout AttachStderr Cmd Env WorkingDir User Tty DetachKeys ConsoleSize"
HONOURED = frozenset([*_HONOURED.split(), "Container"])  # the SDK names the container again, which is in the path


@dataclass
class Exec:
    id: str
    container: Container
    config: dict[str, Any]
    session: ExecSession | None = None
    started: bool = False
    raw: bool = False  # the output is sent as it is, not in frames: what the client said at the start, not its terminal
    exit_code: int | None = None
    pid: int = 0
    client: Hijacked | None = None
    outputs: set[asyncio.Task[None]] = field(default_factory=set)
    ending: asyncio.Task[None] | None = None

    @property
    def tty(self) -> bool:
        return bool(self.config.get("Tty"))

    def describe(self) -> dict[str, Any]:
        """`GET /exec/{id}/json`."""
        config, argv = self.config, self.config["Cmd"]
        return {
            "ID": self.id,
            "Running": self.started and self.exit_code is None,
            "ExitCode": self.exit_code,
            "ProcessConfig": {
                "tty": self.tty,
                "entrypoint": argv[0],
                "arguments": argv[1:],
                "privileged": False,
                "user": config.get("User") or "",
            },
            "OpenStdin": bool(config.get("AttachStdin")),
            "OpenStderr": bool(config.get("AttachStderr")),
            "OpenStdout": bool(config.get("AttachStdout")),
            "CanRemove": self.exit_code is not None,
            "ContainerID": self.container.id,
            "DetachKeys": "",
            "Pid": self.pid,
        }


def routes(engine: Engine) -> list[web.RouteDef]:
    execs = Execs(engine)
    return [
        web.route("POST", "/containers/{name}/exec", execs.create),
        web.route("POST", "/exec/{id}/start", execs.start),
        web.route("GET", "/exec/{id}/json", execs.inspect),
        web.route("POST", "/exec/{id}/resize", execs.resize),
    ]


class Execs:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._all: dict[str, Exec] = {}

    def _find(self, request: web.Request) -> Exec:
        found = self._all.get(request.match_info["id"])
        if found is None or found.container.removed:
            raise DockerError(404, f"No such exec instance: {request.match_info['id']}")
        return found

    async def create(self, request: web.Request) -> web.Response:
        container = self._engine.containers.find(request.match_info["name"])
        config = await _json(request)
        config = {"DetachKeys" if name == "detachKeys" else name: value for name, value in config.items()}  # the SDK's
        for name, value in config.items():
            if name not in HONOURED and value:
                raise DockerError(400, f"{name} is not supported by this engine: leave it out")
        if not config.get("Cmd"):
            raise DockerError(400, "No exec command specified")
        _require_awake(container)
        self._all = {id: each for id, each in self._all.items() if not each.container.removed}
        made = Exec(secrets.token_hex(32), container, config)
        self._all[made.id] = made
        container.exec_ids.append(made.id)
        self._event(made, "exec_create")
        return web.json_response({"Id": made.id}, status=201)

    async def inspect(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request).describe())

    async def resize(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found.session is None:
            raise DockerError(409, f"exec {found.id} is not running")
        await found.session.resize(int(request.query.get("h") or 0), int(request.query.get("w") or 0))
        return web.Response(status=200)

    async def start(self, request: web.Request) -> web.StreamResponse:
        found, options = self._find(request), await _json(request)
        if found.started:
            raise DockerError(409, f"exec {found.id} has already run")
        if not found.container.running:
            raise DockerError(409, f"container {found.container.id} is not running")
        if options.get("Detach"):
            await self._begin(found, None)
            return web.Response(status=200)
        found.raw = bool(options.get("Tty"))
        connection = await take_over(request, found.raw)
        try:
            await self._join(found, await self._begin(found, connection), connection)
        except RuntimeServiceError as error:  # the head is sent: the text goes where the output would go
            text = f"{error}\r\n".encode()
            connection.writer.write(text if found.raw else frame("stdout", text))
            await connection.writer.drain()
        return connection.response

    async def _begin(self, found: Exec, client: Hijacked | None) -> ExecSession:
        """Start the process and watch for its end. RuntimeServiceError, with the exit code set, where it cannot."""
        config = found.config
        found.started = True
        try:
            session = await self._engine.runtime.exec(
                found.container.runtime_id,
                config["Cmd"],
                tty=found.tty,
                stdin=bool(config.get("AttachStdin")),
                env=[tuple(line.split("=", 1)) for line in config.get("Env") or () if "=" in line],
                user=config.get("User") or "",
                working_dir=config.get("WorkingDir") or "",
            )
        except RuntimeServiceError as error:
            found.exit_code = exit_code_of(str(error))
            raise
        found.session, found.pid = session, session.pid
        self._event(found, "exec_start")
        if size := config.get("ConsoleSize"):
            await session.resize(*size)  # rows, columns
        found.client = client
        found.outputs = {
            asyncio.create_task(_show(found, name, descriptor))
            for name, descriptor in (("stdout", session.stdout), ("stderr", session.stderr))
            if descriptor is not None
        }
        found.ending = asyncio.create_task(self._end(found, session))
        return session

    def _event(self, found: Exec, action: str, **more: str) -> None:
        """Its command is in the name of what happened, but for its end."""
        name = action if action == "exec_die" else f"{action}: {' '.join(found.config['Cmd'])}"
        self._engine.containers.event(found.container, name, execID=found.id, **more)

    async def _end(self, found: Exec, session: ExecSession) -> None:
        """Note the exit code once the process and its output have ended."""
        code = await session.wait()
        await asyncio.wait(found.outputs, timeout=DRAIN_SECONDS)
        for task in found.outputs:
            task.cancel()
        await asyncio.gather(*found.outputs, return_exceptions=True)
        found.exit_code, found.pid, found.session = code, 0, None
        with suppress(ValueError):
            found.container.exec_ids.remove(found.id)
        self._event(found, "exec_die", exitCode=str(code))
        session.close()

    async def _join(self, found: Exec, session: ExecSession, connection: Hijacked) -> None:
        """The process and its client, until the process has ended or the client has detached or gone."""
        keys = detach_keys(found.config.get("DetachKeys") or DETACH_KEYS) if found.tty else b""
        typing = asyncio.create_task(_type(session, connection, keys))
        try:
            await asyncio.wait({typing, found.ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            found.client = None
            typing.cancel()
            await asyncio.gather(typing, return_exceptions=True)


def _require_awake(container: Container) -> None:
    """Raises DockerError 409."""
    if container.status == "paused":
        raise DockerError(409, f"Container {container.id} is paused, unpause the container before exec")
    if container.status == "restarting":
        raise DockerError(409, f"Container {container.id} is restarting, wait until the container is running")
    if not container.alive:
        raise DockerError(409, f"Container {container.id} is not running")


async def _show(found: Exec, name: str, descriptor: int) -> None:
    """Pass output on to the client; without one it is read and dropped, so that the process does not get stuck."""
    async with aclosing(chunks(descriptor)) as output:
        async for data in output:
            if found.client is None:
                continue
            try:
                found.client.writer.write(data if found.raw else frame(name, data))
                await found.client.writer.drain()
            except (ConnectionError, RuntimeError):
                found.client = None


async def _type(session: ExecSession, connection: Hijacked, keys: bytes) -> None:
    """Pass the client's bytes on. Ends by Detached or ConnectionError; the end of the client's input is not its end."""
    with suppress(BrokenPipeError):
        async for data in typed(connection.reader, keys):
            if session.stdin is not None:
                await write(session.stdin, data)
    session.close_stdin()
    await asyncio.Event().wait()


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError as error:
        raise DockerError(400, f"invalid JSON: {error}") from error
    return body if isinstance(body, dict) else {}
