"""The key pair that signs the tokens of service accounts, and the two documents by which others can check them.

Upstream: pkg/serviceaccount/{jwt,openidmetadata}.go and pkg/routes/openidmetadata.go. A token is a JSON Web Token (RFC
7519) signed with RS256; who holds the JSON Web Key Set (RFC 7517) knows that it was made here without asking here.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

if TYPE_CHECKING:  # 50 ms and 10 MB: loaded for the first token
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

Object = dict[str, Any]
CONFIGURATION, KEY_SET = "/.well-known/openid-configuration", "/openid/v1/jwks"
PATHS = (CONFIGURATION, KEY_SET)
ALGORITHM = "RS256"
CACHED = {"Cache-Control": "public, max-age=3600"}


class SigningKey:
    """An RSA key pair from a PEM file; without a file one that ends with the process."""

    def __init__(self, path: str = "") -> None:
        self._private = _load(Path(path)) if path else _generate()
        self._public = self._private.public_key()
        self.id = _id_of(self._private)

    def sign(self, claims: Object) -> str:
        """The claims as a token. Its header names the algorithm and the key, as upstream's does, and no type."""
        import jwt

        return jwt.encode(claims, self._private, ALGORITHM, headers={"kid": self.id, "typ": None})

    def claims(self, token: str) -> Object | None:
        """What a token claims, where it is one and was signed here. Its times and audience are not looked at."""
        import jwt

        unchecked = {"verify_signature": True} | dict.fromkeys(
            ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti"), False
        )
        try:
            return jwt.decode(token, self._public, [ALGORITHM], options=unchecked)
        except jwt.InvalidTokenError:
            return None

    def key_set(self) -> Object:
        """The JSON Web Key Set: the public half."""
        from jwt.algorithms import RSAAlgorithm

        numbers = RSAAlgorithm.to_jwk(self._public, as_dict=True)
        kept = {name: numbers[name] for name in ("n", "e")}
        return {"keys": [{"use": "sig", "kty": "RSA", "kid": self.id, "alg": ALGORITHM, **kept}]}


def configuration(issuer: str, host: str) -> Object:
    """The OpenID Provider's metadata that a verifier of tokens needs; `host` is the API server's host:port."""
    return {
        "issuer": issuer,
        "jwks_uri": f"https://{host}{KEY_SET}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    }


def respond(path: str, key: SigningKey, issuer: str, host: str) -> web.Response:
    """The document at one of `PATHS`."""
    if path == KEY_SET:
        body, media_type = key.key_set(), "application/jwk-set+json"
    else:
        body, media_type = configuration(issuer, host), "application/json"
    return web.Response(body=orjson.dumps(body), content_type=media_type, headers=CACHED)


def _load(path: Path) -> RSAPrivateKey:
    """Raises ValueError, naming the file, where there is no RSA key in it."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise ValueError(f"{path}: no private key in PEM: {error}") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{path}: the key that signs tokens has to be an RSA key")
    return key


def _generate() -> RSAPrivateKey:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _id_of(key: RSAPrivateKey) -> str:
    """The `kid`: a digest of the public key, so that it changes with it (keyIDFromPublicKey)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
