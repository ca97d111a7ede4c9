"""Whoever has the API server's public key can tell its tokens from others'. After test/e2e/auth/service_accounts.go,
"ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer"."""

from __future__ import annotations

import jwt
import pytest

from .conftest import Cluster

ISSUER = "https://kubernetes.default.svc.cluster.local"
CONFIGURATION, KEY_SET = "/.well-known/openid-configuration", "/openid/v1/jwks"


@pytest.fixture
def token(cluster: Cluster, namespace: str) -> str:
    made = cluster.core.create_namespaced_service_account_token(
        "default", namespace, {"spec": {"audiences": ["vault"]}}
    )
    return made.status.token


def test_the_documents_are_for_every_service_account(cluster: Cluster, token: str, namespace: str):
    own = cluster.core.create_namespaced_service_account_token("default", namespace, {"spec": {}}).status.token
    code, headers, found = cluster.request("GET", CONFIGURATION, token=own)
    assert (code, headers["Content-Type"], headers["Cache-Control"]) == (
        200,
        "application/json",
        "public, max-age=3600",
    )
    assert found == {
        "issuer": ISSUER,
        "jwks_uri": f"{cluster.url}{KEY_SET}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    code, headers, keys = cluster.request("GET", KEY_SET, token=own)
    assert (code, headers["Content-Type"]) == (200, "application/jwk-set+json")
    assert [set(key) for key in keys["keys"]] == [{"use", "kty", "kid", "alg", "n", "e"}]
    assert cluster.request("GET", KEY_SET, token="")[0] == 403
    assert {CONFIGURATION, KEY_SET} <= set(cluster.request("GET", "/")[2]["paths"])


def test_a_stranger_verifies_a_token(cluster: Cluster, token: str, namespace: str):
    """With PyJWT's client, which reads the key set over HTTPS as any verifier of OpenID Connect does."""
    uri = cluster.request("GET", CONFIGURATION)[2]["jwks_uri"]
    headers = {"Authorization": f"Bearer {cluster.token}"}
    client = jwt.PyJWKClient(uri, headers=headers, ssl_context=cluster.trust)
    key = client.get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, audience="vault", issuer=ISSUER)
    assert claims["sub"] == f"system:serviceaccount:{namespace}:default"
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key, audience="another", issuer=ISSUER)


def test_the_key_signs_nothing_of_a_strangers(cluster: Cluster, token: str):
    """The old attack on JSON Web Tokens: `none`, or HMAC with the public key for its secret."""
    claims = jwt.decode(token, options={"verify_signature": False}) | {"aud": [ISSUER]}
    keys = cluster.request("GET", KEY_SET)[2]["keys"]
    forged = [jwt.encode(claims, None, "none"), jwt.encode(claims, keys[0]["n"], "HS256", {"kid": keys[0]["kid"]})]
    for text in forged:
        assert cluster.request("GET", "/api/v1/namespaces", token=text)[0] == 401
