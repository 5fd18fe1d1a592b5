from __future__ import annotations

import base64
import hashlib
import inspect
import ssl

import pytest
from cryptography import x509

from nitrosim.attestation import AttestationError, Historic, UnsafeSkipPcrs, Verifier, p384
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


def test_the_commercial_root_is_not_that_of_another_partition(real_docs):
    document = (real_docs / "2022-11-09-prod-userdata-nonce.cbor").read_bytes()
    assert Verifier.aws().verify(document, UnsafeSkipPcrs(), time=Historic())

    with pytest.raises(AttestationError) as caught:
        Verifier.aws("aws-us-gov").verify(document, UnsafeSkipPcrs(), time=Historic())
    assert "UNTRUSTED_ROOT" == caught.value.code


def test_a_partition_takes_every_option_of_other_roots():
    options = inspect.signature(Verifier.__init__).parameters
    of_partition = inspect.signature(Verifier.aws).parameters
    keywords = {name: p for name, p in options.items() if p.kind is p.KEYWORD_ONLY}

    assert keywords == {name: p for name, p in of_partition.items() if p.kind is p.KEYWORD_ONLY}


def test_options_of_a_partition_have_effect(real_docs):
    document = (real_docs / "2022-11-09-prod-userdata-nonce.cbor").read_bytes()
    loaded = []

    def load_key(point):
        loaded.append(point)
        return p384.load_key(point)

    verifier = Verifier.aws(load_key=load_key, chain_cache=0)
    for _ in range(2):
        verifier.verify(document, UnsafeSkipPcrs(), time=Historic())
    assert 5 + 4 == len(loaded)

    with pytest.raises(AttestationError) as caught:
        Verifier.aws(crls=[b"junk"])
    assert "REVOCATION_LIST" == caught.value.code
    with pytest.raises(AttestationError) as caught:
        Verifier.aws(now=lambda: None).verify(document, UnsafeSkipPcrs())
    assert "CLOCK" == caught.value.code
