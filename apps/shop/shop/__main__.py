"""`python -m shop` runs all features in one process; `python -m shop catalog` runs the catalog alone."""

from __future__ import annotations

import argparse
import os
import signal
import threading

from .features import FEATURES
from .peers import Peers
from .web import Server


def main() -> None:
    parser = argparse.ArgumentParser(prog="shop", description=__doc__)
    parser.add_argument("features", nargs="*", metavar="FEATURE", help=f"{', '.join(FEATURES)}; without one: all")
    chosen = parser.parse_args().features or list(FEATURES)
    if unknown := [name for name in chosen if name not in FEATURES]:
        parser.error(f"no such feature: {', '.join(unknown)}; there are {', '.join(FEATURES)}")

    peers = Peers()
    peers.here.update({name: FEATURES[name](peers) for name in chosen})
    server = Server((os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080"))), peers.here)
    told_to_stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: told_to_stop.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{', '.join(chosen)}: listening on {server.server_address[0]}:{server.server_address[1]}", flush=True)
    told_to_stop.wait()
    server.drain()


if __name__ == "__main__":
    main()
