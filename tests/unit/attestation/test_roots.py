from __future__ import annotations

import base64
import hashlib
import ssl

import pytest
from cryptography import x509

from nitrosim.attestation import AttestationError, Historic, UnsafeSkipPcrs, Verifier
from nitrosim.attestation.errors import ExpectationError
from nitrosim.attestation.roots import AWS_ROOTS


def pem(der):
    return ssl.DER_cert_to_PEM_cert(der)


FORMS = {
    "pin": lambda der: hashlib.sha256(der).digest(),
    "hex pin": lambda der: hashlib.sha256(der).hexdigest(),
    "upper-case pin": lambda der: hashlib.sha256(der).hexdigest().upper(),
    "der": lambda der: der,
    "pem": pem,
    "pem bytes": lambda der: pem(der).encode(),
    "pem with a comment before": lambda der: f"the root\n{pem(der)}",
    "x509": x509.load_der_x509_certificate,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_root(forge, form):
    verifier = Verifier([FORMS[form](forge.root)])

    assert verifier.verify(forge.document(), UnsafeSkipPcrs(), time=Historic())


def test_all_certificates_of_a_pem_are_roots(forge):
    root = forge.root
    other = forge.change("root", key=forge.key_number("other")).chain()[0]
    verifier = Verifier([pem(other) + pem(root)])

    assert verifier.verify(forge.document(), UnsafeSkipPcrs(), time=Historic())


def test_the_document_is_not_its_own_trust_store(forge):
    with pytest.raises(AttestationError) as caught:
        Verifier.aws().verify(forge.document(), UnsafeSkipPcrs(), time=Historic())

    assert "UNTRUSTED_ROOT" == caught.value.code


@pytest.mark.parametrize(
    "roots",
    [
        [],
        "ab" * 32,
        b"\xab" * 32,
        [""],
        ["ab" * 31],
        ["xy" * 32],
        [b""],
        [b"\x30\x00"],
        [None],
        [3.5],
        ["-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----"],
        ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"],
        ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"],
    ],
    ids=repr,
)
def test_unusable_roots_are_refused(roots):
    with pytest.raises(ExpectationError) as caught:
        Verifier(roots)

    assert "NO_ROOTS" == caught.value.code


def test_certificate_with_an_extra_byte_is_no_root(forge):
    with pytest.raises(ExpectationError):
        Verifier([forge.root + b"\0"])


def test_unknown_partition_is_refused():
    with pytest.raises(ExpectationError):
        Verifier.aws("aws-cn")


@pytest.mark.parametrize(
    ("file", "partition"),
    [
        ("aws-nitro-enclaves-root-g1.pem", "aws"),
        ("aws-us-gov-nitro-enclaves-root.pem", "aws-us-gov"),
    ],
)
def test_pins_are_those_of_the_published_roots(real_docs, file, partition):
    lines = (real_docs / file).read_text().split("-----")[2]

    assert hashlib.sha256(base64.b64decode(lines)).digest() == AWS_ROOTS[partition]
