"""What a program is started with: upstream's test/e2e/common/node/{containers,expansion,configmap,secrets,
downwardapi,pods}.go."""

from __future__ import annotations

import re

import pytest

from .conftest import CORE, IMAGE, POD, Bench, Object, Refused, shell

# containers.go, expansion.go, configmap.go, secrets.go, downwardapi.go: commands and the environment


@pytest.mark.conformance(
    "[sig-node] Containers should be able to override the image's default arguments (container cmd)",
    "[sig-node] Containers should be able to override the image's default command (container entrypoint)",
    "[sig-node] Containers should be able to override the image's default command and arguments",
)
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"args": ["echo", "only", "args"]}, "only args\n"),
        ({"command": ["echo"]}, "\n"),
        ({"command": ["echo", "the"], "args": ["command", "and args"]}, "the command and args\n"),
    ],
    ids=["arguments", "command", "both"],
)
def test_command_and_arguments(bench: Bench, fields: Object, told: str):
    container = {"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", **fields}
    assert bench.output("said", container) == told


@pytest.mark.conformance(
    "[sig-node] Variable Expansion should allow composing env vars into new env vars",
    "[sig-node] Variable Expansion should allow substituting values in a container's command",
    "[sig-node] Variable Expansion should allow substituting values in a container's args",
)
def test_expansion(bench: Bench):
    env = [
        {"name": "FOO", "value": "foo-value"},
        {"name": "BAR", "value": "bar-value"},
        {"name": "FOOBAR", "value": "$(FOO);;$(BAR);;$$(FOO);;$(NOT)"},
    ]
    command = ["sh", "-c", 'echo "$FOOBAR"; echo "$(BAR)"; echo "$0"']
    said = bench.output("said", shell("", command=command, args=["args $(FOO)"], env=env))
    assert said == "foo-value;;bar-value;;$(FOO);;$(NOT)\nbar-value\nargs foo-value\n"


@pytest.mark.conformance(
    "[sig-node] ConfigMap should be consumable via environment variable",
    "[sig-node] ConfigMap should be consumable via the environment",
    "[sig-node] Secrets should be consumable from pods in env vars",
    "[sig-node] Secrets should be consumable via the environment",
)
def test_environment_from_config_maps_and_secrets(bench: Bench):
    bench.create(CORE + "configmaps", {"metadata": {"name": "map"}, "data": {"data_1": "value-1", "not-a-name": "x"}})
    bench.create(CORE + "secrets", {"metadata": {"name": "hidden"}, "stringData": {"data_2": "value-2"}})
    env = [
        {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "data_1"}}},
        {"name": "TWO", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "data_2"}}},
        {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "none", "optional": True}}},
    ]
    sources = [{"configMapRef": {"name": "map"}}, {"prefix": "p_", "configMapRef": {"name": "map"}}]
    sources += [{"secretRef": {"name": "hidden"}}, {"secretRef": {"name": "absent", "optional": True}}]
    said = bench.output("said", shell("env", env=env, envFrom=sources)).splitlines()
    assert {"ONE=value-1", "TWO=value-2", "data_1=value-1", "p_data_1=value-1", "data_2=value-2"} <= set(said)
    assert not any(line.startswith("NONE=") for line in said)


@pytest.mark.conformance(
    "[sig-node] ConfigMap should fail to create ConfigMap with empty key",
    "[sig-node] Secrets should fail to create secret due to empty secret key",
)
@pytest.mark.parametrize("kind", ["configmaps", "secrets"])
def test_an_empty_key_is_refused(bench: Bench, kind: str):
    with pytest.raises(Refused) as refused:
        bench.create(CORE + kind, {"metadata": {"name": "it"}, "data": {"": "dmFsdWUtMQ=="}})
    assert refused.value.status["reason"] == "Invalid"
    assert refused.value.status["details"]["causes"][0]["field"] == "data[]"


@pytest.mark.conformance(
    "[sig-node] Downward API should provide pod name, namespace and IP address as env vars",
    "[sig-node] Downward API should provide host IP as an env var",
    "[sig-node] Downward API should provide pod UID as env vars",
    "[sig-node] Downward API should provide container's limits.cpu/memory and requests.cpu/memory as env vars",
    "[sig-node] Downward API should provide default limits.cpu/memory from node allocatable",
    "[sig-node] Pods should get a host IP",
)
def test_downward_api(bench: Bench):
    paths = {"NAME": "metadata.name", "NAMESPACE": "metadata.namespace", "UID": "metadata.uid"}
    paths |= {"POD_IP": "status.podIP", "HOST_IP": "status.hostIP", "NODE": "spec.nodeName"}
    env = [{"name": n, "valueFrom": {"fieldRef": {"fieldPath": path}}} for n, path in paths.items()]
    for name in ("limits.cpu", "limits.memory", "requests.cpu", "requests.memory"):
        variable = name.upper().replace(".", "_")
        env.append({"name": variable, "valueFrom": {"resourceFieldRef": {"resource": name}}})
        default = {"resource": name, "containerName": "other"}
        env.append({"name": f"OTHER_{variable}", "valueFrom": {"resourceFieldRef": default}})
    sizes = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}
    said = bench.output("said", shell("env", env=env, resources=sizes), shell("true", "other"))
    told = dict(line.split("=", 1) for line in said.splitlines())
    pod = bench.get(POD + "said")
    node = bench.get("/api/v1/nodes/" + pod["spec"]["nodeName"])["status"]["allocatable"]
    expected = {"NAME": "said", "NAMESPACE": bench.namespace, "UID": pod["metadata"]["uid"]}
    expected |= {"HOST_IP": pod["status"]["hostIP"], "NODE": pod["spec"]["nodeName"]}
    expected |= {"LIMITS_CPU": "2", "REQUESTS_CPU": "1", "LIMITS_MEMORY": f"{64 << 20}"}
    expected |= {"REQUESTS_MEMORY": f"{32 << 20}", "OTHER_LIMITS_CPU": node["cpu"], "OTHER_REQUESTS_CPU": "0"}
    expected |= {"OTHER_LIMITS_MEMORY": str(int(node["memory"].removesuffix("Ki")) << 10)}
    assert {name: told.get(name) for name in expected} == expected
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", told["POD_IP"])


@pytest.mark.conformance("[sig-node] Pods should contain environment variables for services")
def test_service_environment(bench: Bench):
    ports = [{"port": 8765, "targetPort": 8080}]
    service = bench.create(
        CORE + "services", {"metadata": {"name": "fooservice"}, "spec": {"ports": ports, "selector": {"app": "x"}}}
    )
    ip = service["spec"]["clusterIP"]
    expected = {
        f"FOOSERVICE_SERVICE_HOST={ip}",
        "FOOSERVICE_SERVICE_PORT=8765",
        f"FOOSERVICE_PORT=tcp://{ip}:8765",
        "FOOSERVICE_PORT_8765_TCP_PORT=8765",
        "FOOSERVICE_PORT_8765_TCP_PROTO=tcp",
        f"FOOSERVICE_PORT_8765_TCP=tcp://{ip}:8765",
        f"FOOSERVICE_PORT_8765_TCP_ADDR={ip}",
    }
    assert expected <= set(bench.output("said", shell("env")).splitlines())


# expansion.go: subPathExpr


SCRATCH = [{"name": "v", "emptyDir": {}}]


@pytest.mark.conformance("[sig-node] Variable Expansion should allow substituting values in a volume subpath")
def test_sub_path_expression(bench: Bench):
    env = [{"name": "POD_NAME", "value": "foo"}]
    mounts = [{"name": "v", "mountPath": "/logscontainer", "subPathExpr": "$(POD_NAME)"}]
    mounts.append({"name": "v", "mountPath": "/testcontainer"})
    script = "touch /logscontainer/here && ls /testcontainer/foo"
    assert bench.output("said", shell(script, env=env, volumeMounts=mounts), volumes=SCRATCH) == "here\n"


@pytest.mark.conformance(
    "[sig-node] Variable Expansion should fail substituting values in a volume subpath with backticks",
    "[sig-node] Variable Expansion should fail substituting values in a volume subpath with absolute path",
)
@pytest.mark.parametrize("value", ["..", "/tmp"])
def test_sub_path_expression_that_leads_away(bench: Bench, value: str):
    mounts = [{"name": "v", "mountPath": "/away", "subPathExpr": "$(POD_NAME)"}]
    env = [{"name": "POD_NAME", "value": value}]
    bench.pod("stays", shell("sleep 1000", env=env, volumeMounts=mounts), volumes=SCRATCH)

    bench.until(POD + "stays", _misconfigured, "waits with CreateContainerConfigError")


def _misconfigured(pod: Object) -> bool:
    found = pod["status"].get("containerStatuses") or [{}]
    return found[0].get("state", {}).get("waiting", {}).get("reason") == "CreateContainerConfigError"


@pytest.mark.conformance(
    "[sig-node] Variable Expansion should verify that a failing subpath expansion can be modified during the lifecycle "
    "of a container [Slow]",
    "[sig-node] Variable Expansion should succeed in writing subpaths in container",
)
def test_sub_path_expression_that_comes_right(bench: Bench):
    env = [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['mysubpath']"}}}]
    mounts = [{"name": "v", "mountPath": "/volume_mount", "subPathExpr": "$(POD_NAME)"}]
    mounts.append({"name": "v", "mountPath": "/whole"})
    container = shell("touch /volume_mount/here; ls /whole/mypath; sleep 1000", env=env, volumeMounts=mounts)
    bench.pod("learns", container, volumes=SCRATCH, notes={"notmysubpath": "mypath"})
    bench.until(
        POD + "learns",
        lambda p: "waiting" in (p["status"].get("containerStatuses") or [{}])[0].get("state", {}),
        "waits",
    )
    bench.patch(POD + "learns", {"metadata": {"annotations": {"mysubpath": "mypath"}}})
    bench.ready("learns")
    bench.logged("learns", "here")
