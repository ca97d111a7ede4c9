"""The cluster's certificate authority and the API server's certificate, as `kubeadm init phase certs` makes them.

Upstream: https://kubernetes.io/docs/setup/best-practices/certificates/. Keys are ECDSA P-256 but for
the one that signs tokens; files have mode 0600.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # 50 ms and 10 MB, needed on the first start only
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
VALID = timedelta(days=3650)
BACKDATED = timedelta(hours=1)  # for a clock that was set back a little


def ensure(folder: Path, addresses: Sequence[str]) -> None:
    """Make `ca.crt`, `ca.key`, `apiserver.crt`, `apiserver.key` in `folder`, where they are not there yet.

    `addresses` are the IP addresses that the certificate has to hold besides 127.0.0.1. A server certificate that lacks
    one of them, or ends within a month, is made anew by the same authority, so that kubeconfigs stay valid.
    """
    served = tuple(dict.fromkeys(("127.0.0.1", *addresses)))
    if _covers(folder, served):
        return
    if not (folder / "ca.key").exists():
        _make_authority(folder)
    _make_server_certificate(folder, served)


def ensure_signing_key(folder: Path) -> None:
    """Make `sa.key`, with which the API server signs the tokens of service accounts, where there is none yet.

    An RSA key, unlike the others: every verifier of OpenID Connect knows RS256. What is no PEM file is a secret of the
    time when tokens were signed with HMAC, and is made anew; the kubelets then ask for new tokens.
    """
    path = folder / "sa.key"
    if path.exists() and path.read_bytes().startswith(b"-----BEGIN"):
        return
    from cryptography.hazmat.primitives.asymmetric import rsa

    write_private(path, _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))


def _covers(folder: Path, served: Sequence[str]) -> bool:
    """Whether what is there will do, by the note beside the certificate: `cryptography` need not be loaded."""
    try:
        until, *held = (folder / "apiserver.san").read_text().split()
    except FileNotFoundError:
        return False
    complete = all((folder / name).exists() for name in ("ca.crt", "ca.key", "apiserver.crt", "apiserver.key"))
    fresh = datetime.fromisoformat(until) - datetime.now(UTC) > timedelta(days=30)
    return complete and fresh and set(served) <= set(held)


def _make_authority(folder: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("kubernetes")
    usage = _key_usage(key_cert_sign=True, crl_sign=True)
    builder = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    _write(folder, "ca", _sign(builder, key), key)


def _make_server_certificate(folder: Path, served: Sequence[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    authority_key = load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [x509.DNSName(name) for name in NAMES]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in served]
    builder = (
        _builder(_name("kube-apiserver"), authority.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
    )
    _write(folder, "apiserver", _sign(builder, authority_key), key)  # type: ignore[arg-type]
    (folder / "apiserver.san").write_text(" ".join([(datetime.now(UTC) + VALID).isoformat(), *served]) + "\n")


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALID)
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography.hazmat.primitives import hashes

    return builder.sign(key, hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _key_usage(**granted: bool) -> x509.KeyUsage:
    from cryptography import x509

    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: granted.get(name, False) for name in names})


def _write(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    write_private(folder / f"{name}.key", _pem(key))
    write_private(folder / f"{name}.crt", certificate.public_bytes(Encoding.PEM))


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    beside.replace(path)
