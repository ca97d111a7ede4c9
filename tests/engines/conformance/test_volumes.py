"""What a container finds in its volumes: upstream's test/e2e/common/storage/*.go and test/e2e/storage/subpath.go.

Upstream's mounttest prints a file's mode, owner and content; LOOK does so here.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any

import pytest

from harness import eventually

from .conftest import CORE, POD, Bench, Object, Refused, python, shell

LOOK = """
import os, stat, sys
for path in sys.argv[1:]:
    print(path, stat.filemode(os.stat(path).st_mode), open(path).read())
"""
NON_ROOT = {"securityContext": {"runAsUser": 1000}}
SIZES = {"limits": {"cpu": "1250m", "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "32Mi"}}


def looks(*paths: str, **fields: Any) -> Object:
    container = python(LOOK, volumeMounts=[{"name": "v", "mountPath": "/etc/v"}], **fields)
    return {**container, "command": [*container["command"], *paths]}


def source(kind: str, projected: bool, name: str, *items: tuple[str, str, int | None], mode: int | None = None, **more):
    """A volume of one config map or secret, plain or projected."""
    field = {"configmap": "name", "secret": "name" if projected else "secretName"}[kind]
    told: Object = {field: name, **more}
    if items:
        told["items"] = [{"key": k, "path": p} | ({} if m is None else {"mode": m}) for k, p, m in items]
    key = {"configmap": "configMap", "secret": "secret"}[kind]
    modes = {} if mode is None else {"defaultMode": mode}
    return {"projected": {"sources": [{key: told}], **modes}} if projected else {key: {**told, **modes}}


def make(bench: Bench, kind: str, name: str, **data: str) -> None:
    if kind == "secret":
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        bench.create(CORE + "secrets", {"metadata": {"name": name}, "data": encoded})
    else:
        bench.create(CORE + "configmaps", {"metadata": {"name": name}, "data": data})


def change(bench: Bench, kind: str, name: str, **data: str) -> None:
    bench.patch(f"{CORE}{kind}s/{name}", {"stringData" if kind == "secret" else "data": data})


BOTH = [("configmap", False), ("configmap", True), ("secret", False), ("secret", True)]
ids = ["configmap", "projected configmap", "secret", "projected secret"]
each_source = pytest.mark.parametrize(("kind", "projected"), BOTH, ids=ids)


def _named(*texts: str) -> list[str]:
    subjects = ("ConfigMap", "Projected configMap", "Secrets", "Projected secret")
    return [f"[sig-storage] {subject} should {text}" for subject in subjects for text in texts]


@pytest.mark.conformance(
    *_named(
        "be consumable from pods in volume",
        "be consumable from pods in volume as non-root",
        "be consumable from pods in volume with defaultMode set [LinuxOnly]",
        "be consumable from pods in volume with mappings",
        "be consumable from pods in volume with mappings as non-root",
        "be consumable from pods in volume with mappings and Item mode set [LinuxOnly]",
    )
)
@each_source
@pytest.mark.parametrize(
    ("items", "mode", "spec", "path", "shown"),
    [
        ((), None, {}, "/etc/v/data-1", "-rw-r--r--"),
        ((), None, NON_ROOT, "/etc/v/data-1", "-rw-r--r--"),
        ((), 0o400, {}, "/etc/v/data-1", "-r--------"),
        ((("data-2", "path/to/data-2", None),), None, {}, "/etc/v/path/to/data-2", "-rw-r--r--"),
        ((("data-2", "path/to/data-2", None),), None, NON_ROOT, "/etc/v/path/to/data-2", "-rw-r--r--"),
        ((("data-2", "path/to/data-2", 0o400),), None, {}, "/etc/v/path/to/data-2", "-r--------"),
    ],
    ids=["plain", "non-root", "defaultMode", "mappings", "mappings as non-root", "item mode"],
)
def test_consumable(
    bench: Bench, kind: str, projected: bool, items: tuple, mode: int | None, spec: Object, path: str, shown: str
):
    make(bench, kind, "it", **{"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"})
    volume = {"name": "v", **source(kind, projected, "it", *items, mode=mode)}
    value = "value-2" if items else "value-1"
    assert bench.output("reads", looks(path), volumes=[volume], **spec) == f"{path} {shown} {value}\n"


@pytest.mark.conformance(
    "[sig-storage] Secrets should be consumable from pods in volume as non-root with defaultMode and fsGroup set",
    "[sig-storage] Projected secret should be consumable from pods in volume as non-root with defaultMode and fsGroup "
    "set [LinuxOnly]",
)
@pytest.mark.parametrize("projected", [False, True])
def test_as_non_root_with_default_mode_and_fs_group(bench: Bench, projected: bool):
    make(bench, "secret", "it", **{"data-1": "value-1"})
    volume = {"name": "v", **source("secret", projected, "it", mode=0o440)}
    owned = {"securityContext": {"runAsUser": 1000, "fsGroup": 1001}}
    shown = bench.output("reads", looks("/etc/v/data-1"), volumes=[volume], **owned)
    assert shown == "/etc/v/data-1 -r--r----- value-1\n"


@pytest.mark.conformance(*_named("be consumable in multiple volumes in the same pod"))
@each_source
def test_in_multiple_volumes(bench: Bench, kind: str, projected: bool):
    make(bench, kind, "it", **{"data-1": "value-1"})
    volumes = [{"name": name, **source(kind, projected, "it")} for name in ("one", "two")]
    mounts = [{"name": name, "mountPath": f"/etc/{name}", "readOnly": True} for name in ("one", "two")]
    reads = shell("cat /etc/one/data-1 /etc/two/data-1", volumeMounts=mounts)
    assert bench.output("reads", reads, volumes=volumes) == "value-1value-1"


@pytest.mark.conformance(*_named("optional updates should be reflected in volume", "updates be reflected in volume"))
@each_source
def test_optional_updates(bench: Bench, kind: str, projected: bool):
    make(bench, kind, "delete", data="delete-1")
    make(bench, kind, "update", data="update-1")
    names = ("delete", "update", "create")
    volumes = [{"name": name, **source(kind, projected, name, optional=True)} for name in names]
    mounts = [{"name": name, "mountPath": f"/etc/{name}"} for name in names]
    watches = shell(
        "while true; do for n in delete update create; do cat /etc/$n/data || echo no $n; echo; done;"
        " sleep 0.2; done 2>/dev/null",
        volumeMounts=mounts,
    )
    bench.pod("watches", watches, volumes=volumes)
    bench.ready("watches")
    for told in ("delete-1", "update-1", "no create"):
        bench.logged("watches", told)
    bench.delete(f"{CORE}{kind}s/delete")
    change(bench, kind, "update", data="update-2")
    make(bench, kind, "create", data="create-1")
    told = ("update-2", "create-1", "no delete")
    eventually(lambda: _synced(bench, "watches", told), f"{told} in the log", 100)
    assert bench.get(POD + "watches")["status"]["containerStatuses"][0]["restartCount"] == 0


def _synced(bench: Bench, name: str, told: tuple[str, ...]) -> bool:
    """Whether the pod has seen all of it. Each change of a pod makes the kubelet sync it now, volumes too; without one
    it does so once a minute (syncFrequency)."""
    bench.patch(POD + name, {"metadata": {"annotations": {"now": secrets.token_hex(3)}}})
    log = bench.log(name, tailLines=20)
    return all(text in log for text in told)


@pytest.mark.conformance("[sig-storage] ConfigMap binary data should be reflected in volume")
def test_binary_data(bench: Bench):
    binary = bytes([0xDE, 0xCA, 0xFE, 0xBA, 0xD0, 0xFE, 0xFF])
    both = {"data": {"data-1": "value-1"}, "binaryData": {"dump.bin": base64.b64encode(binary).decode()}}
    bench.create(CORE + "configmaps", {"metadata": {"name": "it"}, **both})
    reads = python(
        "print(open('/etc/v/data-1').read(), open('/etc/v/dump.bin', 'rb').read().hex())",
        volumeMounts=[{"name": "v", "mountPath": "/etc/v"}],
    )
    told = bench.output("reads", reads, volumes=[{"name": "v", "configMap": {"name": "it"}}])
    assert told == "value-1 decafebad0feff\n"


@pytest.mark.conformance(
    "[sig-storage] Secrets should be able to mount in a volume regardless of a different secret existing with same "
    "name in different namespace"
)
def test_same_name_in_another_namespace(bench: Bench):
    other = f"{bench.namespace}-other"
    bench.create("/api/v1/namespaces", {"metadata": {"name": other}})
    bench.create(
        f"/api/v1/namespaces/{other}/secrets", {"metadata": {"name": "it"}, "stringData": {"data-1": "theirs"}}
    )
    make(bench, "secret", "it", **{"data-1": "value-1"})
    volume = {"name": "v", **source("secret", False, "it")}
    shown = bench.output("reads", looks("/etc/v/data-1"), volumes=[volume])
    assert shown == "/etc/v/data-1 -rw-r--r-- value-1\n"
    bench.delete(f"/api/v1/namespaces/{other}")


FIELDS = {
    "podname": {"fieldRef": {"fieldPath": "metadata.name"}},
    "cpu_limit": {"resourceFieldRef": {"containerName": "c", "resource": "limits.cpu"}},
    "cpu_request": {"resourceFieldRef": {"containerName": "c", "resource": "requests.cpu", "divisor": "1m"}},
    "memory_limit": {"resourceFieldRef": {"containerName": "c", "resource": "limits.memory"}},
    "memory_request": {"resourceFieldRef": {"containerName": "c", "resource": "requests.memory"}},
}
downward = pytest.mark.parametrize("projected", [False, True], ids=["downwardAPI", "projected downwardAPI"])


def fields(
    projected: bool, *names: str, mode: int | None = None, item_mode: int | None = None, **more: Object
) -> Object:
    known = {**FIELDS, **more}
    items = [{"path": n, **known[n]} | ({} if item_mode is None else {"mode": item_mode}) for n in names]
    told = {"items": items}
    modes = {} if mode is None else {"defaultMode": mode}
    whole = {"projected": {"sources": [{"downwardAPI": told}], **modes}} if projected else {"downwardAPI": told | modes}
    return {"name": "v", **whole}


def _downward(*texts: str) -> list[str]:
    return [f"[sig-storage] {s} should {t}" for s in ("Downward API volume", "Projected downwardAPI") for t in texts]


@pytest.mark.conformance(
    *_downward(
        "provide podname only",
        "provide container's cpu limit",
        "provide container's cpu request",
        "provide container's memory limit",
        "provide container's memory request",
    )
)
@downward
def test_fields(bench: Bench, projected: bool):
    paths = [f"/etc/v/{name}" for name in FIELDS]
    shown = bench.output("told", looks(*paths, resources=SIZES), volumes=[fields(projected, *FIELDS)])
    values = {"podname": "told", "cpu_limit": "2", "cpu_request": "250"}
    values |= {"memory_limit": str(64 << 20), "memory_request": str(32 << 20)}
    assert shown == "".join(f"/etc/v/{name} -rw-r--r-- {value}\n" for name, value in values.items())


@pytest.mark.conformance(
    *_downward(
        "provide node allocatable (cpu) as default cpu limit if the limit is not set",
        "provide node allocatable (memory) as default memory limit if the limit is not set",
    )
)
@downward
def test_fields_of_the_node_where_there_is_no_limit(bench: Bench, projected: bool):
    volume = fields(projected, "cpu_limit", "memory_limit")
    shown = bench.output("told", looks("/etc/v/cpu_limit", "/etc/v/memory_limit"), volumes=[volume])
    cpu, memory = (int(line.rsplit(" ", 1)[1]) for line in shown.splitlines())
    node = bench.get("/api/v1/nodes/" + bench.get(POD + "told")["spec"]["nodeName"])["status"]["allocatable"]
    assert str(cpu) == node["cpu"] and memory == int(node["memory"].removesuffix("Ki")) << 10


@pytest.mark.conformance(*_downward("set DefaultMode on files [LinuxOnly]", "set mode on item file [LinuxOnly]"))
@downward
@pytest.mark.parametrize("modes", [{"mode": 0o400}, {"item_mode": 0o400}], ids=["defaultMode", "item"])
def test_modes_of_fields(bench: Bench, projected: bool, modes: dict[str, int]):
    shown = bench.output("told", looks("/etc/v/podname"), volumes=[fields(projected, "podname", **modes)])
    assert shown == "/etc/v/podname -r-------- told\n"


@pytest.mark.conformance(*_downward("update labels on modification", "update annotations on modification"))
@downward
@pytest.mark.parametrize("what", ["labels", "annotations"])
def test_fields_change(bench: Bench, projected: bool, what: str):
    volume = fields(projected, what, **{what: {"fieldRef": {"fieldPath": f"metadata.{what}"}}})
    mounts = [{"name": "v", "mountPath": "/etc/v"}]
    shows = shell(f"while sleep 0.2; do cat /etc/v/{what}; echo; done", volumeMounts=mounts)
    bench.pod("told", shows, volumes=[volume], labels={"builder": "bar"}, notes={"builder": "bar"})
    bench.ready("told")
    bench.logged("told", 'builder="bar"')
    bench.patch(POD + "told", {"metadata": {what: {"builder": "foo", "key3": "value3"}}})
    bench.logged("told", 'builder="foo"\nkey3="value3"', 100)


@pytest.mark.conformance(
    "[sig-storage] Projected combined should project all components that make up the projection API"
)
def test_all_sources(bench: Bench):
    make(bench, "configmap", "map", configmap="configmap-value-1")
    make(bench, "secret", "hidden", secret="secret-value-1")
    sources = [{"configMap": {"name": "map"}}, {"secret": {"name": "hidden"}}]
    sources.append({"downwardAPI": {"items": [{"path": "podname", **FIELDS["podname"]}]}})
    reads = looks("/etc/v/configmap", "/etc/v/secret", "/etc/v/podname")
    told = bench.output("all", reads, volumes=[{"name": "v", "projected": {"sources": sources}}])
    assert [line.split(" ")[-1] for line in told.splitlines()] == ["configmap-value-1", "secret-value-1", "all"]


MODES = {"0644": "-rw-r--r--", "0666": "-rw-rw-rw-", "0777": "-rwxrwxrwx"}


@pytest.mark.conformance(
    *(
        f"[sig-storage] EmptyDir volumes should support ({who},{mode},{medium}) [LinuxOnly]"
        for who in ("root", "non-root")
        for mode in MODES
        for medium in ("default", "tmpfs")
    ),
    "[sig-storage] EmptyDir volumes volume on default medium should have the correct mode [LinuxOnly]",
    "[sig-storage] EmptyDir volumes volume on tmpfs should have the correct mode [LinuxOnly]",
)
@pytest.mark.parametrize("medium", ["", "Memory"], ids=["default", "tmpfs"])
@pytest.mark.parametrize("user", [0, 1001], ids=["root", "non-root"])
def test_empty_dir(bench: Bench, medium: str, user: int):
    code = f"""
import os, stat
print(stat.filemode(os.stat("/test-volume").st_mode))
print(next(line.split()[2] for line in open("/proc/self/mounts") if line.split()[1] == "/test-volume"))
os.umask(0)
for mode in {list(MODES)}:
    path = "/test-volume/" + mode
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, int(mode, 8)))
    open(path, "w").write("mount-tester new file")
    found = os.stat(path)
    print(mode, stat.filemode(found.st_mode), found.st_uid, open(path).read())
"""
    writes = python(code, volumeMounts=[{"name": "v", "mountPath": "/test-volume"}])
    volume = {"name": "v", "emptyDir": {"medium": medium}}
    told = bench.output("writes", writes, volumes=[volume], securityContext={"runAsUser": user}).splitlines()
    assert told[0] == "drwxrwxrwx"
    assert (told[1] == "tmpfs") == (medium == "Memory")
    assert told[2:] == [f"{mode} {shown} {user} mount-tester new file" for mode, shown in MODES.items()]


@pytest.mark.conformance("[sig-storage] EmptyDir volumes pod should support shared volumes between containers")
def test_empty_dir_is_shared(bench: Bench):
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/usr/share/volumeshare"}]}
    reads = shell("until cat /usr/share/volumeshare/data.txt 2>/dev/null; do sleep 0.1; done", "main", **mounts)
    writes = shell("echo Hello from the sub-container >/usr/share/volumeshare/data.txt", "sub", **mounts)
    told = bench.output("shares", reads, writes, volumes=[{"name": "v", "emptyDir": {}}])
    assert told == "Hello from the sub-container\n"


@pytest.mark.conformance("[sig-storage] EmptyDir wrapper volumes should not conflict")
def test_secret_and_config_map_beside_each_other(bench: Bench):
    make(bench, "configmap", "it", data="1")
    make(bench, "secret", "it", data="2")
    volumes = [{"name": k, **source(k, False, "it")} for k in ("configmap", "secret")]
    mounts = [{"name": k, "mountPath": f"/etc/{k}"} for k in ("configmap", "secret")]
    reads = shell("cat /etc/configmap/data /etc/secret/data", volumeMounts=mounts)
    assert bench.output("both", reads, volumes=volumes) == "12"


@pytest.mark.conformance(
    "[sig-storage] EmptyDir wrapper volumes should not cause race condition when used for configmaps [Serial]"
)
def test_fifty_config_maps_in_each_of_five_pods(bench: Bench):
    numbers = range(50)
    for number in numbers:
        make(bench, "configmap", f"map-{number}", **{"data-1": "value-1"})
    volumes = [{"name": f"v-{n}", "configMap": {"name": f"map-{n}"}} for n in numbers]
    mounts = [{"name": f"v-{n}", "mountPath": f"/etc/config-{n}"} for n in numbers]
    spec = {"containers": [shell("sleep 1000", volumeMounts=mounts)], "volumes": volumes}
    template = {"metadata": {"labels": {"name": "race"}}, "spec": {**spec, "terminationGracePeriodSeconds": 0}}
    rc = {"replicas": 5, "selector": {"name": "race"}, "template": template}
    bench.create(CORE + "replicationcontrollers", {"metadata": {"name": "race"}, "spec": rc})
    ready = "five replicas are ready"
    path = CORE + "replicationcontrollers/race"
    bench.until(path, lambda found: found["status"].get("readyReplicas") == 5, ready, 60)
    reasons = {event["reason"] for event in bench.get(CORE + "events")["items"]}
    assert not reasons & {"FailedMount", "Failed", "BackOff"}


@pytest.mark.conformance(*_named("be immutable if `immutable` field is set"))
@pytest.mark.parametrize("kind", ["configmap", "secret"])
def test_immutable(bench: Bench, kind: str):
    make(bench, kind, "it", **{"data-1": "value-1"})
    path = f"{CORE}{kind}s/it"
    change(bench, kind, "it", **{"data-2": "value-2"})
    bench.patch(path, {"immutable": True})
    with pytest.raises(Refused) as refused:
        change(bench, kind, "it", **{"data-3": "value-3"})
    assert refused.value.status["reason"] == "Invalid"
    assert "data: Forbidden: field is immutable when `immutable` is set" in refused.value.status["message"]
    with pytest.raises(Refused) as refused:
        bench.patch(path, {"immutable": False})
    assert "immutable: Forbidden: field is immutable when `immutable` is set" in refused.value.status["message"]
    assert bench.patch(path, {"metadata": {"labels": {"label": "changed"}}})["metadata"]["labels"]["label"] == "changed"
    bench.delete(path)
    bench.gone(path)


SUB_PATHS = {
    "configmap": {"configMap": {"name": "map"}},
    "secret": {"secret": {"secretName": "hidden"}},
    "projected": {"projected": {"sources": [{"configMap": {"name": "map"}}]}},
    "downward": {"downwardAPI": {"items": [{"path": "it", **FIELDS["podname"]}]}},
}


@pytest.mark.conformance(
    *(f"[sig-storage] Subpath Atomic writer volumes should support subpaths with {kind} pod" for kind in SUB_PATHS)
)
@pytest.mark.parametrize("kind", SUB_PATHS)
def test_sub_path(bench: Bench, kind: str):
    make(bench, "configmap", "map", it="mount-tester new file")
    make(bench, "secret", "hidden", it="mount-tester new file")
    reads = shell("cat /test-volume", volumeMounts=[{"name": "v", "mountPath": "/test-volume", "subPath": "it"}])
    told = bench.output("reads", reads, volumes=[{"name": "v", **SUB_PATHS[kind]}])
    assert told == ("reads" if kind == "downward" else "mount-tester new file")


@pytest.mark.conformance(
    "[sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod with mountPath of existing "
    "file"
)
def test_sub_path_over_a_file_of_the_image(bench: Bench):
    make(bench, "configmap", "map", it="mount-tester new file")
    mounts = [{"name": "v", "mountPath": "/etc/passwd", "subPath": "it"}]
    told = bench.output(
        "reads", shell("cat /etc/passwd", volumeMounts=mounts), volumes=[{"name": "v", **SUB_PATHS["configmap"]}]
    )
    assert told == "mount-tester new file"
