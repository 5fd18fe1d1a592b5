"""Documents that AWS hardware made, judged by the AWS pin at their own timestamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import cbor2
import pytest

from nitrosim.attestation import (
    AttestationError,
    DocumentType,
    Historic,
    Instance,
    Live,
    Pcrs,
    SignedBy,
    UnsafeSkipPcrs,
    Verifier,
)

ENCLAVES = {
    "2021-03-05-debug-all-null": "i-026ae32a18c80f866-enc01780356441553dc",
    "2021-03-24-prod-rsa-public-key": "i-0a6d65e7122308898-enc017846bcd2f820da",
    "2022-10-13-prod-signed-eif-pcr8": "i-020b6af9246d90e92-enc0183d09086c24190",
    "2022-11-09-prod-userdata-nonce": "i-04fd167167daacf3b-enc01845e97d0b3eb4e",
    "2024-01-24-debug-all-three-fields": "i-0e4fe5de7ee5abe78-enc018d3cadd7d66279",
    "2024-12-13-prod-long-running": "i-0f1cd77d37fd8bcc9-enc018e7aa61e2040ff",
    "2025-04-29-prod-17-pcrs": "i-07859a25773d39fcc-enc01968119042c6454",
    "2025-08-18-debug-indefinite-map": "i-009a1d7b3da61c060-enc0198bc571bf3e785",
}
PRODUCTION = [name for name in ENCLAVES if "-prod-" in name]
DEBUG = [name for name in ENCLAVES if "-debug-" in name]
INVALID = "2022-11-09-INVALID-bad-signature"
TPM = "2026-02-03-nitrotpm"


@pytest.fixture
def read(real_docs):
    return lambda name: (real_docs / f"{name}.cbor").read_bytes()


def refusal(document, policy=None, *, verifier=None, **demands):
    with pytest.raises(AttestationError) as caught:
        (verifier or Verifier.aws()).verify(document, policy or UnsafeSkipPcrs(), **demands)
    return caught.value.code, caught.value.step


def test_the_folder_holds_no_other_documents(real_docs):
    assert {*ENCLAVES, INVALID, TPM} == {path.stem for path in real_docs.glob("*.cbor")}


@pytest.mark.parametrize("name", PRODUCTION)
def test_production_documents_are_accepted(read, name):
    document = Verifier.aws().verify(read(name), Instance(ENCLAVES[name][:19]), time=Historic())

    assert ENCLAVES[name] == document.module_id
    assert not document.debug


@pytest.mark.parametrize("name", DEBUG)
def test_debug_documents_are_accepted_only_when_allowed(read, name):
    policy = Instance(ENCLAVES[name][:19])

    assert ("DEBUG_MODE", 26) == refusal(read(name), policy, time=Historic())
    document = Verifier.aws().verify(read(name), policy, time=Historic(), allow_debug=True)
    assert document.debug


def test_damaged_signature_fails_at_its_step_only(read):
    assert ("BAD_SIGNATURE", 23) == refusal(read(INVALID), time=Historic())


def test_nitrotpm_is_no_enclave(read):
    assert ("WRONG_DOCUMENT_TYPE", 11) == refusal(read(TPM), time=Historic())


def test_nitrotpm_is_accepted_as_what_it_is(read):
    document = Verifier.aws().verify(
        read(TPM), UnsafeSkipPcrs(), time=Historic(), document_type=DocumentType.NITROTPM
    )

    assert 24 == len(document.pcrs)
    assert b"\xff" * 48 == document.pcrs[17]


@pytest.mark.parametrize("name", ENCLAVES)
def test_another_genuine_root_does_not_help(read, name):
    gov = Verifier.aws("aws-us-gov")

    assert ("UNTRUSTED_ROOT", 14) == refusal(read(name), verifier=gov, time=Historic())


@pytest.mark.parametrize("name", ENCLAVES)
def test_old_documents_are_not_live(read, name):
    now = datetime(2026, 11, 23, tzinfo=UTC)
    verifier = Verifier.aws(now=lambda: now)

    assert ("CERTIFICATE_EXPIRED", 20) == refusal(read(name), verifier=verifier, allow_debug=True)


@pytest.mark.parametrize("name", PRODUCTION)
def test_documents_were_live_when_they_were_made(read, name):
    stamp = cbor2.loads(cbor2.loads(read(name))[2])["timestamp"]
    issued = datetime.fromtimestamp(stamp / 1000, UTC)
    verifier = Verifier.aws(now=lambda: issued + timedelta(seconds=2))
    document = verifier.verify(read(name), UnsafeSkipPcrs(), time=Live())

    assert document.live


@pytest.mark.parametrize("name", PRODUCTION)
def test_content_is_what_another_reader_finds(read, name):
    theirs = cbor2.loads(cbor2.loads(read(name))[2])
    ours = Verifier.aws().verify(
        read(name),
        Pcrs({i: theirs["pcrs"][i] for i in (0, 1, 2, 4)}),
        time=Historic(),
        nonce=theirs["nonce"] or None,
        user_data=theirs["user_data"] or None,
        public_key=theirs["public_key"] or None,
    )

    assert theirs["pcrs"] == ours.pcrs
    assert (theirs["cabundle"], theirs["certificate"]) == (list(ours.cabundle), ours.certificate)
    assert theirs["timestamp"] == ours.timestamp_ms
    for field in ("nonce", "user_data", "public_key"):
        assert theirs[field] == getattr(ours, field)


def test_signed_image(read):
    pcr8 = (
        "8790eb3cce6c83d07e84b126dc61ca923333d6f66615c4a79157de48c5ab2418"
        "bdc60746ea7b7afbff03a1c6210201cb"
    )
    document = read("2022-10-13-prod-signed-eif-pcr8")

    assert Verifier.aws().verify(document, SignedBy(pcr8), time=Historic())
    unsigned = read("2022-11-09-prod-userdata-nonce")
    assert ("PCR_MISMATCH", 25) == refusal(unsigned, SignedBy(pcr8), time=Historic())


def test_register_16_is_there_only_when_locked(read):
    policy = Pcrs(
        {
            16: "30e84b2d7eeffe6d90a475797b35e59a11b0da473eee4b3b8edfe73daf027980"
            "1bb18730c39db7f27f2f77b7b458cb9e"
        }
    )

    assert Verifier.aws().verify(read("2025-04-29-prod-17-pcrs"), policy, time=Historic())
    without = read("2024-12-13-prod-long-running")
    assert ("PCR_ABSENT", 25) == refusal(without, policy, time=Historic())


@pytest.mark.parametrize("name", PRODUCTION)
def test_one_changed_byte_anywhere_is_refused(read, name):
    document = read(name)
    verifier = Verifier.aws()
    accepted = []
    # Every 13th byte, another bit each time, from another start in each file.
    for at in range(len(document) % 13, len(document), 13):
        changed = bytearray(document)
        changed[at] ^= 1 << (at // 13 % 8)
        try:
            verifier.verify(bytes(changed), UnsafeSkipPcrs(), time=Historic())
        except AttestationError:
            continue
        accepted.append(at)

    assert [] == accepted
