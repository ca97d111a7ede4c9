"""What a path asks for. Cases as in apiserver/pkg/endpoints/request/requestinfo_test.go."""

from __future__ import annotations

import pytest

from kubelab.cluster.apiserver.requestinfo import RequestInfo, parse
from kubelab.cluster.resources import DEPLOYMENTS, NAMESPACES, NODES, PODS, SERVICES


@pytest.mark.parametrize(
    ("method", "path", "info"),
    [
        ("GET", "/api/v1/namespaces", RequestInfo("list", NAMESPACES)),
        ("GET", "/api/v1/namespaces/a", RequestInfo("get", NAMESPACES, "", "a")),
        ("PUT", "/api/v1/namespaces/a/finalize", RequestInfo("update", NAMESPACES, "", "a", "finalize")),
        ("GET", "/api/v1/namespaces/a/pods", RequestInfo("list", PODS, "a")),
        ("GET", "/api/v1/pods", RequestInfo("list", PODS)),
        ("DELETE", "/api/v1/namespaces/a/pods", RequestInfo("deletecollection", PODS, "a")),
        ("DELETE", "/api/v1/namespaces/a/pods/p", RequestInfo("delete", PODS, "a", "p")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            RequestInfo("patch", DEPLOYMENTS, "a", "d", "scale"),
        ),
        ("GET", "/api/v1/nodes/n/status", RequestInfo("get", NODES, "", "n", "status")),
        (
            "GET",
            "/api/v1/namespaces/a/services/http%3As%3A80/proxy/x%2Fy/z",
            RequestInfo("get", SERVICES, "a", "http:s:80", "proxy", "x%2Fy/z"),
        ),
        ("GET", "/apis/apps/v1/statefulsets", None),
        ("GET", "/api/v1/namespaces/a/nodes", None),
        ("GET", "/api/v1/pods/p", None),
        ("GET", "/version", None),
        ("GET", "/", None),
    ],
)
def test_paths(method: str, path: str, info: RequestInfo | None):
    assert parse(method, path) == info
