"""Who asks, and what a pod is given to ask with: tokens of service accounts, reviews, the volume kube-api-access."""

from __future__ import annotations

import json

import kubernetes
import pytest

from .conftest import Cluster

POD = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "image": "kubelab/shop:1"}]}}
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(autouse=True)
def account(cluster: Cluster, namespace: str) -> None:
    """The account `reader`; where the API server runs alone no controller makes `default`."""
    cluster.core.create_namespaced_service_account(namespace, {"metadata": {"name": "reader"}})


def token_for(cluster: Cluster, namespace: str, **spec: object) -> str:
    made = cluster.core.create_namespaced_service_account_token("reader", namespace, {"spec": spec})
    return made.status.token


def who_has(cluster: Cluster, token: str) -> kubernetes.client.V1TokenReviewStatus:
    api = kubernetes.client.AuthenticationV1Api(cluster.client)
    return api.create_token_review({"spec": {"token": token}}).status


def create_pod(cluster: Cluster, namespace: str, name: str, **spec: object) -> kubernetes.client.V1Pod:
    whole = {**POD, "metadata": {"name": name}, "spec": {**POD["spec"], "serviceAccountName": "reader", **spec}}
    return cluster.core.create_namespaced_pod(namespace, whole)


def test_a_token_is_its_accounts(cluster: Cluster, namespace: str):
    status = who_has(cluster, token_for(cluster, namespace))
    assert (status.authenticated, status.user.username) == (True, f"system:serviceaccount:{namespace}:reader")
    expected = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    assert status.user.groups == expected
    forged = token_for(cluster, namespace)[:-4] + "AAAA"
    assert who_has(cluster, forged).authenticated is None


def test_a_token_for_another_audience_is_not_ours(cluster: Cluster, namespace: str):
    assert who_has(cluster, token_for(cluster, namespace, audiences=["vault"])).authenticated is None


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_a_bound_token_ends_with_its_pod(cluster: Cluster, namespace: str):
    create_pod(cluster, namespace, "p")
    token = token_for(cluster, namespace, boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "p"})
    assert who_has(cluster, token).user.extra["authentication.kubernetes.io/pod-name"] == ["p"]
    cluster.core.delete_namespaced_pod("p", namespace)
    assert who_has(cluster, token).authenticated is None


def test_a_token_lasts_ten_minutes_at_least(cluster: Cluster, namespace: str):
    with pytest.raises(kubernetes.client.ApiException) as refused:
        token_for(cluster, namespace, expirationSeconds=60)
    assert refused.value.status == 422
    message = json.loads(refused.value.body)["message"]
    assert "spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes" in message


def test_every_pod_is_given_access_unless_it_declines(cluster: Cluster, namespace: str):
    spec = create_pod(cluster, namespace, "p").spec
    (volume,) = spec.volumes
    assert volume.name.startswith("kube-api-access-")
    token, certificate, downward = volume.projected.sources
    assert (token.service_account_token.path, token.service_account_token.expiration_seconds) == ("token", 3607)
    assert (certificate.config_map.name, downward.downward_api.items[0].path) == ("kube-root-ca.crt", "namespace")
    (mount,) = spec.containers[0].volume_mounts
    assert (mount.name, mount.mount_path, mount.read_only) == (volume.name, MOUNT, True)
    assert create_pod(cluster, namespace, "without", automountServiceAccountToken=False).spec.volumes is None


def test_a_projected_token_lasts_an_hour_by_default(cluster: Cluster, namespace: str):
    volume = {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    pod = create_pod(cluster, namespace, "p", volumes=[volume], automountServiceAccountToken=False)
    assert pod.spec.volumes[0].projected.sources[0].service_account_token.expiration_seconds == 3600


@pytest.mark.requires("kubectl")
def test_kubectl_asks_who_it_is_and_what_it_may_do(cluster: Cluster, namespace: str):
    assert cluster.kubectl("auth", "can-i", "create", "pods").stdout == "yes\n"
    me = json.loads(cluster.kubectl("auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]
    assert (me["username"], me["groups"]) == ("kubernetes-admin", ["system:masters", "system:authenticated"])
    name = f"system:serviceaccount:{namespace}:reader"
    other = json.loads(cluster.kubectl("auth", "whoami", f"--as={name}", "-o", "json").stdout)["status"]["userInfo"]
    assert other["username"] == name
    made = cluster.kubectl("-n", namespace, "create", "token", "reader", "--duration=20m")
    assert who_has(cluster, made.stdout.strip()).user.username == name
