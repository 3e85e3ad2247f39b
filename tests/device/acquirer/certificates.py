"""A certificate authority for one test: a host certificate for 127.0.0.1 and a client's."""

import datetime as dt
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_END = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)


class Certificates(NamedTuple):
    """Paths of PEM files."""

    ca: Path
    cert: Path
    key: Path


def make(folder: Path) -> Certificates:
    """An authority and one certificate, for host and client alike, in `folder`."""
    authority = ec.generate_private_key(ec.SECP256R1())
    ca = _signed("test authority", authority, "test authority", authority, None)
    key = ec.generate_private_key(ec.SECP256R1())
    cert = _signed("127.0.0.1", key, "test authority", authority, ipaddress.ip_address("127.0.0.1"))
    files = Certificates(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    files.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    files.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files


def _signed(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey,
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject)).issuer_name(_name(issuer)).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(_START).not_valid_after(_END)
        .add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
    )
    if address is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(address)]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
