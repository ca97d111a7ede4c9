"""What the API server checks and rewrites before it passes a connection on."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from kubelab.cluster.apiserver.connect import container_of, status_error
from kubelab.cluster.apiserver.errors import StatusError
from kubelab.cluster.apiserver.proxy import rewrite_location, split_scheme_name_port
from kubelab.cluster.apiserver.streams import BadGateway, end_to_end, parse_head
from kubelab.cluster.resources import PODS

from .conftest import pod


def test_the_container_of_a_request() -> None:
    assert container_of(pod("one", "a"), "") == "a"
    assert container_of(pod("two", "a", "b"), "b") == "b"
    for asked, words in (
        ("", r"a container name must be specified for pod two, choose one of: \[a b\]"),
        ("c", "container c is not valid for pod two"),
    ):
        with pytest.raises(StatusError, match=words) as refused:
            container_of(pod("two", "a", "b"), asked)
        assert refused.value.code == 400


def test_scheme_name_and_port() -> None:
    assert split_scheme_name_port("web", "pod") == ("", "web", "")
    assert split_scheme_name_port("web:80", "pod") == ("", "web", "80")
    assert split_scheme_name_port("http:web:", "pod") == ("http", "web", "")
    for bad in ("", ":80", "ftp:web:80", "a:b:c:d"):
        with pytest.raises(StatusError, match=f'invalid pod request "{bad}"'):
            split_scheme_name_port(bad, "pod")


PREFIX = "/api/v1/namespaces/n/services/web/proxy"


@pytest.mark.parametrize(
    ("location", "rewritten"),
    [
        ("/login?next=1#top", f"{PREFIX}/login?next=1#top"),
        ("http://10.0.0.1:80/login", f"{PREFIX}/login"),
        ("http://api:6443/login", f"{PREFIX}/login"),
        (f"{PREFIX}/there", f"{PREFIX}/there"),
        ("http://elsewhere/login", "http://elsewhere/login"),
        ("relative/path", "relative/path"),
    ],
)
def test_redirects_lead_back_through_the_proxy(location: str, rewritten: str) -> None:
    assert rewrite_location(location, PREFIX, "10.0.0.1:80", "api:6443") == rewritten


def test_a_kubelets_error_becomes_a_status() -> None:
    assert status_error(400, "why", PODS, "p").body["reason"] == "BadRequest"
    assert status_error(404, "why", PODS, "p").body["details"] == {"name": "p", "kind": "pods"}
    assert status_error(500, "why", PODS, "p").body["message"] == "why"


def test_heads_are_read() -> None:
    head = parse_head(b"HTTP/1.1 404 Not Found\r\nA: 1\r\na: 2\r\n\r\n")
    assert (head.status, head.reason, head.headers.getall("A")) == (404, "Not Found", ["1", "2"])
    with pytest.raises(BadGateway, match="malformed HTTP response"):
        parse_head(b"SSH-2.0-x\r\n\r\n")


def test_headers_of_one_connection_are_not_passed_on() -> None:
    given = CIMultiDict({"Connection": "X-Hop, close", "X-Hop": "1", "Keep-Alive": "5", "X-End": "2"})
    assert dict(end_to_end(given)) == {"X-End": "2"}
