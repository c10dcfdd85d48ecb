"""A certificate for a test's server, the authority that signed it, and one that did not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.servers.home import hand_over


def make_certificates(folder: Path, host: str) -> None:
    """Write authority.pem, stranger.pem, server.pem (for one host name) and server.key."""
    key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    stranger_key = ec.generate_private_key(ec.SECP256R1())
    authority, stranger = _authority("Comporta test", key), _authority("Somebody else", stranger_key)
    server = (
        _unsigned(host, server_key.public_key(), issuer=authority.subject)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    for name, certificate in {"authority": authority, "stranger": stranger, "server": server}.items():
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        hand_over(folder / f"{name}.pem")
    secret = folder / "server.key"
    secret.touch(mode=0o600)
    secret.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    hand_over(secret)


def _authority(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    rights = x509.BasicConstraints(ca=True, path_length=None)
    return _unsigned(name, key.public_key()).add_extension(rights, critical=True).sign(key, hashes.SHA256())


def _unsigned(name: str, key: ec.EllipticCurvePublicKey, issuer: x509.Name | None = None) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
