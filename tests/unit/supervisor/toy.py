"""A component of a few lines for the supervisor's tests: `python -m toy [--fail] [--deaf] NAME`."""

import asyncio
import sys

from kubelab.component import Component, main


async def run(component: Component) -> None:
    if "--fail" in sys.argv:
        sys.exit("toy: told to fail")
    print(f"{sys.argv[-1]} begins", file=sys.stderr, flush=True)
    component.ready(level="namespaces", name=sys.argv[-1])
    if "--deaf" in sys.argv:
        await asyncio.Event().wait()
    await component.stopped()


if __name__ == "__main__":
    main(run)
