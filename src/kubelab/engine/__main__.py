"""`python -m kubelab.engine`: the Docker Engine API on `$KUBELAB_HOME/docker.sock`, readable by its owner alone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from aiohttp import web

from kubelab.component import Component, main
from kubelab.engine.app import make_app
from kubelab.engine.builder import running
from kubelab.engine.engine import Engine, Settings
from kubelab.home import Home
from kubelab.images.registry.server import RegistryServer
from kubelab.images.store import ImageStore
from kubelab.runtime.client import RuntimeClient


async def run(component: Component) -> None:
    home = Home.from_environment().ensure()
    async with RuntimeClient(home.runtime_socket) as runtime:
        engine = Engine(home, ImageStore(home.images), runtime, Settings.read(home))
        await engine.start()
        await running.sweep(engine)
        registry = RegistryServer(home.registry, engine.store)
        facts = await _serve_registry(registry, engine.settings.registry_port)
        runner = web.AppRunner(make_app(engine), handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.SockSite(runner, private_socket(home.docker_socket), shutdown_timeout=1).start()
        try:
            component.ready(socket=str(home.docker_socket), **facts)
            await component.stopped()
        finally:
            await runner.cleanup()
            await registry.stop()
            await engine.stop()
            home.docker_socket.unlink(missing_ok=True)


async def _serve_registry(registry: RegistryServer, port: int | None) -> dict[str, str]:
    """The lab's own registry, in this process: it shows the engine's images, and its own would cost another 30 MB."""
    if port is None:
        return {}
    return {"registry": f"localhost:{await registry.start(port)}"}


def private_socket(path: Path) -> socket.socket:
    """A listening unix socket that nobody else can open at any moment: made with mode 0600, not changed to it."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(128)
    return listener


if __name__ == "__main__":
    main(run)
