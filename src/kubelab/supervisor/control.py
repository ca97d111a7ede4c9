"""The supervisor's socket: one JSON line in, one JSON line out. Mode 0600: only its owner may command it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

from .child import StartError
from .supervisor import Refused, Supervisor

log = logging.getLogger(__name__)


class Control:
    """Serves until `stop` is asked for, which `stopped()` waits for."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self._server: asyncio.Server | None = None
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        path = self.supervisor.home.supervisor_socket
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(path))
        finally:
            os.umask(mask)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.supervisor.home.supervisor_socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            if line:
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            log.info("a client left before its answer")
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            do, name = request["do"], request.get("name", "")
        except (ValueError, KeyError, TypeError, AttributeError):
            return {"ok": False, "error": 'expected one line of JSON with "do", such as {"do": "status"}'}
        if do == "status":
            return {"ok": True, **self.supervisor.status()}
        action = self._actions().get(do)
        if action is None:
            return {"ok": False, "error": f"unknown request {do!r}; there are: status, {', '.join(self._actions())}"}
        try:
            async with self._one_at_a_time:
                await action(name)
        except (Refused, StartError) as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:
            log.exception("%s failed", do)
            return {"ok": False, "error": f"{do} {name} failed: {error}"}
        return {"ok": True}

    def _actions(self) -> dict[str, Callable[[str], Awaitable[None]]]:
        return {
            "restart": self.supervisor.restart,
            "node-stop": self.supervisor.stop_node,
            "node-start": self.supervisor.start_node,
            "node-cut": self.supervisor.cut_node,
            "node-heal": self.supervisor.heal_node,
            "profile": self.supervisor.set_profile,
        }
