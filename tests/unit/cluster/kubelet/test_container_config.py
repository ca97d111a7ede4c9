"""What the runtime is asked to make for a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubelab.cluster.kubelet.container_config import container_config, next_attempt
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.images.store import Image
from kubelab.runtime.api import ContainerConfig

from .builders import make_container, make_pod

IMAGE = {"Entrypoint": ["python3"], "Cmd": ["-m", "shop"], "Env": ["PATH=/bin", "MODE=image"], "WorkingDir": "/srv"}


def make(tmp_path: Path, image: dict | None = None, pod: dict | None = None, **fields: Any) -> ContainerConfig:
    container = {**make_container("app"), "command": None, **fields}
    made = Image("sha256:1", {"config": IMAGE if image is None else image}, 0)
    log = tmp_path / "log" / "0.log"
    env = {"MODE": "pod", "WHO": "me"}
    return container_config(pod or make_pod(container), container, made, env, [], 0, log, tmp_path / "t")


@pytest.mark.parametrize(
    ("fields", "argv"),
    [
        ({}, ("python3", "-m", "shop")),
        ({"args": ["-V"]}, ("python3", "-V")),
        ({"command": ["sh"]}, ("sh",)),
        (
            {"command": ["sh"], "args": ["-c", "echo $(WHO) $$(WHO) $(NOBODY)"]},
            ("sh", "-c", "echo me $(WHO) $(NOBODY)"),
        ),
    ],
)
def test_command_and_args_against_entrypoint_and_cmd(tmp_path: Path, fields: dict, argv: tuple) -> None:
    assert make(tmp_path, **fields).argv == argv


def test_no_command_at_all(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="no command specified"):
        make(tmp_path, image={})


def test_the_images_environment_lies_below_the_pods(tmp_path: Path) -> None:
    assert dict(make(tmp_path).env) == {"PATH": "/bin", "MODE": "pod", "WHO": "me"}


def test_working_dir_and_limits(tmp_path: Path) -> None:
    made = make(tmp_path, resources={"limits": {"memory": "64Mi"}})
    assert (made.working_dir, made.resources.memory_limit) == ("/srv", 64 * 2**20)
    assert make(tmp_path, image={"Cmd": ["x"]}, workingDir="/w").working_dir == "/w"


@pytest.mark.parametrize(
    ("of_pod", "of_container", "of_image", "user"),
    [
        ({}, {}, "", ""),
        ({}, {}, "nobody", "nobody"),
        ({"runAsUser": 1000}, {}, "nobody", "1000"),
        ({"runAsUser": 1000}, {"runAsUser": 2000, "runAsGroup": 3000}, "", "2000:3000"),
        ({"runAsGroup": 3000}, {}, "", "0:3000"),
    ],
)
def test_the_user(tmp_path: Path, of_pod: dict, of_container: dict, of_image: str, user: str) -> None:
    image = {"Cmd": ["x"], "User": of_image}
    assert make(tmp_path, image, make_pod(securityContext=of_pod), securityContext=of_container).user == user


@pytest.mark.parametrize(
    ("of_image", "security", "message"),
    [
        ("", {}, "container has runAsNonRoot and image will run as root"),
        ("nobody", {}, r"image has non-numeric user \(nobody\), cannot verify user is non-root"),
        ("1000", {"runAsUser": 0}, "container's runAsUser breaks non-root policy"),
    ],
)
def test_root_is_refused_where_the_pod_says_so(tmp_path: Path, of_image: str, security: dict, message: str) -> None:
    with pytest.raises(StartError, match=message) as caught:
        make(tmp_path, {"Cmd": ["x"], "User": of_image}, securityContext={"runAsNonRoot": True, **security})
    assert caught.value.reason == "CreateContainerConfigError"


def test_the_restart_count_goes_on_from_the_logs(tmp_path: Path) -> None:
    pod = make_pod()
    assert next_attempt(tmp_path, pod, "app", None) == 0
    folder = tmp_path / "ns_p_uid-1" / "app"
    folder.mkdir(parents=True)
    for attempt in (0, 7, 10):
        (folder / f"{attempt}.log").touch()
    assert next_attempt(tmp_path, pod, "app", None) == 11
