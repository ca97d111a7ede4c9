"""Volumes as folders, and files that change all at once."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from kubelab.cluster.kubelet.atomic_writer import Payload, write_atomically
from kubelab.cluster.kubelet.fieldref import Runtime
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.cluster.kubelet.volume_content import VolumeError
from kubelab.cluster.kubelet.volumes import Volumes

from .builders import make_container, make_pod

FACTS = Runtime("172.31.0.11", "10.244.1.5", {"cpu": "2"})


class Objects:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {
            ("configmap", "c"): {"data": {"a.txt": "A"}, "binaryData": {"b.bin": base64.b64encode(b"\xff").decode()}},
            ("secret", "s"): {"data": {"key": base64.b64encode(b"s3cret").decode()}},
        }

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((kind, name))


@pytest.fixture
def objects() -> Objects:
    return Objects()


async def set_up(tmp_path: Path, objects: Objects, **source: Any) -> Path:
    """Set up a pod with one volume `v`; its folder."""
    volumes = Volumes(tmp_path, objects, tmp_path / "disk")  # type: ignore[arg-type]
    pod = make_pod(volumes=[{"name": "v", **source}])
    await volumes.set_up(pod, FACTS)
    mount = make_container(volumeMounts=[{"name": "v", "mountPath": "/v"}])
    return Path(volumes.mounts(pod, mount, {})[0].host_path)


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith("..")}


async def test_a_config_map(tmp_path: Path, objects: Objects) -> None:
    folder = await set_up(tmp_path, objects, configMap={"name": "c"})
    assert content(folder) == {"a.txt": b"A", "b.bin": b"\xff"}
    assert "kubernetes.io~configmap" in folder.parts


async def test_a_secret_with_a_mode(tmp_path: Path, objects: Objects) -> None:
    folder = await set_up(tmp_path, objects, secret={"secretName": "s", "defaultMode": 0o400})
    assert content(folder) == {"key": b"s3cret"}
    assert (folder / "key").stat().st_mode & 0o777 == 0o400


async def test_items_choose_and_name(tmp_path: Path, objects: Objects) -> None:
    items = [{"key": "a.txt", "path": "deep/name.txt"}]
    folder = await set_up(tmp_path, objects, configMap={"name": "c", "items": items})
    assert (folder / "deep" / "name.txt").read_bytes() == b"A"
    assert sorted(p.name for p in folder.iterdir() if not p.name.startswith("..")) == ["deep"]


async def test_the_downward_api(tmp_path: Path, objects: Objects) -> None:
    items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    folder = await set_up(tmp_path, objects, downwardAPI={"items": items})
    assert content(folder) == {"labels": b'app="shop"'}


async def test_a_projected_volume(tmp_path: Path, objects: Objects) -> None:
    sources = [{"configMap": {"name": "c"}}, {"secret": {"name": "s"}}]
    folder = await set_up(tmp_path, objects, projected={"sources": sources})
    assert sorted(content(folder)) == ["a.txt", "b.bin", "key"]


async def test_an_optional_object_that_is_absent(tmp_path: Path, objects: Objects) -> None:
    assert content(await set_up(tmp_path, objects, configMap={"name": "gone", "optional": True})) == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMap": {"name": "gone"}}, 'configmap "gone" not found'),
        ({"secret": {"secretName": "gone"}}, 'secret "gone" not found'),
        (
            {"configMap": {"name": "c", "items": [{"key": "x", "path": "x"}]}},
            "references non-existent config key: x",
        ),
        ({"nfs": {"path": "/"}}, "no volume plugin matched: nfs"),
        ({"emptyDir": {"medium": "Tape"}}, 'unknown storage medium "Tape"'),
        ({"hostPath": {"path": "/x", "type": "Directory"}}, "hostPath type check failed: /x is not a directory"),
        ({"hostPath": {"path": "/x", "type": "File"}}, "hostPath type check failed: /x is not a file"),
        ({"hostPath": {"path": "/../../etc"}}, "hostPath type check failed: /../../etc leads out of the node's disk"),
    ],
)
async def test_what_cannot_be_set_up(tmp_path: Path, objects: Objects, source: dict, message: str) -> None:
    with pytest.raises(VolumeError, match=f'MountVolume.SetUp failed for volume "v" : {message}'):
        await set_up(tmp_path, objects, **source)


async def test_a_changed_config_map_changes_all_files_at_once(tmp_path: Path, objects: Objects) -> None:
    folder = await set_up(tmp_path, objects, configMap={"name": "c"})
    open_folder = (folder / "..data").resolve()
    objects.objects["configmap", "c"] = {"data": {"new": "N"}}
    assert await set_up(tmp_path, objects, configMap={"name": "c"}) == folder
    assert content(folder) == {"new": b"N"}
    assert not open_folder.exists()


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    files = {"a": Payload(b"1", 0o644)}
    assert write_atomically(tmp_path, files)
    before = (tmp_path / "..data").readlink()
    assert not write_atomically(tmp_path, files)
    assert (tmp_path / "..data").readlink() == before


async def test_sub_paths(tmp_path: Path, objects: Objects) -> None:
    volumes = Volumes(tmp_path, objects, tmp_path / "disk")  # type: ignore[arg-type]
    pod = make_pod(volumes=[{"name": "c", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}}])
    await volumes.set_up(pod, FACTS)
    mounts = [
        {"name": "c", "mountPath": "/file", "subPath": "a.txt"},
        {"name": "e", "mountPath": "/own", "subPathExpr": "$(POD)/x", "readOnly": True},
        {"name": "e", "mountPath": "/rw"},
    ]
    file, own, rw = volumes.mounts(pod, make_container(volumeMounts=mounts), {"POD": "p"})
    assert (file.readonly, own.readonly, rw.readonly) == (True, True, False)
    assert (read(file.host_path), own.host_path.endswith("/e/p/x")) == (b"A", True)


async def test_a_sub_path_must_stay_in_its_volume(tmp_path: Path, objects: Objects) -> None:
    volumes = Volumes(tmp_path, objects, tmp_path / "disk")  # type: ignore[arg-type]
    pod = make_pod(volumes=[{"name": "e", "emptyDir": {}}])
    await volumes.set_up(pod, FACTS)
    (volumes.empty_dir(pod, "e") / "link").symlink_to("/etc")
    for sub, message in (
        ("link", 'failed to prepare subPath for volumeMount "e" of container "app"'),
        ("a/../../..", r"unable to provision SubPath `a/../../..`: must not contain '..'"),
        ("/etc", "error SubPath `/etc` must not be an absolute path"),
    ):
        container = make_container(volumeMounts=[{"name": "e", "mountPath": "/x", "subPath": sub}])
        with pytest.raises(StartError, match=message):
            volumes.mounts(pod, container, {})
    missing = make_container(volumeMounts=[{"name": "e", "mountPath": "/x", "subPathExpr": "$(NAME)"}])
    with pytest.raises(StartError, match='missing value for "NAME"'):
        volumes.mounts(pod, missing, {})


async def test_host_paths_are_on_the_nodes_own_disk(tmp_path: Path, objects: Objects) -> None:
    made = await set_up(tmp_path, objects, hostPath={"path": "/var/data", "type": "DirectoryOrCreate"})
    assert made == tmp_path / "disk/var/data" and made.is_dir()
    file = await set_up(tmp_path, objects, hostPath={"path": "/var/data/f", "type": "FileOrCreate"})
    assert file.is_file()
    (tmp_path / "disk/out").symlink_to("/etc")
    with pytest.raises(VolumeError, match="leads out of the node's disk"):
        await set_up(tmp_path, objects, hostPath={"path": "/out"})


async def test_a_volume_in_memory(tmp_path: Path, objects: Objects) -> None:
    volumes = Volumes(tmp_path, objects, tmp_path / "disk")  # type: ignore[arg-type]
    pod = make_pod(volumes=[{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}])
    await volumes.set_up(pod, FACTS)
    assert volumes.memory(pod) == {str(volumes.empty_dir(pod, "m")): 2**20}
    container = make_container(volumeMounts=[{"name": "m", "mountPath": "/m", "subPath": "a"}])
    assert volumes.mounts(pod, container, {})[0].sub_path == "a"  # the runtime goes there, not we


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")
async def test_fs_group(tmp_path: Path, objects: Objects) -> None:
    volumes = Volumes(tmp_path, objects, tmp_path / "disk")  # type: ignore[arg-type]
    pod = make_pod(
        volumes=[{"name": "e", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}}],
        securityContext={"fsGroup": 4242, "runAsUser": 1000},
    )
    await volumes.set_up(pod, FACTS)
    folder = volumes.empty_dir(pod, "e").stat()
    assert (folder.st_gid, folder.st_mode & 0o7777) == (4242, 0o2777)
    secret = next((tmp_path / "uid-1/volumes/kubernetes.io~secret/s/..data/").resolve().iterdir()).stat()
    assert (secret.st_gid, secret.st_mode & 0o7777) == (4242, 0o440)
