"""Service accounts' own objects in a namespace, and secrets with their tokens (test/e2e/auth/service_accounts.go)."""

from __future__ import annotations

import base64
from typing import Any

from engines.cluster.lab import Lab, eventually
from kubelab.cluster.client import NotFound
from kubelab.cluster.controllers.servicetoken import NAME, TYPE, UID
from kubelab.cluster.resources import CONFIGMAPS, NAMESPACES, SECRETS, SERVICEACCOUNTS, TOKENREVIEWS

Object = dict[str, Any]


async def find(lab: Lab, resource: Any, name: str, namespace: str) -> Object | None:
    try:
        return await lab.client.get(resource, name, namespace)
    except NotFound:
        return None


async def test_guarantee_kube_root_ca_crt_exists_in_any_namespace(lab: Lab):
    await lab.client.create(NAMESPACES, {"metadata": {"name": "fresh"}})
    found = await eventually(lambda: find(lab, CONFIGMAPS, "kube-root-ca.crt", "fresh"), "the config map")
    await eventually(lambda: find(lab, SERVICEACCOUNTS, "default", "fresh"), "the account")
    await lab.client.delete(CONFIGMAPS, "kube-root-ca.crt", "fresh")
    again = await eventually(lambda: find(lab, CONFIGMAPS, "kube-root-ca.crt", "fresh"), "it comes back")
    await lab.client.update(CONFIGMAPS, {**again, "data": {"ca.crt": "other"}})

    async def restored() -> bool:
        now = await find(lab, CONFIGMAPS, "kube-root-ca.crt", "fresh")
        return now is not None and now["data"] == found["data"]

    await eventually(restored, "what was changed is put right")


async def test_a_secret_of_the_old_kind_gets_a_token_that_ends_with_it(lab: Lab):
    account = {"metadata": {"name": "robot", "namespace": "default"}}
    account = await lab.client.create(SERVICEACCOUNTS, account)
    secret = {"metadata": {"name": "robot-token", "namespace": "default", "annotations": {NAME: "robot"}}, "type": TYPE}
    await lab.client.create(SECRETS, secret)

    async def filled() -> Object | None:
        found = await find(lab, SECRETS, "robot-token", "default")
        return found if found is not None and (found.get("data") or {}).get("token") else None

    found = await eventually(filled, "the token")
    assert found["metadata"]["annotations"][UID] == account["metadata"]["uid"]
    assert base64.b64decode(found["data"]["namespace"]) == b"default"
    assert base64.b64decode(found["data"]["ca.crt"]).startswith(b"-----BEGIN CERTIFICATE-----")
    token = base64.b64decode(found["data"]["token"]).decode()

    async def review() -> Object:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        return (await lab.client.create(TOKENREVIEWS, body))["status"]

    assert (await review())["user"]["username"] == "system:serviceaccount:default:robot"
    await lab.client.delete(SERVICEACCOUNTS, "robot", "default")

    async def gone() -> bool:
        return await find(lab, SECRETS, "robot-token", "default") is None

    await eventually(gone, "the secret goes with its account")
    assert not (await review()).get("authenticated")


async def test_a_secret_for_nobody_is_deleted(lab: Lab):
    secret = {"metadata": {"name": "lost", "namespace": "default", "annotations": {NAME: "nobody"}}, "type": TYPE}
    await lab.client.create(SECRETS, secret)

    async def gone() -> bool:
        return await find(lab, SECRETS, "lost", "default") is None

    await eventually(gone, "the secret deleted")
