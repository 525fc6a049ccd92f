"""A certificate authority for the tests, and what a bad server shows instead."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERVER_NAMES = ("127.0.0.1", "localhost", "s3.localhost", "*.s3.localhost")


class Authority:
    """Issues certificates. `pem` is its own, to trust; `cert` and `key` are a server's for SERVER_NAMES."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self.pem = directory / "ca.pem"
        self.cert = directory / "server.pem"
        self.key = directory / "server.key"
        self._authority.cert_pem.write_to_path(str(self.pem))
        self.issue(self.cert, self.key, *SERVER_NAMES)
        self._self_signed = _self_signed(directory / "self-signed.pem")

    def issue(self, cert: Path, key: Path, *names: str) -> None:
        """Write a certificate for `names`, with its chain, and its key, as a server that is another program reads them."""
        leaf = self._authority.issue_cert(*names)
        cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(key))

    def client_context(self) -> ssl.SSLContext:
        """Return a client's context that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.pem))

    def server_context(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """Return a server's context with a certificate for `names`, by default SERVER_NAMES."""
        until = datetime.now(UTC) - timedelta(days=1) if expired else None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*(names or SERVER_NAMES), not_after=until).configure_cert(context)
        return context

    def self_signed_context(self) -> ssl.SSLContext:
        """Return a server's context with a certificate for 127.0.0.1 and localhost that nobody issued."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._self_signed)
        return context


def _self_signed(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
