"""Signatures of images behind the cryptography, as when an enclave is started.

The input is four bytes of setting and an image. Its COSE structure is signed anew with the key
that the setting names, over the image's own PCR0 unless it says otherwise, and tables and checksum
are put right. Then:

* The image may be started, or there is an `EifError`.
* If it may, cbor2, the cryptography package and hashlib agree: the signature is that of the
  certificate's key, over exactly this PCR0; the algorithm is that of the key; the certificate is
  valid at the time. PCR8 is that of the certificate.
* If not, and the reason is one of these, they agree about that reason.
* A description of the image says the same, and the image can be signed again by somebody else.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fuzzing import extraction, library, mutation, oracle, plain, signing
from fuzzing.evidence import Evidence
from nitrosim.eif import Eif, EifError, PemSigner, describe, sign_eif
from nitrosim.eif.header import MAX_SECTIONS
from nitrosim.eif.signing import VerifiedSignature
from targets import image as image_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from fuzzing.mutation import Havoc

HEAD = 4
"""Bytes of setting: whose key signs, switches, minutes (signed, 16 bits) since a moment."""

AS_FOUND, OTHER_PAYLOAD, AT_END, AGAIN = (1 << bit for bit in range(4))
"""The switches. AS_FOUND: nothing is signed; OTHER_PAYLOAD: what the image has for a payload is
signed; AT_END: minutes count from the certificate's end and not from its beginning; AGAIN: the
image is then signed by somebody else."""

_BASES = ("one-empty-ramdisk", "hello-signed-es384", "v3-signed-no-metadata")
_MOMENT = datetime(2024, 6, 1, tzinfo=UTC)
_UNREADABLE = {"CERTIFICATE", "CERTIFICATE_KEY", "COSE"}


def seeds() -> Sequence[bytes]:
    """Return a few images with each kind of key, in settings that matter."""
    made = []
    for number, key in enumerate(signing.public_keys()):
        scheme = signing.SCHEMES[number % len(signing.SCHEMES)]
        certificate = signing.certificate_of(key)
        section = signing.section(certificate, signing.structure(scheme))
        for name in _BASES:
            data = plain.with_section((library.IMAGES / f"{name}.eif").read_bytes(), section)
            settings = ((0, 1), (AGAIN, 1), (OTHER_PAYLOAD, 1), (AS_FOUND, 1), (0, -1), (AT_END, 1))
            for switches, minutes in settings:
                head = bytes((number % 3, switches)) + minutes.to_bytes(2, "big", signed=True)
                made.append(head + data)
    return [*made, *(bytes((1, AS_FOUND, 0, 1)) + data for data in library.images())]


def mutate(data: bytes, random: Random, havoc: Havoc | None = None) -> bytes:
    """Change the setting, the image, or what its signature consists of."""
    if len(data) < HEAD:
        return data + random.randbytes(HEAD)
    head, image = bytearray(data[:HEAD]), data[HEAD:]
    if random.random() < 0.15:
        head[random.randrange(HEAD)] ^= 1 << random.randrange(8)
    elif random.random() < 0.2:
        image = image_target.mutate(image, random, havoc)
    else:
        image = signing.with_signature(
            image, lambda certificate, cose: _changed(certificate, cose, random, havoc)
        )
    return (bytes(head) + image)[: mutation.MAX_BYTES]


def _changed(certificate: bytes, cose: bytes, random: Random, havoc: Havoc | None) -> bytes:
    choice = random.random()
    if choice < 0.4:
        der = mutation.mutate(signing.from_pem(certificate), random, havoc)
        certificate = signing.to_pem(der)
    elif choice < 0.5:
        certificate = mutation.blindly(certificate, random)
    elif choice < 0.6:
        key = random.choice(signing.public_keys())
        certificate = signing.certificate_of(key)
    elif choice < 0.7:
        cose = signing.structure(random.choice(signing.SCHEMES))
    else:
        cose = mutation.mutate(cose, random, havoc)
    return signing.section(certificate, cose)


def target(data: bytes) -> None:
    """Sign, verify as for a start, describe, sign again, and compare."""
    if len(data) < HEAD:
        return
    switches, image = data[1], _prepared(data)
    try:
        eif = Eif.from_bytes(image, check="boot")
    except EifError as error:
        oracle.check_refusal(error)
        return
    found = signing.found(image)
    assert eif.is_signed == (found is not None)
    if found is not None:
        evidence = Evidence.of(*found)
        moment = evidence.end if switches & AT_END else evidence.begin
        moment += timedelta(minutes=int.from_bytes(data[2:HEAD], "big", signed=True))
        answer = _verified(eif, moment)
        _check_answer(answer, evidence, eif, moment, plain.pcr0(image))
        _check_description(answer, evidence, eif, plain.pcr0(image))
    if switches & AGAIN:
        _check_signed_again(image, eif, signing.SCHEMES[(data[0] + 1) % 3])


def _prepared(data: bytes) -> bytes:
    """Sign what is to be signed, and put right what depends on it."""
    switches, image = data[1], data[HEAD:]
    if not switches & AS_FOUND:
        scheme = signing.SCHEMES[data[0] % 3]
        payload = None if switches & OTHER_PAYLOAD else signing.payload(plain.pcr0(image))
        image = signing.with_signature(
            image,
            lambda certificate, cose: signing.section(
                certificate, signing.signed(cose, scheme, payload)
            ),
        )
    return plain.with_checksum(plain.with_tables(image))


def _verified(eif: Eif, moment: datetime) -> VerifiedSignature | str:
    try:
        return eif.verify_for_boot(at=moment)
    except EifError as error:
        _check_place(error, eif)
        return error.code


def _check_place(error: EifError, eif: Eif) -> None:
    oracle.check_refusal(error)
    assert error.offset is not None
    assert 0 <= error.offset < eif.size


def _check_answer(
    answer: VerifiedSignature | str, evidence: Evidence, eif: Eif, moment: datetime, pcr0: bytes
) -> None:
    """Assert that the other libraries come to the same answer."""
    if isinstance(answer, str) and answer in _UNREADABLE:
        assert not evidence.is_flawless()
        return
    assert evidence.certificate is not None
    assert eif.measure().pcr0 == pcr0
    der = evidence.certificate.public_bytes(Encoding.DER)
    assert eif.measure().pcr8 == plain.pcr(hashlib.sha384(der).digest())
    assert evidence.is_signed() == (answer != "SIGNATURE_INVALID")
    if answer == "SIGNATURE_INVALID":
        return
    in_time = evidence.begin <= moment <= evidence.end
    if answer == "CERTIFICATE_NOT_YET_VALID":
        assert moment < evidence.begin
    elif answer == "CERTIFICATE_EXPIRED":
        assert moment > evidence.end
    elif answer == "PCR0_MISMATCH":
        assert in_time
        assert not evidence.is_over(pcr0)
    else:
        assert isinstance(answer, VerifiedSignature)
        assert in_time
        assert evidence.is_over(pcr0)
        assert answer.certificate.der == der


def _check_description(
    answer: VerifiedSignature | str, evidence: Evidence, eif: Eif, pcr0: bytes
) -> None:
    """Assert that a description says what a start finds, but for the time."""
    refusal, described = "", {}
    try:
        described = describe(eif)
    except EifError as error:
        refusal = error.code
    if refusal:
        assert refusal == answer or refusal in {"CUSTOM_METADATA", "CERTIFICATE"}
        return
    assert described["IsSigned"]
    assert described["SignatureCheck"] == evidence.is_over(pcr0)
    assert not isinstance(answer, str) or answer not in {*_UNREADABLE, "SIGNATURE_INVALID"}


@functools.cache
def _signer(scheme: signing.Scheme) -> PemSigner:
    key = scheme.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return PemSigner(signing.certificate_of(scheme.key.public_key()), key)


def _check_signed_again(image: bytes, eif: Eif, scheme: signing.Scheme) -> None:
    """Assert that somebody else's signature holds, and that nothing else has changed."""
    with tempfile.TemporaryDirectory(dir=extraction.MEMORY) as folder:
        path = Path(folder, "image")
        path.write_bytes(image)
        refusal, measured = "", None
        try:
            measured = sign_eif(path, _signer(scheme))
        except EifError as error:
            refusal = error.code
        again = path.read_bytes()
    if measured is None:
        # The old certificate is measured too, as by nitro-cli.
        unreadable = eif.is_signed and _verified(eif, _MOMENT) == "CERTIFICATE"
        full = not eif.is_signed and len(eif.sections) == MAX_SECTIONS
        assert {unreadable: "CERTIFICATE", full: "SECTION_COUNT"}[True] == refusal
        assert image == again
        return
    assert plain.pcr0(image) == plain.pcr0(again) == measured.pcr0
    assert plain.without(image, plain.SIGNATURE) == plain.without(again, plain.SIGNATURE)
    found = signing.found(again)
    assert found is not None
    evidence = Evidence.of(*found)
    signed = Eif.from_bytes(again, check="boot")
    answer = _verified(signed, _MOMENT)
    assert isinstance(answer, VerifiedSignature)
    _check_answer(answer, evidence, signed, _MOMENT, plain.pcr0(image))
