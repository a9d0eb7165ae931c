"""The certificates of one lab: an authority of its own, one certificate for each KME, one for each SAE.

Names are uniform resource names in the extension subjectAltName, and nothing but these identifies anybody:

    urn:bellwire:<lab>:kme:<node>      a key management entity; beside it DNS:localhost and IP:127.0.0.1
    urn:bellwire:<lab>:sae:<SAE ID>    a secure application entity

The lab's own processes are an exception, for a broker knows no more than the common name of a certificate: theirs is
the name of the party, ``alice`` or ``control``. Their certificates and keys are written nowhere by this module.

The profile is that of RFC 5280: key identifiers of authority and subject, key usage and extended key usage, so that
clients that check strictly (OpenSSL's ``X509_V_FLAG_X509_STRICT``, rustls) accept them. The authority's private key is
never written: it is forgotten with the process that made it, of an exported lab when all are issued.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from deploy.whole_files import write_whole
from nodes.runtime.kme_config import sae_name
from shared_state.tls import TlsIdentity

Algorithm: TypeAlias = Literal["ecdsa-p256", "ml-dsa-65"]
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | mldsa.MLDSA65PrivateKey

LIFETIME: Final = timedelta(days=30)
_CLOCK_SKEW: Final = timedelta(minutes=5)
_LOCAL: Final = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Credential:
    """Where a certificate and its private key are, both in PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """The directory with the certificates of one lab."""

    path: Path

    @property
    def authority(self) -> Path:
        """Return where the authority's own certificate is."""
        return self.path / "ca.pem"

    def kme(self, node: str) -> Credential:
        """Return where the credential of a node's KME is."""
        return Credential(self.path / f"kme-{node}.pem", self.path / f"kme-{node}.key")

    def sae(self, sae: str) -> Credential:
        """Return where an SAE's credential is."""
        return Credential(self.path / f"sae-{sae}.pem", self.path / f"sae-{sae}.key")


def kme_name(lab: str, node: str) -> str:
    """Return the uniform resource name of a node's KME."""
    return f"urn:bellwire:{lab}:kme:{node}"


class Authority:
    """Signs the certificates of one lab, for as long as it is in memory.

    They are valid from ``now`` for ``lifetime``; ``valid`` says from when to when that is.
    """

    def __init__(
        self, lab: str, now: datetime, lifetime: timedelta = LIFETIME, algorithm: Algorithm = "ecdsa-p256"
    ) -> None:
        self._lab = lab
        self.valid = (now - _CLOCK_SKEW, now + lifetime)
        self._algorithm = algorithm
        self._key = _generate(algorithm)
        self._name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"Bellwire lab {lab}")])
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = (
            self._begin(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(issues=True), critical=True)
        )
        self.certificate = self._sign(builder)

    def issue(
        self, directory: Path, kmes: Iterable[str], saes: Iterable[str], hosts: Sequence[str] = ()
    ) -> Certificates:
        """Issue certificates for the KMEs of some nodes, which are found at ``hosts``, too, and for some SAEs.

        Each file appears complete or not at all, private keys with mode 0600. What is there is replaced. Raise
        ``OSError`` where the directory does not allow it.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = Certificates(directory)
        write_whole(files.authority, _pem(self.certificate), mode=0o644)
        for node in kmes:
            local = [x509.DNSName(_LOCAL[0]), x509.IPAddress(ip_address(_LOCAL[1]))]
            names = [*local, *map(_host, hosts), x509.UniformResourceIdentifier(kme_name(self._lab, node))]
            self.certify(files.kme(node), f"KME {node}", names, ExtendedKeyUsageOID.SERVER_AUTH)
        for sae in saes:
            name = x509.UniformResourceIdentifier(sae_name(self._lab, sae))
            self.certify(files.sae(sae), f"SAE {sae}", [name], ExtendedKeyUsageOID.CLIENT_AUTH)
        return files

    def identify(self, party: str, hosts: Sequence[str] = ()) -> TlsIdentity:
        """Make the identity of a process of the lab; a server is found at ``hosts``, names or addresses."""
        names = [_host(host) for host in hosts] or [x509.DNSName(party)]
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] + [ExtendedKeyUsageOID.SERVER_AUTH] * bool(hosts)
        certificate, key = self._certified(party, names, purposes)
        return TlsIdentity(_pem(self.certificate).decode(), certificate.decode(), key.decode())

    def certify(
        self,
        files: Credential,
        subject: str,
        names: Sequence[x509.GeneralName],
        purpose: ObjectIdentifier,
    ) -> None:
        """Make a key and a certificate of ``names`` for it, and write both."""
        certificate, private = self._certified(subject, names, [purpose])
        write_whole(files.key, private, mode=0o600)
        write_whole(files.certificate, certificate, mode=0o644)

    def _certified(
        self, subject: str, names: Sequence[x509.GeneralName], purposes: list[ObjectIdentifier]
    ) -> tuple[bytes, bytes]:
        """Make a key and a certificate for it; return the certificate and the key."""
        key = _generate(self._algorithm)
        name = x509.Name(
            [*self._name, x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])]  # 64: limit of X.520
        )
        builder = (
            self._begin(name, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(issues=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return _pem(self._sign(builder)), private

    def _begin(self, subject: x509.Name, key: PrivateKey) -> x509.CertificateBuilder:
        begin, end = self.valid
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier),
                critical=False,
            )
        )

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self._key, hashes.SHA256() if self._algorithm == "ecdsa-p256" else None)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _generate(algorithm: Algorithm) -> PrivateKey:
    match algorithm:
        case "ecdsa-p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ml-dsa-65":
            return mldsa.MLDSA65PrivateKey.generate()


def _usage(*, issues: bool) -> x509.KeyUsage:
    """Return what a key is for: to sign certificates, or handshakes."""
    return x509.KeyUsage(
        digital_signature=not issues,
        key_cert_sign=issues,
        crl_sign=issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
