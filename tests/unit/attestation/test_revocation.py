"""Revocation lists made with the cryptography package, and damaged ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from nitrosim.attestation import AttestationError, Historic, UnsafeSkipPcrs, Verifier
from nitrosim.attestation.errors import CertificateChainError


@pytest.fixture
def make(forge):
    """Return a function that makes the list of one level's CA."""
    # Instance CAs of AWS may not sign lists; this one may.
    usage = forge.extension("551d0f", bytes.fromhex("03020106"), critical=True)
    forge.extend("instance", usage)

    def make(level, *serials, hours=1, extensions=(), entry_extensions=(), hash_=None):
        position = list(forge.levels).index(level)
        issuer = x509.load_der_x509_certificate(forge.chain()[position]).subject
        builder = x509.CertificateRevocationListBuilder(
            issuer, forge.now - timedelta(hours=1), forge.now + timedelta(hours=hours)
        )
        for serial in serials:
            entry = x509.RevokedCertificateBuilder(serial, forge.now - timedelta(hours=2))
            for extension in entry_extensions:
                entry = entry.add_extension(extension, critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(forge.levels[level].key, hash_ or SHA384()).public_bytes(Encoding.DER)

    return make


def verify(forge, *crls):
    steps = []
    verifier = Verifier([forge.root], crls=crls)
    verifier.verify(forge.document(), UnsafeSkipPcrs(), time=Historic(), observer=steps.append)
    return steps[20]


def test_lists_without_our_certificates_change_nothing(forge, make):
    lists = [make(level, 1, 2, 3) for level in ("root", "regional", "zonal", "instance")]
    step = verify(forge, *lists)

    assert (21, "passed") == (step.number, step.outcome)
    assert step.detail.startswith("4 certificates")


def test_an_empty_list_is_a_list(forge, make):
    assert verify(forge, make("root")).detail.startswith("1 certificates")


@pytest.mark.parametrize(
    ("issuer", "victim"),
    [("root", "regional"), ("regional", "zonal"), ("zonal", "instance"), ("instance", "leaf")],
)
def test_each_certificate_can_be_revoked(forge, make, issuer, victim):
    serial = forge.levels[victim].serial
    with pytest.raises(CertificateChainError) as caught:
        verify(forge, make(issuer, 1, serial, 2))

    assert "CERTIFICATE_REVOKED" == caught.value.code


def test_a_list_of_a_ca_that_may_not_sign_lists_is_refused(forge, make):
    usage = forge.extension("551d0f", bytes.fromhex("03020204"), critical=True)
    forge.extend("instance", usage)
    with pytest.raises(CertificateChainError, match="keyUsage 04, expected a CA that may sign"):
        verify(forge, make("instance", 1))


def test_a_serial_on_another_issuers_list_means_nothing(forge, make):
    forge.change("zonal", serial=77)

    assert verify(forge, make("root", 77))


def test_list_of_a_ca_outside_the_chain_is_not_concerned(forge, make):
    foreign = make("regional", forge.levels["zonal"].serial)
    forge.change("regional", subject=f"00.{forge.region}.forge.test.nitro-enclaves")

    assert verify(forge, foreign).detail.startswith("0 certificates")


def test_many_entries_and_usual_extensions_are_read(forge, make):
    reason = x509.CRLReason(x509.ReasonFlags.key_compromise)
    crl = make(
        "root",
        *range(1, 3000),
        extensions=[(x509.CRLNumber(5), False)],
        entry_extensions=[reason],
    )

    assert len(crl) > 0x10000
    assert "passed" == verify(forge, crl).outcome


@pytest.mark.parametrize(
    "options",
    [
        {"extensions": [(x509.DeltaCRLIndicator(5), True)]},
        {"hash_": SHA256()},
    ],
)
def test_lists_that_are_not_complete_or_not_of_this_pki_are_refused(forge, make, options):
    with pytest.raises(CertificateChainError) as caught:
        verify(forge, make("root", 1, **options))

    assert "REVOCATION_LIST" == caught.value.code


@pytest.mark.parametrize("hours", [-0.5])
def test_a_list_that_has_ended_is_refused(forge, make, hours):
    with pytest.raises(CertificateChainError) as caught:
        verify(forge, make("root", 1, hours=hours))

    assert "REVOCATION_LIST" == caught.value.code


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda crl: crl[:-1],
        lambda crl: crl + b"\0",
        lambda crl: b"junk" + crl,
        lambda crl: crl.replace(b"\x02\x01\x01", b"\x02\x01\x00", 1),
    ],
)
def test_unreadable_lists_are_refused_when_the_verifier_is_made(forge, make, damage):
    with pytest.raises(CertificateChainError) as caught:
        Verifier([forge.root], crls=[damage(make("root", 5))])

    assert "REVOCATION_LIST" == caught.value.code


def test_a_changed_list_is_refused(forge, make):
    crl = make("root", 0x1234567)
    changed = crl.replace(bytes.fromhex("01234567"), bytes.fromhex("01234568"))

    assert crl != changed
    with pytest.raises(AttestationError) as caught:
        verify(forge, changed)
    assert "REVOCATION_LIST" == caught.value.code
