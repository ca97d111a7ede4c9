"""`python -m kubelab.supervisor --profile NAME`: the guard, and as its child the supervisor.

It writes one JSON line to `$KUBELAB_READY_FD` when the engines are ready (`{"ok": true, …status}`) or cannot be started
(`{"ok": false, "error": …}`), and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from typing import Any

from kubelab.component import die_with_parent
from kubelab.home import Home
from kubelab.settings.profiles import DEFAULT, PROFILES

from . import guard, pids


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m kubelab.supervisor")
    parser.add_argument("--profile", choices=list(PROFILES), default=DEFAULT)
    profile = parser.parse_args().profile
    home = Home.from_environment().ensure()
    ready = os.environ.pop("KUBELAB_READY_FD", None)
    guard.become_subreaper()
    pids.write(home.run / "guard.pid", os.getpid())
    os.environ["KUBELAB_PARENT"] = str(os.getpid())
    supervisor = os.fork()
    if supervisor == 0:
        die_with_parent()
        _supervise(home, profile, ready)
        return
    if ready is not None:
        os.close(int(ready))
    sys.exit(guard.watch(supervisor, home))


def _supervise(home: Home, profile: str, ready: str | None) -> None:
    import asyncio
    import logging

    from .supervisor import STARTING, log

    keeper = int(os.environ["KUBELAB_PARENT"])
    pids.write(home.run / "supervisor.pid", os.getpid())
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname).1s %(message)s")
    log.info("%s with profile %s", STARTING, profile)
    try:
        asyncio.run(_run(home, profile, ready))
    except Exception:
        log.exception("the supervisor failed")
        sys.exit(1)
    finally:
        if os.getppid() != keeper:  # the guard was killed, and with it went who would tidy up after us
            guard.sweep(home)


async def _run(home: Home, profile: str, ready: str | None) -> None:
    import asyncio

    from .child import StartError
    from .control import Control
    from .supervisor import Supervisor, log

    supervisor, stop = Supervisor(home, profile), asyncio.Event()
    loop = asyncio.get_running_loop()
    starting = asyncio.create_task(supervisor.start())
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, lambda: (stop.set(), starting.cancel()))
    control = Control(supervisor)
    try:
        await starting
        await control.start()
        _tell(ready, {"ok": True, **supervisor.status()})
        await stop.wait()
    except StartError as error:
        log.error("not started: %s", error)
        _tell(ready, {"ok": False, "error": str(error)})
    except asyncio.CancelledError:
        _tell(ready, {"ok": False, "error": "stopped while starting"})
    finally:
        await control.close()
        await supervisor.stop()


def _tell(ready: str | None, answer: dict[str, Any]) -> None:
    """To who started us, if they still listen."""
    if ready is not None:
        try:
            os.write(int(ready), json.dumps(answer).encode() + b"\n")
            os.close(int(ready))
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
