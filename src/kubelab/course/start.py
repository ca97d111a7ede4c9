"""`course.start("04")`: from a fresh kernel to a lab that is ready, in one line."""

from __future__ import annotations

import atexit
from pathlib import Path

from kubernetes import client
from kubernetes.client.rest import ApiException

from . import api, engines, images, namespace
from .errors import LabError
from .lab import Lab

NEEDS_IMAGES = ("01", "03", "04")
RUNS_CONTAINERS = ("02",)


def start(chapter: str) -> Lab:
    """The lab of a chapter ("00" to "04"), its namespace empty and the engines running. LabError says what to do."""
    found = engines.find()
    if found.embedded and not _answers(found):
        engines.start()
    k8s = found.api_client()
    try:
        version = client.VersionApi(k8s).get_code()
    except Exception as error:
        raise LabError(f"the cluster does not answer ({error}). Next: run `kubelab doctor`.") from error
    lab = Lab(chapter, found, k8s, course_folder())
    _make_ready(lab)
    atexit.register(k8s.close)
    where = "embedded" if found.embedded else f"context {found.context}"
    nodes = ", ".join(lab.nodes.names())
    print(f"Chapter {chapter}: Kubernetes v{version.major}.{version.minor} ({where}), nodes {nodes}")
    if found.embedded and lab.docker_address.real:
        print(f"With a {lab.describe_docker()}")
    print(f"Namespace {lab.namespace} is yours and empty.")
    return lab


def _make_ready(lab: Lab) -> None:
    try:
        lab.nodes.restore()
        namespace.ensure(lab.core, lab.namespace)
        namespace.clear(lab.k8s, lab.namespace)
    except ApiException as error:
        raise LabError(
            f"{lab.namespace} could not be made ready: {error.reason}. Next: run `kubelab doctor`."
        ) from error
    if lab.chapter in NEEDS_IMAGES and (lab.engines.embedded or lab.engines.kind):
        images.ensure(lab.docker, lab.root / "apps")
        lab.deliver(*images.APPS)
    if lab.chapter in RUNS_CONTAINERS:
        images.clear(lab.docker, lab.chapter)


def _answers(found: engines.Engines) -> bool:
    """Whether the embedded API server is there, so that `kubelab up` need not be run."""
    if not found.kubeconfig or not found.kubeconfig.is_file():
        return False
    try:
        return api.request(found.api_client(), "GET", "/readyz", timeout=2).ok
    except (LabError, TimeoutError):
        return False


def course_folder() -> Path:
    """The repository: the nearest folder above the notebook, else above this package, with apps/ and manifests/."""
    here = Path.cwd()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if (folder / "apps").is_dir() and (folder / "manifests").is_dir():
            return folder
    raise LabError(
        "the folders apps/ and manifests/ of the course were not found. Next: open the notebook in its repository."
    )
