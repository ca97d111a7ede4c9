"""`docker top`: a container's processes as ps shows them (moby: daemon/top_unix.go).

As dockerd does, `ps` of the host is run with the client's options, and of its lines those of the container's processes
are kept. Where the host has no ps, the columns of `ps -ef` are made from /proc.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from typing import Any

from kubelab.engine.containers_record import Container
from kubelab.engine.errors import DockerError

COLUMNS = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
DEFAULT = "-ef"
_FORBIDDEN = re.compile(r"(?:^|\s)(?:-[a-zA-Z]*[opqtC]?[oO]|--format|-o|o)\s*=?\s*[^\s,]*=")


def require(container: Container) -> None:
    """Raises DockerError 409."""
    if not container.alive:
        raise DockerError(409, f"Container {container.id} is not running")


async def table(processes: list[dict[str, Any]], options: str) -> dict[str, Any]:
    """Titles and lines. Raises DockerError."""
    if not options or options == DEFAULT or not shutil.which("ps"):
        if options not in ("", DEFAULT):
            raise DockerError(400, f"ps_args={options} needs `ps` on this machine, and there is none: leave it out")
        lines = [[str(process.get(column.lower(), "0")) for column in COLUMNS] for process in processes]
        return {"Titles": list(COLUMNS), "Processes": lines}
    if _FORBIDDEN.search(options):
        raise DockerError(400, 'specifying a custom title for PID is not allowed: ps_args must not rename "PID"')
    child = await asyncio.create_subprocess_exec(
        "ps", *options.split(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await child.communicate()
    if child.returncode:
        said = stderr.decode(errors="replace").strip().splitlines()
        raise DockerError(500, f"Error running ps: {said[0] if said else child.returncode}")
    return _select(stdout.decode(errors="replace").splitlines(), {str(each["pid"]) for each in processes})


def _select(lines: list[str], pids: set[str]) -> dict[str, Any]:
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise DockerError(500, "Couldn't find PID field in ps output")
    place = titles.index("PID")
    fields = [line.split(maxsplit=len(titles) - 1) for line in lines[1:]]
    return {"Titles": titles, "Processes": [each for each in fields if len(each) > place and each[place] in pids]}
