"""The authority and the server certificate: what they hold, who can read them, when they are made anew."""

import ipaddress
import stat

import pytest
from cryptography import x509

from kubelab.cluster.apiserver.signingkey import SigningKey
from kubelab.settings import pki


@pytest.fixture
def folder(tmp_path):
    pki.ensure(tmp_path, ["10.96.0.1"])
    return tmp_path


def server(folder):
    return x509.load_pem_x509_certificate((folder / "apiserver.crt").read_bytes())


def test_the_certificate_holds_every_name_of_the_service(folder):
    names = server(folder).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == list(pki.NAMES)
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("10.96.0.1"),
    ]


def test_the_authority_signed_it(folder):
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    server(folder).verify_directly_issued_by(authority)


def test_only_the_owner_reads_keys(folder):
    for name in ("ca.key", "apiserver.key"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_a_second_start_makes_nothing(folder):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    pki.ensure(folder, ["10.96.0.1"])
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_another_address_gives_a_new_certificate_by_the_same_authority(folder):
    authority, old = (folder / "ca.crt").read_bytes(), server(folder)
    pki.ensure(folder, ["127.9.128.1"])
    assert (folder / "ca.crt").read_bytes() == authority
    assert server(folder).serial_number != old.serial_number
    names = server(folder).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ipaddress.ip_address("127.9.128.1") in names.get_values_for_type(x509.IPAddress)


def test_a_lost_key_gives_a_new_certificate(folder):
    (folder / "apiserver.key").unlink()
    pki.ensure(folder, ["10.96.0.1"])
    assert (folder / "apiserver.key").exists()


def test_the_signing_key_stays_and_what_is_none_is_made_anew(tmp_path):
    path = tmp_path / "sa.key"
    path.write_bytes(b"\x00" * 32)  # the secret of HMAC that older homes have
    pki.ensure_signing_key(tmp_path)
    made = path.read_bytes()
    assert SigningKey(str(path)).id and stat.S_IMODE(path.stat().st_mode) == 0o600
    pki.ensure_signing_key(tmp_path)
    assert path.read_bytes() == made


def test_another_kind_of_key_is_refused_by_name(folder):
    with pytest.raises(ValueError, match=r"ca\.key: the key that signs tokens has to be an RSA key"):
        SigningKey(str(folder / "ca.key"))
    with pytest.raises(ValueError, match=r"apiserver\.san: no private key in PEM"):
        SigningKey(str(folder / "apiserver.san"))
