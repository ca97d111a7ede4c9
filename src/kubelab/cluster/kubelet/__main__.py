"""`python -m kubelab.cluster.kubelet --name node-1`: one node's agent, kubelet and service proxy."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from kubelab.clock import RealClock
from kubelab.cluster.client import APIClient
from kubelab.cluster.dns.resolver import Resolver, nameservers
from kubelab.cluster.dns.server import NameServer
from kubelab.cluster.dns.zone import Zone
from kubelab.cluster.informer import Informer
from kubelab.cluster.kubelet.cable import Cable
from kubelab.cluster.kubelet.config import KubeletConfiguration
from kubelab.cluster.kubelet.kubelet import Kubelet
from kubelab.cluster.kubelet.server import KubeletServer
from kubelab.cluster.proxy.service_proxy import ServiceProxy
from kubelab.cluster.resources import ENDPOINTSLICES, NAMESPACES, SERVICES
from kubelab.component import Component, main
from kubelab.home import Home
from kubelab.images.store import ImageStore
from kubelab.runtime.client import RuntimeClient


async def run(component: Component, name: str) -> None:
    """Serve until told to stop, or until a part of the agent fails: the supervisor then starts it anew."""
    home = Home.from_environment().ensure()
    async with AsyncExitStack() as stack:
        starting = asyncio.ensure_future(start(stack, home, name))
        stopped = asyncio.ensure_future(component.stopped())
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            starting.cancel()
            await asyncio.wait({starting})
            return
        kubelet = starting.result()
        component.ready(name=name, endpoint="{}:{}".format(*kubelet.node_status.endpoint))
        await asyncio.wait({kubelet.died, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if kubelet.died.done():
            kubelet.died.result()


async def start(stack: AsyncExitStack, home: Home, name: str) -> Kubelet:
    """Start the parts in the order in which they need each other; `stack` ends them in the opposite order."""
    config, clock = KubeletConfiguration.load(home.component_config(name)), RealClock()
    runtime = await stack.enter_async_context(RuntimeClient(home.runtime_socket))
    kubeconfig = home.component_kubeconfig(name)
    client = await stack.enter_async_context(APIClient.from_kubeconfig(kubeconfig, user_agent=f"kubelet/{name}"))
    services, slices = Informer(client, SERVICES), Informer(client, ENDPOINTSLICES)
    kubelet = Kubelet(config, client, runtime, ImageStore(home.images), services, home.node(name), clock)
    proxy = ServiceProxy(config, runtime, services, slices, kubelet.pods, kubelet.recorder, clock)
    namespaces = Informer(client, NAMESPACES)
    zone = Zone(config.clusterDomain, config.cluster_dns, services, slices, namespaces)
    resolver = Resolver(zone, nameservers(Path(config.resolvConf)))
    names = NameServer(name, config.cluster_dns, runtime, resolver, clock)
    kubelet.on_new_machine += [proxy.restart, names.restart]
    server = KubeletServer(kubelet)
    for part in (server, services, slices, namespaces, kubelet, proxy, names):
        stack.push_async_callback(part.stop)
    endpoint = await server.start()
    await services.start()
    await slices.start()
    await namespaces.start()
    await kubelet.start(endpoint)
    await proxy.start()
    await namespaces.synced()
    await names.start()
    Cable(client, server, proxy).listen()
    return kubelet


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m kubelab.cluster.kubelet")
    parser.add_argument(
        "--name", required=True, help="the node's name; its settings are in $KUBELAB_HOME/config/NAME.json"
    )
    arguments = parser.parse_args()
    main(lambda component: run(component, arguments.name))
