"""Rules, the node authorizer, and what the roles of a new cluster come to."""

from __future__ import annotations

import pytest

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver.authentication import User
from kubelab.cluster.apiserver.authorization import Attributes, policy, reconcile
from kubelab.cluster.apiserver.authorization.attributes import of_request
from kubelab.cluster.apiserver.authorization.rules import Rule, compact, missing, text
from kubelab.cluster.apiserver.registry import Registry

ANN = User("ann", groups=("system:authenticated",))
NODE = User("system:node:node-1", groups=("system:nodes", "system:authenticated"))


def asked(verb: str, resource: str, name: str = "", group: str = "", subresource: str = "") -> Attributes:
    return Attributes(ANN, verb, group, "v1", resource, subresource, "default", name)


@pytest.mark.parametrize(
    ("rule", "attributes", "allowed"),
    [
        (policy.rule("get", "core", "pods"), asked("get", "pods"), True),
        (policy.rule("get", "core", "pods"), asked("list", "pods"), False),
        (policy.rule("get", "core", "pods"), asked("get", "pods", subresource="log"), False),
        (policy.rule("get", "core", "pods/log"), asked("get", "pods", subresource="log"), True),
        (policy.rule("get", "*", "*/scale"), asked("get", "deployments", group="apps", subresource="scale"), True),
        (policy.rule("get", "apps", "pods"), asked("get", "pods"), False),
        (policy.rule("*", "*", "*"), asked("delete", "pods", subresource="x"), True),
        (policy.rule("get", "core", "secrets", "a"), asked("get", "secrets", "a"), True),
        (policy.rule("get", "core", "secrets", "a"), asked("get", "secrets"), False),
        (policy.urls("/healthz/*"), Attributes(ANN, "get", path="/healthz/ping"), True),
        (policy.urls("/healthz"), Attributes(ANN, "get", path="/healthz/ping"), False),
        (policy.rule("*", "*", "*"), Attributes(ANN, "get", path="/healthz"), False),
    ],
)
def test_what_a_rule_allows(rule: dict, attributes: Attributes, allowed: bool):
    assert Rule.of(rule).allows(attributes) is allowed


def test_what_is_missing_is_put_together_again():
    held = [policy.rule("get list", "core", "pods"), policy.rule("*", "apps", "*")]
    granted = [policy.rule("get list watch", "core apps", "pods"), policy.rule("get", "core", "secrets", "a b")]
    lacking = compact(missing(held, granted))
    assert [text(rule) for rule in lacking] == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["watch"]}',
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get"]}',
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}',
    ]


@pytest.mark.parametrize(
    ("method", "url", "words"),
    [
        ("GET", "/api/v1/pods", 'list resource "pods" in API group "" at the cluster scope'),
        ("GET", "/api/v1/namespaces/a", 'get resource "namespaces" in API group "" in the namespace "a"'),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/a/deployments",
            'deletecollection resource "deployments" in API group "apps"',
        ),
        (
            "POST",
            "/api/v1/namespaces/a/pods/p/exec",
            'create resource "pods/exec" in API group "" in the namespace "a"',
        ),
        ("GET", "/apis/apps/v1", 'get path "/apis/apps/v1"'),
        ("POST", "/metrics", 'post path "/metrics"'),
    ],
)
def test_a_request_in_words(method: str, url: str, words: str):
    assert str(of_request(ANN, method, url, {})).startswith(f'User "ann" cannot {words}')


def test_a_watch_of_one_object_has_its_name():
    found = of_request(ANN, "GET", "/api/v1/pods", {"watch": "1", "fieldSelector": "metadata.name=p"})
    assert (found.verb, found.name) == ("watch", "p")


def test_a_node_reads_what_its_pods_name_and_no_more(registry: Registry):
    volume = {"name": "v", "configMap": {"name": "mine"}}
    spec = {"nodeName": "node-1", "containers": [{"name": "c", "image": "i"}], "volumes": [volume]}
    registry.create(r.PODS, {"metadata": {"name": "p"}, "spec": spec}, "default")

    def may(verb: str, resource: str, name: str = "", subresource: str = "", selector: str = "") -> bool:
        asked = Attributes(NODE, verb, "", "v1", resource, subresource, "default", name, "", selector)
        return registry.authorizer.authorize(asked)[0]

    assert may("get", "configmaps", "mine") and may("get", "configmaps", "kube-root-ca.crt")
    assert not may("get", "configmaps", "others") and not may("list", "configmaps")
    assert may("create", "serviceaccounts", "default", "token") and not may("create", "serviceaccounts", "x", "token")
    assert may("get", "pods", "p") and may("list", "pods", selector="spec.nodeName=node-1") and not may("list", "pods")
    assert may("get", "nodes", "node-1") and not may("get", "nodes", "node-2")
    registry.remove(r.PODS, registry.record(r.PODS, "p", "default"), registry.get(r.PODS, "p", "default"))
    assert not may("get", "configmaps", "mine")


def test_a_second_start_changes_nothing(registry: Registry):
    before = registry.store.revision
    reconcile.run(registry)
    assert registry.store.revision == before
