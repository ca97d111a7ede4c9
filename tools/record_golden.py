"""`python tools/record_golden.py`: record what real clients send to the API server and must get back.

Every kubectl of `$KUBELAB_KUBECTLS` (tools/kubectls.sh) and the `kubernetes` package run the same scenario against an
API server alone, through a proxy that writes down each exchange. The result is tests/golden/CLIENT.json. Look at its
diff before you commit it: the unit test takes it for the truth.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import exchanges
import kubectls
from exchanges import Exchange
from kubectls import DEPLOYMENT
from kubelab.home import Home

NAMESPACE = "golden"
COMMANDS = f"""
create namespace {NAMESPACE}
create serviceaccount default
create deployment d --image=i --replicas=3 --port=80
create job j --image=i -- echo hi
create configmap m --from-literal=a=b
create secret generic s --from-literal=a=b
create service clusterip c --tcp=80:8080
create service nodeport n --tcp=80
create service externalname e --external-name=example.com
create role reader --verb=get,list --resource=pods
create rolebinding b --role=reader --user=jane
create configmap m
apply -f web.yaml
apply -f web.yaml
apply --server-side --force-conflicts -f web.yaml
apply -f wrong.yaml
get deployments
get deployments -o wide
get deployments -o json
get deployments -o name
get pods,services -l app=web
get configmap m -o yaml
get nonesuch
get pod nonesuch
describe deployment web
scale deployment web --replicas=5
label deployment web tier=front
annotate deployment web note=x
set image deployment/web web=two
set env deployment/web A=1
patch deployment web -p {{"spec":{{"replicas":1}}}}
patch deployment web --type=json -p [{{"op":"replace","path":"/spec/replicas","value":2}}]
rollout pause deployment/web
rollout resume deployment/web
expose deployment web --port=80 --target-port=8080
run p --image=i --restart=Never
get pods
get pods --field-selector=metadata.name=p -o name
describe pod p
auth can-i create pods
replace -f web.yaml
delete configmap m --wait=false
delete pod p --force --grace-period=0 --wait=false
delete deployment web --wait=false
delete services --all --wait=false
create quota q --hard=pods=30
"""
DISCOVERY = ("/openapi", "/version", "/api?", "/apis?", "/swagger")


class Recorder:
    """A proxy in front of the API server that writes down what passes."""

    def __init__(self, url: str, token: str, session: aiohttp.ClientSession) -> None:
        self.url, self.token, self._session = url, token, session
        self.command = ""
        self.found: list[Exchange] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        kept = {key: value for key, value in request.headers.items() if key.title() in ("Accept", "Content-Type")}
        headers = {**kept, "Authorization": f"Bearer {self.token}"}
        target = self.url + request.raw_path
        async with self._session.request(
            request.method, target, data=body, headers=headers, ssl=False, skip_auto_headers=("Content-Type",)
        ) as answer:
            data = await answer.read()
            if not self._discovery(request.raw_path):
                self._note(request, body, answer.status, await answer.json(content_type=None))
            passed = {key: value for key, value in answer.headers.items() if key in ("Content-Type", "Warning", "ETag")}
            return web.Response(status=answer.status, body=data, headers=passed)

    def _discovery(self, path: str) -> bool:
        plain = path.partition("?")[0].strip("/").split("/")
        return (
            path.startswith(DISCOVERY)
            or (plain[0] == "api" and len(plain) < 3)
            or (plain[0] == "apis" and len(plain) < 4)
        )

    def _note(self, request: web.Request, body: bytes, status: int, answer: object) -> None:
        content_type = request.headers.get("Content-Type", "") if body else ""
        text, binary = exchanges.request_body(body, content_type)
        accept = request.headers.get("Accept", "")
        normal = exchanges.normalised(answer)
        self.found.append(
            Exchange(self.command, request.method, request.raw_path, accept, content_type, text, binary, status, normal)
        )


async def record(name: str, drive: Callable[[Recorder, int, Path], Awaitable[None]]) -> None:
    """Run one client's scenario on a new API server."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        home = Home(Path(folder)).ensure()
        async with exchanges.serving(home) as (server, token), aiohttp.ClientSession() as session:
            recorder = Recorder(f"https://127.0.0.1:{server.port}", token, session)
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", recorder.handle)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                await drive(recorder, runner.addresses[0][1], Path(folder))
            finally:
                await runner.cleanup()
            exchanges.save(exchanges.FOLDER / f"{name}.json", recorder.found)
            print(f"{name}: {len(recorder.found)} exchanges")


def kubectl(program: Path) -> Callable[[Recorder, int, Path], Awaitable[None]]:
    async def drive(recorder: Recorder, port: int, folder: Path) -> None:
        (folder / "web.yaml").write_text(DEPLOYMENT)
        (folder / "wrong.yaml").write_text(DEPLOYMENT.replace("containers:", "contaners:"))
        for line in COMMANDS.strip().splitlines():
            recorder.command = line
            argv = line.split(" ") if " -p " in line else shlex.split(line)
            common = [
                "--server",
                f"http://127.0.0.1:{port}",
                "--namespace",
                NAMESPACE,
                "--cache-dir",
                str(folder / "c"),
            ]
            environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
            process = await asyncio.create_subprocess_exec(
                program, *common, *argv, cwd=folder, env=environment, stdout=-3, stderr=-3
            )
            await process.wait()

    return drive


async def python_client(recorder: Recorder, port: int, folder: Path) -> None:
    """The `kubernetes` package: what its typed calls send."""
    await asyncio.to_thread(_python_client, recorder, port)


def _python_client(recorder: Recorder, port: int) -> None:
    import kubernetes.client as k
    import yaml

    api = k.ApiClient(k.Configuration(host=f"http://127.0.0.1:{port}"))
    core, apps = k.CoreV1Api(api), k.AppsV1Api(api)
    web_ = yaml.safe_load(DEPLOYMENT)
    steps: list[tuple[str, Callable[[], object]]] = [
        ("create_namespace", lambda: core.create_namespace({"metadata": {"name": NAMESPACE}})),
        (
            "create_namespaced_service_account",
            lambda: core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "default"}}),
        ),
        ("create_namespaced_deployment", lambda: apps.create_namespaced_deployment(NAMESPACE, web_)),
        ("patch (strategic)", lambda: apps.patch_namespaced_deployment("web", NAMESPACE, {"spec": {"replicas": 3}})),
        (
            "patch (JSON)",
            lambda: apps.patch_namespaced_deployment(
                "web", NAMESPACE, [{"op": "replace", "path": "/spec/replicas", "value": 4}]
            ),
        ),
        ("patch scale", lambda: apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 5}})),
        ("read", lambda: apps.read_namespaced_deployment("web", NAMESPACE)),
        ("list", lambda: apps.list_namespaced_deployment(NAMESPACE, label_selector="app=web", limit=1)),
        (
            "create pod",
            lambda: core.create_namespaced_pod(
                NAMESPACE,
                k.V1Pod(
                    metadata=k.V1ObjectMeta(name="p"), spec=k.V1PodSpec(containers=[k.V1Container(name="c", image="i")])
                ),
            ),
        ),
        ("delete pod", lambda: core.delete_namespaced_pod("p", NAMESPACE)),
        ("delete", lambda: apps.delete_namespaced_deployment("web", NAMESPACE, propagation_policy="Background")),
        ("dry run", lambda: core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "m"}}, dry_run="All")),
    ]
    for name, call in steps:
        recorder.command = name
        call()
    api.close()


async def main() -> None:
    found = kubectls.here()
    if len(found) < len(kubectls.VERSIONS):
        raise SystemExit("set KUBELAB_KUBECTLS to the folder that tools/kubectls.sh has filled")
    for version, program in found.items():
        await record(f"kubectl-{version}", kubectl(program))
    await record("python", python_client)


if __name__ == "__main__":
    asyncio.run(main())
