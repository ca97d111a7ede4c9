"""Reading a kubeconfig: what is honoured, and what is refused with what to do about it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubelab.cluster.kubeconfig import KubeconfigError, read


def write(path: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **top: Any) -> Path:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {"token": "secret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "current-context": "x",
        **top,
    }
    file = path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


def test_the_current_context_is_resolved(tmp_path: Path):
    ca = base64.b64encode(b"PEM").decode()
    config = read(write(tmp_path, cluster={"certificate-authority-data": ca}))
    assert (config.server, config.token, config.ca_pem, config.namespace) == (
        "https://127.0.0.1:6443",
        "secret",
        "PEM",
        "shop",
    )


def test_files_are_relative_to_the_kubeconfig(tmp_path: Path):
    (tmp_path / "ca.crt").write_text("PEM")
    (tmp_path / "token").write_text("from a file\n")
    config = read(write(tmp_path, cluster={"certificate-authority": "ca.crt"}, user={"tokenFile": "token"}))
    assert (config.ca_pem, config.token) == ("PEM", "from a file")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"current-context": "y"}, 'context "y" does not exist'),
        ({"clusters": []}, 'cluster "c" does not exist'),
        ({"user": {"exec": {"command": "aws"}}}, "user uses exec, which is not supported here; use token, tokenFile"),
        ({"cluster": {"proxy-url": "http://x"}}, "cluster uses proxy-url"),
        ({"cluster": {"server": ""}}, 'cluster "c" has no server'),
        (
            {"cluster": {"certificate-authority-data": "%%%"}},
            "certificate-authority-data is not a base64-encoded PEM file",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path: Path, parts: dict[str, Any], said: str):
    with pytest.raises(KubeconfigError, match=said.replace("(", r"\(")):
        read(write(tmp_path, **parts))


def test_an_absent_file_says_what_writes_it(tmp_path: Path):
    with pytest.raises(KubeconfigError, match="kubelab up"):
        read(tmp_path / "none")


@pytest.mark.parametrize("text", ["[", "just words"])
def test_a_file_that_is_none_says_so(tmp_path: Path, text: str):
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(KubeconfigError, match="not a kubeconfig"):
        read(tmp_path / "kubeconfig")
