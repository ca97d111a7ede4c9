"""`docker cp` and `export`: a container's files as a tar, out and in (moby: daemon/archive.go, daemon/archive_unix.go).

Out is read through the layers and what is mounted over them (containers_files.py). In is written where the container
has it: through its root while it runs, into its writable layer or the volume when it does not. `export` leaves out what
is mounted.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from aiohttp import web

from kubelab.engine import query
from kubelab.engine.containers_files import MountedView, pack, resolve
from kubelab.engine.containers_record import Container
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.hijack import CHUNK
from kubelab.images.unpack import unpack
from kubelab.runtime import syscalls
from kubelab.runtime.api import Level

GO_DIR, GO_SYMLINK = 1 << 31, 1 << 27  # Go's fs.FileMode
STAT_HEADER = "X-Docker-Container-Path-Stat"


def routes(engine: Engine) -> list[web.RouteDef]:
    archive = Archive(engine)
    return [
        web.route("HEAD", "/containers/{name}/archive", archive.get),
        web.route("GET", "/containers/{name}/archive", archive.get),
        web.route("PUT", "/containers/{name}/archive", archive.put),
        web.route("GET", "/containers/{name}/export", archive.export),
    ]


class Archive:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def get(self, request: web.Request) -> web.StreamResponse:
        container, asked = self._asked(request)
        view = await self._view(container, mounts=True)
        path = resolve(view, asked, follow=asked.endswith("/"))
        found = view.find(str(path))
        if found is None:
            raise DockerError(404, f"Could not find the file {asked} in container {container.name}")
        response = web.StreamResponse(headers={"Content-Type": "application/x-tar", STAT_HEADER: describe(path, found)})
        await response.prepare(request)
        if request.method != "HEAD":
            name = "." if asked.endswith("/.") else path.name or "."
            with await asyncio.to_thread(pack, view, path, name) as tar:
                while data := tar.read(CHUNK):
                    await response.write(data)
        return response

    async def export(self, request: web.Request) -> web.StreamResponse:
        """`docker export`: all files, without what is mounted."""
        container = self._engine.containers.find(request.match_info["name"])
        view = await self._view(container)
        with await asyncio.to_thread(pack, view, PurePosixPath("/"), "") as tar:
            response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
            await response.prepare(request)
            while data := tar.read(CHUNK):
                await response.write(data)
        self._engine.events.publish("container", "export", container.id, **container.attributes())
        return response

    async def put(self, request: web.Request) -> web.Response:
        query.refuse(request, "copyUIDGID")
        container, asked = self._asked(request)
        view = await self._view(container, mounts=True)
        path = resolve(view, asked, follow=True)
        found = view.find(str(path))
        if found is None:
            raise DockerError(404, f"Could not find the file {asked} in container {container.name}")
        if not found.is_dir():
            raise DockerError(400, "extraction point is not a directory")
        with tempfile.TemporaryFile() as body, self._writable(container, view, path, found) as target:
            async for data in request.content.iter_any():
                body.write(data)
            body.seek(0)
            await asyncio.to_thread(take_in, body, target)
        return web.Response(status=200)

    def _asked(self, request: web.Request) -> tuple[Container, str]:
        container = self._engine.containers.find(request.match_info["name"])
        path = request.query.get("path", "")
        if not path:
            raise DockerError(400, "bad parameter: path cannot be empty")
        return container, path if path.startswith("/") else f"/{path}"

    async def _view(self, container: Container, *, mounts: bool = False) -> MountedView:
        """Its files; with `mounts` those of volumes and binds, too, which are not its own."""
        await self._engine.runner.prepare(container)
        if (await self._engine.runtime.version())["level"] == Level.PROCESS:
            root = self._engine.runtime.root(container.runtime_id)
            if not root.exists():
                raise DockerError(409, f"container {container.id} has no files yet: start it once")
            return MountedView([root], {})  # there, a mount is a link
        over = {each.destination: each.folder for each in container.mount_points if each.type != "tmpfs"}
        upper = self._engine.runtime.writable_layer(container.runtime_id)
        layers = [*filter(Path.exists, [upper]), *self._engine.store.lower_dirs(container.image_id)]
        return MountedView(layers, over if mounts else {})

    @contextlib.contextmanager
    def _writable(self, container: Container, view: MountedView, path: PurePosixPath, found: Path) -> Iterator[Path]:
        """The folder that the container sees as `path`, to write into. Raises DockerError 403 for a read-only one."""
        root = self._engine.runtime.root(container.runtime_id)
        where = view.mount_of(path)
        mount = next((each for each in container.mount_points if each.destination == str(where)), None)
        if mount and mount.readonly:
            raise DockerError(403, "mounted volume is marked read-only")
        if not mount and container.host_config.get("ReadonlyRootfs"):
            raise DockerError(403, "container rootfs is marked read-only")
        if root in (found, *found.parents):
            yield found  # level process: the files are where the container has them
        elif container.alive:
            with _inside(Path(f"/proc/{container.pid}/root"), path) as target:
                yield target
        elif mount:
            with _inside(mount.folder, path.relative_to(mount.destination)) as target:
                yield target
        else:
            yield self._in_layer(container, path, found)

    def _in_layer(self, container: Container, path: PurePosixPath, found: Path) -> Path:
        folder = self._engine.runtime.writable_layer(container.runtime_id)
        folder.mkdir(parents=True, exist_ok=True)
        for part in path.parts[1:]:
            folder /= part
            folder.mkdir(exist_ok=True)
        folder.chmod(stat.S_IMODE(found.stat().st_mode))
        return folder


@contextlib.contextmanager
def _inside(base: Path, path: PurePosixPath) -> Iterator[Path]:
    """A folder below `base`, such as a process's root, opened so that no link of the container's leads to a file of the
    host: what is mounted there, or put there meanwhile, may hold links that the layers do not show (CVE-2018-15664)."""
    root = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY
        target = syscalls.openat2(
            root, str(path).lstrip("/") or ".", flags, syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
        )
    except OSError as error:
        raise DockerError(404, f"Could not find the folder {path} in the container: {error}") from None
    finally:
        os.close(root)
    try:
        yield Path(f"/proc/self/fd/{target}")
    finally:
        os.close(target)


def describe(path: PurePosixPath, found: Path) -> str:
    """The header's value: JSON in base64, with Go's file mode."""
    status = found.lstat()
    mode = stat.S_IMODE(status.st_mode) & 0o777
    mode |= GO_DIR if stat.S_ISDIR(status.st_mode) else GO_SYMLINK if stat.S_ISLNK(status.st_mode) else 0
    described = {
        "name": path.name or "/",
        "size": status.st_size,
        "mode": mode,
        "mtime": datetime.fromtimestamp(status.st_mtime, UTC).isoformat().replace("+00:00", "Z"),
        "linkTarget": os.readlink(found) if stat.S_ISLNK(status.st_mode) else "",  # noqa: PTH115 (as it is written)
    }
    return base64.b64encode(json.dumps(described).encode()).decode()


def take_in(body: BinaryIO, target: Path) -> None:
    """Put a tar's files into a folder, none outside it. Raises DockerError 400 for what is no tar, UnsafeArchive."""
    try:
        unpack(body, target, chown=False)
    except (tarfile.TarError, EOFError) as error:
        raise DockerError(400, f"invalid archive: {error}: a plain tar is expected") from error
