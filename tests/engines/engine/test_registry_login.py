"""A registry that asks for a password, on both engines: Debian's docker-registry with an htpasswd file."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from engines.engine.test_build import build
from engines.engine.test_registry import CONFIG, pushed, serving

pytestmark = [pytest.mark.timeout(60), pytest.mark.requires("docker-registry")]
USER, PASSWORD = "student", "open sesame"
HTPASSWD = f"{USER}:$2b$05$tuVNg7Eh92ZmHzbzDlA4JOM5GQWTUxNvPMJD3TTuYtV.HNPJ//hH6\n"  # the password in bcrypt


@pytest.fixture(scope="module")
def locked_registry(tmp_path_factory) -> Iterator[str]:
    """One that asks for a user's name and password, by HTTP's Basic authentication."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "htpasswd").write_text(HTPASSWD)
    asks = f"auth: {{htpasswd: {{realm: course, path: {folder / 'htpasswd'}}}}}\n"
    with serving(folder, CONFIG.format(folder=folder / "data") + asks) as address:
        yield address


def test_a_registry_with_a_password(engine_client, locked_registry):
    name, who = f"{locked_registry}/org/secret", {"username": USER, "password": PASSWORD}
    build(engine_client, "FROM scratch\nCOPY f /f\n", {"f": "locked"}, tag=f"{name}:v1")
    refused = pushed(engine_client, f"{name}:v1")
    assert refused[-1]["error"] == "no basic auth credentials"
    lines = list(engine_client.api.push(f"{name}:v1", stream=True, decode=True, auth_config=who))
    digest = lines[-1]["aux"]["Digest"]
    engine_client.images.remove(f"{name}:v1")
    with pytest.raises(
        docker.errors.APIError,
        match=f'Head "http://{name.replace("/org", "/v2/org", 1)}/manifests/v1": no basic auth credentials',
    ):
        engine_client.images.pull(name, tag="v1")
    with pytest.raises(docker.errors.APIError, match="unauthorized: authentication required"):
        engine_client.images.pull(name, tag="v1", auth_config={"username": USER, "password": "guessed"})
    image = engine_client.images.pull(name, tag="v1", auth_config=who)
    assert image.attrs["RepoDigests"] == [f"{name}@{digest}"]
    assert engine_client.images.get_registry_data(f"{name}:v1", auth_config=who).id == digest


def test_login(engine_client, locked_registry):
    words = f"login attempt to http://{locked_registry}/v2/ failed with status: 401 Unauthorized"
    with pytest.raises(docker.errors.APIError, match=words) as refused:
        engine_client.login(USER, "guessed", registry=locked_registry, reauth=True)
    assert refused.value.status_code in (401, 500)  # 500 up to dockerd 20.10
    assert engine_client.login(USER, PASSWORD, registry=locked_registry, reauth=True)["Status"] == "Login Succeeded"
