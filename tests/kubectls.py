"""The versions of kubectl that tests run: `tools/kubectls.sh` gets them, `KUBELAB_KUBECTLS` names their folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# What the matrix of commands and the golden recordings begin with.
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "kubelab/shop:1", ports: [{containerPort: 8080}]}
"""

VERSIONS = ("1.20", "1.32", "1.33")


def program(version: str) -> str:
    """The path of that kubectl; skips the test where it is not there (which .ci/run does not allow, see conftest)."""
    name = f"kubectl-{version}"
    found = shutil.which(name, path=folder()) if folder() else None
    if found is None:
        pytest.skip(f"{name} is not on PATH (tools/kubectls.sh gets it, KUBELAB_KUBECTLS names its folder)")
    return found


def folder() -> str:
    return os.environ.get("KUBELAB_KUBECTLS", "")


def here() -> dict[str, Path]:
    """Version → program, of those that are there."""
    found = {version: Path(folder()) / f"kubectl-{version}" for version in VERSIONS} if folder() else {}
    return {version: path for version, path in found.items() if path.exists()}
