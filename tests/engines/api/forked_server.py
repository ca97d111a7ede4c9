"""`python -m engines.api.forked_server HOME [SECONDS]`: an API server to be killed, again and again.

It imports everything once; each line on stdin forks a child that serves from the store in HOME, and the child prints
`PID PORT` once it answers: so a new server is there in a few hundredths of a second, and hundreds of deaths fit in a
minute. With SECONDS it compacts that often.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from kubelab.clock import RealClock
from kubelab.cluster.apiserver.config import Config
from kubelab.cluster.controlplane import api_server
from kubelab.component import die_with_parent
from kubelab.home import Home

KEPT = 20  # revisions that a compaction leaves


async def serve(home: Home, compact_every: float | None) -> None:
    config = Config.load(home.component_config("kube-apiserver"))
    async with api_server(config, home.store, RealClock()) as server:
        print(os.getpid(), server.port, flush=True)
        while compact_every is not None:
            await asyncio.sleep(compact_every)
            store = server.registry.store
            store.compact(store.revision - KEPT)
        await asyncio.Event().wait()


def main() -> None:
    home = Home(Path(sys.argv[1]))
    compact_every = float(sys.argv[2]) if len(sys.argv) > 2 else None
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel collects the children
    for _ in sys.stdin:
        if os.fork() == 0:
            die_with_parent(signal.SIGKILL)
            asyncio.run(serve(home, compact_every))
            os._exit(0)


if __name__ == "__main__":
    main()
