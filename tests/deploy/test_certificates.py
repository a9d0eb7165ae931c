"""A lab's certificates say who is who, for strict readers, and let nobody else read a private key."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from deploy.certificates import Algorithm, Authority, Certificates, Credential

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["ecdsa-p256", "ml-dsa-65"])
def certificates(request: pytest.FixtureRequest, tmp_path: Path) -> Certificates:
    algorithm: Algorithm = request.param
    return Authority("metro", NOW, algorithm=algorithm).issue(
        tmp_path / "certificates", ["north", "dc"], ["vpn-north"]
    )


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def all_of(certificates: Certificates) -> dict[str, Credential]:
    return {
        "north": certificates.kme("north"),
        "dc": certificates.kme("dc"),
        "vpn-north": certificates.sae("vpn-north"),
    }


def test_names_stand_where_they_count(certificates: Certificates) -> None:
    names = {
        who: [
            str(name.value)
            for name in read(files.certificate)
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value
        ]
        for who, files in all_of(certificates).items()
    }
    assert names == {
        "north": ["localhost", "127.0.0.1", "urn:bellwire:metro:kme:north"],
        "dc": ["localhost", "127.0.0.1", "urn:bellwire:metro:kme:dc"],
        "vpn-north": ["urn:bellwire:metro:sae:vpn-north"],
    }


def test_a_kme_serves_and_an_sae_calls(certificates: Certificates) -> None:
    purposes = {
        who: list(read(files.certificate).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        for who, files in all_of(certificates).items()
    }
    server, client = [ExtendedKeyUsageOID.SERVER_AUTH], [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert purposes == {"north": server, "dc": server, "vpn-north": client}


def test_each_is_issued_by_the_authority_of_the_lab_and_fits_its_key(certificates: Certificates) -> None:
    authority = read(certificates.authority)
    for files in all_of(certificates).values():
        certificate = read(files.certificate)
        certificate.verify_directly_issued_by(authority)
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        assert key.public_key() == certificate.public_key()


def test_each_has_the_key_identifiers_and_usages_that_strict_readers_ask_for(
    certificates: Certificates,
) -> None:
    authority = read(certificates.authority)
    own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    usage = authority.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    for files in all_of(certificates).values():
        extensions = read(files.certificate).extensions
        issuer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert issuer.key_identifier == own
        subject = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        assert subject != own
        assert extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_verifier_of_another_library_accepts_each_for_its_purpose(tmp_path: Path) -> None:
    """Rust's, by way of ``cryptography``, which is stricter than OpenSSL."""
    certificates = Authority("metro", NOW).issue(tmp_path, ["north"], ["vpn-north"])
    builder = PolicyBuilder().store(Store([read(certificates.authority)])).time(NOW + timedelta(days=1))
    server = builder.build_server_verifier(x509.DNSName("localhost"))
    server.verify(read(certificates.kme("north").certificate), [])
    client = builder.build_client_verifier()
    client.verify(read(certificates.sae("vpn-north").certificate), [])


def test_validity_is_bounded(certificates: Certificates) -> None:
    for file in (certificates.authority, *(files.certificate for files in all_of(certificates).values())):
        certificate = read(file)
        assert NOW - timedelta(minutes=5) == certificate.not_valid_before_utc
        assert NOW + timedelta(days=30) == certificate.not_valid_after_utc


def test_private_keys_are_for_their_owner_alone_and_the_authority_keeps_none(
    certificates: Certificates,
) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in certificates.path.iterdir()}
    assert modes == {
        "ca.pem": 0o644,
        "kme-north.pem": 0o644,
        "kme-north.key": 0o600,
        "kme-dc.pem": 0o644,
        "kme-dc.key": 0o600,
        "sae-vpn-north.pem": 0o644,
        "sae-vpn-north.key": 0o600,
    }
    assert stat.S_IMODE(certificates.path.stat().st_mode) == 0o700


def test_issuing_again_replaces_everything(tmp_path: Path) -> None:
    first = Authority("metro", NOW).issue(tmp_path, ["north"], [])
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    Authority("metro", NOW).issue(tmp_path, ["north"], [])
    after = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before)
    assert first.authority.name in after


def test_a_name_longer_than_a_common_name_may_be_is_whole_where_it_counts(tmp_path: Path) -> None:
    long = "x" * 63
    certificates = Authority("l" * 63, NOW).issue(tmp_path, [long], [long])
    names = read(certificates.sae(long).certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"urn:bellwire:{'l' * 63}:sae:{long}"
    ]
