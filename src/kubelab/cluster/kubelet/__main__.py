"""`python -m kubelab.cluster.kubelet --name node-1`: one node's agent, kubelet and service proxy."""

from __future__ import annotations

import argparse
from contextlib import AsyncExitStack

from kubelab.clock import RealClock
from kubelab.cluster.client import APIClient
from kubelab.cluster.informer import Informer
from kubelab.cluster.kubelet.config import KubeletConfiguration
from kubelab.cluster.kubelet.kubelet import Kubelet
from kubelab.cluster.kubelet.server import KubeletServer
from kubelab.cluster.proxy.service_proxy import ServiceProxy
from kubelab.cluster.resources import ENDPOINTSLICES, SERVICES
from kubelab.component import Component, main
from kubelab.home import Home
from kubelab.images.store import ImageStore
from kubelab.runtime.client import RuntimeClient


async def run(component: Component, name: str) -> None:
    """Serve until told to stop."""
    home, clock = Home.from_environment().ensure(), RealClock()
    config = KubeletConfiguration.load(home.component_config(name))
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(RuntimeClient(home.runtime_socket))
        kubeconfig = home.component_kubeconfig(name)
        client = await stack.enter_async_context(APIClient.from_kubeconfig(kubeconfig, user_agent=f"kubelet/{name}"))
        services, slices = Informer(client, SERVICES), Informer(client, ENDPOINTSLICES)
        kubelet = Kubelet(config, client, runtime, ImageStore(home.images), services, home.node(name), clock)
        proxy = ServiceProxy(config, runtime, services, slices, kubelet.recorder, clock)
        server = KubeletServer(kubelet)
        endpoint = await server.start()
        stack.push_async_callback(server.stop)
        await services.start()
        await slices.start()
        stack.push_async_callback(services.stop)
        stack.push_async_callback(slices.stop)
        await kubelet.start(endpoint)
        stack.push_async_callback(kubelet.stop)
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        component.ready(name=name, endpoint="{}:{}".format(*endpoint))
        await component.stopped()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m kubelab.cluster.kubelet")
    parser.add_argument(
        "--name", required=True, help="the node's name; its settings are in $KUBELAB_HOME/config/NAME.json"
    )
    arguments = parser.parse_args()
    main(lambda component: run(component, arguments.name))
