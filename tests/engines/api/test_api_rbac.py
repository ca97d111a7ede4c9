"""Who may do what: roles, bindings, impersonation, escalation. After test/e2e/auth and hack's RBAC tests upstream."""

from __future__ import annotations

import json

import kubernetes
import pytest
from kubernetes.client import ApiException

from .conftest import Cluster

RBAC = "rbac.authorization.k8s.io"
READ_PODS = [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "watch"]}]


def rbac(cluster: Cluster) -> kubernetes.client.RbacAuthorizationV1Api:
    return kubernetes.client.RbacAuthorizationV1Api(cluster.client)


def grant(cluster: Cluster, namespace: str, rules: list, subject: dict, name: str = "reader") -> None:
    rbac(cluster).create_namespaced_role(namespace, {"metadata": {"name": name}, "rules": rules})
    ref = {"apiGroup": RBAC, "kind": "Role", "name": name}
    binding = {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]}
    rbac(cluster).create_namespaced_role_binding(namespace, binding)


def account(cluster: Cluster, namespace: str, name: str = "robot") -> tuple[dict, kubernetes.client.ApiClient]:
    """A service account as a subject, and a client with its token."""
    cluster.core.create_namespaced_service_account(namespace, {"metadata": {"name": name}})
    token = cluster.core.create_namespaced_service_account_token(name, namespace, {"spec": {}}).status.token
    configuration = kubernetes.client.Configuration.get_default_copy()
    configuration.host, configuration.ssl_ca_cert = cluster.url, cluster.client.configuration.ssl_ca_cert
    configuration.api_key["authorization"] = f"Bearer {token}"
    return {"kind": "ServiceAccount", "name": name}, kubernetes.client.ApiClient(configuration)


def refusal(error: pytest.ExceptionInfo[ApiException]) -> str:
    assert error.value.status == 403
    return json.loads(error.value.body)["message"]


def test_a_second_token_sees_only_its_namespace(cluster: Cluster, namespace: str):
    subject, client = account(cluster, namespace)
    core, who = kubernetes.client.CoreV1Api(client), f"system:serviceaccount:{namespace}:robot"
    with pytest.raises(ApiException) as error:
        core.list_namespaced_pod(namespace)
    where = f'in API group "" in the namespace "{namespace}"'
    assert refusal(error) == f'pods is forbidden: User "{who}" cannot list resource "pods" {where}'
    grant(cluster, namespace, READ_PODS, subject)
    assert core.list_namespaced_pod(namespace).items == []
    with pytest.raises(ApiException) as error:
        core.list_namespaced_pod("default")
    assert refusal(error).endswith('cannot list resource "pods" in API group "" in the namespace "default"')
    with pytest.raises(ApiException) as error:
        core.list_pod_for_all_namespaces()
    assert refusal(error).endswith('cannot list resource "pods" in API group "" at the cluster scope')
    with pytest.raises(ApiException) as error:
        core.delete_namespaced_pod("p", namespace)
    assert refusal(error) == f'pods "p" is forbidden: User "{who}" cannot delete resource "pods" {where}'
    rbac(cluster).delete_namespaced_role_binding("reader", namespace)
    with pytest.raises(ApiException):
        core.list_namespaced_pod(namespace)


def test_names_subresources_and_paths(cluster: Cluster, namespace: str):
    subject, client = account(cluster, namespace)
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["get", "list"]},
        {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get"]},
    ]
    grant(cluster, namespace, rules, subject)
    core, apps = kubernetes.client.CoreV1Api(client), kubernetes.client.AppsV1Api(client)
    for name in ("mine", "yours"):
        cluster.core.create_namespaced_config_map(namespace, {"metadata": {"name": name}})
    assert core.read_namespaced_config_map("mine", namespace).metadata.name == "mine"
    assert len(core.list_namespaced_config_map(namespace, field_selector="metadata.name=mine").items) == 1
    with pytest.raises(ApiException):
        core.read_namespaced_config_map("yours", namespace)
    with pytest.raises(ApiException):
        core.list_namespaced_config_map(namespace)
    with pytest.raises(ApiException) as error:
        apps.read_namespaced_deployment("d", namespace)
    assert error.value.status == 403
    with pytest.raises(ApiException) as error:
        apps.read_namespaced_deployment_scale("d", namespace)
    assert error.value.status == 404
    token = client.configuration.api_key["authorization"].removeprefix("Bearer ")
    code, _, status = cluster.request("GET", "/metrics", token=token)
    who = f"system:serviceaccount:{namespace}:robot"
    assert (code, status["message"]) == (403, f'forbidden: User "{who}" cannot get path "/metrics"')
    assert cluster.request("GET", "/apis/apps/v1", token=token)[0] == 200
    unknown = cluster.request("GET", "/apis/example.com/v1/things", token=token)
    what = f'User "{who}" cannot list resource "things" in API group "example.com" at the cluster scope'
    assert (unknown[0], unknown[2]["message"]) == (403, f"things.example.com is forbidden: {what}")


def test_nobody_grants_what_they_do_not_hold(cluster: Cluster, namespace: str):
    subject, client = account(cluster, namespace)
    mine = [
        {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["create", "get", "patch"]},
        *READ_PODS,
    ]
    grant(cluster, namespace, mine, subject, "delegate")
    api = kubernetes.client.RbacAuthorizationV1Api(client)
    api.create_namespaced_role(namespace, {"metadata": {"name": "held"}, "rules": READ_PODS})
    more = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]
    with pytest.raises(ApiException) as error:
        api.create_namespaced_role(namespace, {"metadata": {"name": "more"}, "rules": more})
    groups = f'["system:serviceaccounts" "system:serviceaccounts:{namespace}" "system:authenticated"]'
    assert refusal(error) == (
        f'roles.{RBAC} "more" is forbidden: user "system:serviceaccount:{namespace}:robot" (groups={groups}) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"metadata": {"name": "up"}, "roleRef": ref, "subjects": [{**subject, "namespace": namespace}]}
    with pytest.raises(ApiException) as error:
        api.create_namespaced_role_binding(namespace, binding)
    assert "is attempting to grant RBAC permissions not currently held" in refusal(error)
    bind = [{"apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": ["cluster-admin"], "verbs": ["bind"]}]
    grant(cluster, namespace, bind, subject, "binder")
    api.create_namespaced_role_binding(namespace, binding)
    assert kubernetes.client.CoreV1Api(client).list_namespaced_secret(namespace).items == []


def test_a_bindings_role_stays(cluster: Cluster, namespace: str):
    grant(cluster, namespace, READ_PODS, {"kind": "User", "name": "ann"})
    changed = {"roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}}
    with pytest.raises(ApiException) as error:
        rbac(cluster).patch_namespaced_role_binding("reader", namespace, changed)
    assert error.value.status == 422
    assert json.loads(error.value.body)["message"].endswith("cannot change roleRef")


def test_what_the_system_needs_comes_back(cluster: Cluster):
    """At the next start, that is; here the start-up's own step is called again."""
    from kubelab.cluster.apiserver.authorization import reconcile

    api = rbac(cluster)
    api.patch_cluster_role("system:kube-scheduler", [{"op": "remove", "path": "/rules/5"}])
    api.delete_cluster_role_binding("system:discovery")
    extra = [{"op": "add", "path": "/subjects/-", "value": {"kind": "User", "apiGroup": RBAC, "name": "ann"}}]
    api.patch_cluster_role_binding("system:monitoring", extra)
    api.patch_cluster_role("system:kube-dns", {"metadata": {"annotations": {f"{RBAC[:18]}kubernetes.io/x": "y"}}})
    cluster.call(lambda: reconcile.run(cluster.server.registry))
    binding = {"apiGroups": [""], "resources": ["bindings", "pods/binding"], "verbs": ["create"]}
    found = [client_rule(rule) for rule in api.read_cluster_role("system:kube-scheduler").rules]
    assert all(
        any(set(f["resources"]) >= {name} and f["verbs"] == ["create"] for f in found) for name in binding["resources"]
    )
    assert api.read_cluster_role_binding("system:discovery").subjects[0].name == "system:authenticated"
    assert [s.name for s in api.read_cluster_role_binding("system:monitoring").subjects] == ["system:monitoring", "ann"]


def client_rule(rule: kubernetes.client.V1PolicyRule) -> dict:
    return {"resources": rule.resources or [], "verbs": rule.verbs}


def test_impersonation_has_to_be_allowed(cluster: Cluster, namespace: str):
    _, client = account(cluster, namespace)
    token = client.configuration.api_key["authorization"].removeprefix("Bearer ")
    code, _, status = cluster.request("GET", "/api/v1/pods", token=token, Impersonate_User="ann")
    what = 'cannot impersonate resource "users" in API group "" at the cluster scope'
    assert code == 403
    assert status["message"] == f'users "ann" is forbidden: User "system:serviceaccount:{namespace}:robot" {what}'
    own = f"system:serviceaccount:{namespace}:other"
    rules = [{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}]
    grant(cluster, namespace, rules, {"kind": "ServiceAccount", "name": "robot"})
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    code, _, answer = cluster.request("POST", path, review, token=token, Impersonate_User=own)
    assert (code, answer["status"]["userInfo"]["username"]) == (201, own)


@pytest.mark.requires("kubectl")
def test_kubectl_auth(cluster: Cluster, namespace: str):
    run = lambda *words: cluster.kubectl("-n", namespace, *words)  # noqa: E731
    assert "created" in run("create", "role", "r", "--verb=get,list", "--resource=pods,deployments.apps").stdout
    made = run("create", "rolebinding", "rb", "--role=r", "--user=ann", f"--serviceaccount={namespace}:default")
    assert made.stdout == "rolebinding.rbac.authorization.k8s.io/rb created\n", made.stderr
    assert run("auth", "can-i", "list", "pods", "--as=ann").stdout == "yes\n"
    no = run("auth", "can-i", "delete", "pods", "--as=ann")
    assert (no.stdout, no.returncode) == ("no\n", 1)
    listed = run("auth", "can-i", "--list", "--as=ann").stdout
    assert "deployments.apps" in listed and "[get list]" in listed and "selfsubjectreviews.authentication" in listed
    forbidden = run("get", "secrets", "--as=ann")
    assert forbidden.stderr == (
        'Error from server (Forbidden): secrets is forbidden: User "ann" cannot list resource "secrets" in API group ""'
        f' in the namespace "{namespace}"\n'
    )
    shown = run("get", "role,rolebinding", "-o", "wide").stdout
    assert "CREATED AT" in shown and "Role/r" in shown and "ann" in shown
    assert run("describe", "role", "r").stdout.count("[get list]") == 2
    role = json.loads(run("get", "role", "r", "-o", "json").stdout)
    role["rules"].append({"apiGroups": [""], "resources": ["services"], "verbs": ["get"]})
    done = cluster.kubectl("auth", "reconcile", "-f", "-", stdin=json.dumps(role))
    assert "reconciled" in done.stdout, done.stderr
    assert run("auth", "can-i", "get", "services", "--as=ann").stdout == "yes\n"


@pytest.mark.requires("kubectl")
def test_priority_classes(cluster: Cluster, namespace: str):
    made = cluster.kubectl("create", "priorityclass", "high", "--value=1000", "--description=first")
    assert made.stdout == "priorityclass.scheduling.k8s.io/high created\n", made.stderr
    shown = cluster.kubectl("get", "pc").stdout
    assert "system-node-critical" in shown and "PREEMPTIONPOLICY" in shown
    pod = {
        "metadata": {"name": "p"},
        "spec": {"priorityClassName": "high", "containers": [{"name": "c", "image": "i"}]},
    }
    spec = cluster.core.create_namespaced_pod(namespace, pod).spec
    assert (spec.priority, spec.preemption_policy) == (1000, "PreemptLowerPriority")
    pod["metadata"]["name"], pod["spec"]["priorityClassName"] = "q", "none"
    with pytest.raises(ApiException) as error:
        cluster.core.create_namespaced_pod(namespace, pod)
    assert refusal(error) == 'pods "q" is forbidden: no PriorityClass with name none was found'
    cluster.kubectl("delete", "pc", "high")
