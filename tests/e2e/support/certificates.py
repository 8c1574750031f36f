"""Makes a certificate authority and a server's certificate: certificates.py FOLDER HOST...

Writes ca.pem, server.pem (the certificate, then its key).
"""

import datetime
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

folder, hosts = pathlib.Path(sys.argv[1]), sys.argv[2:]
now = datetime.datetime.now(datetime.timezone.utc)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, *extensions):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def usage(**uses):
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    names += ["key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{use: uses.get(use, False) for use in names}), True


ca_key = ec.generate_private_key(ec.SECP256R1())
key = ec.generate_private_key(ec.SECP256R1())
constraints = x509.BasicConstraints(ca=True, path_length=0), True
(folder / "ca.pem").write_bytes(certificate("keygate tests", ca_key, "keygate tests", constraints, usage(key_cert_sign=True)))
names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False
server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False
leaf = certificate(hosts[0], key, "keygate tests", names, server, usage(digital_signature=True))
pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
(folder / "server.pem").write_bytes(leaf + key.private_bytes(*pem))
