"""Signing PCR0 and verifying such signatures; pycose and OpenSSL's key files as outsiders."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pycose.keys import EC2Key
from pycose.messages import Sign1Message

from nitrosim.eif import EifError, PemSigner
from nitrosim.eif.certificate import SigningCertificate
from nitrosim.eif.signature import read_section, read_sign1
from nitrosim.eif.signing import is_kms_key, sign_pcr0, verify, verify_for_boot

PCR0 = bytes(range(48))
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2034, 1, 1, tzinfo=UTC)
KMS = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def entry_of(signer, pcr0=PCR0):
    return read_section(sign_pcr0(signer, pcr0)).entries[0]


def code_of(function, *arguments, **options):
    with pytest.raises(EifError) as caught:
        function(*arguments, **options)
    return caught.value.code


def pem(key, form=serialization.PrivateFormat.PKCS8, encryption=None):
    encryption = encryption or serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def key_of(credentials):
    return serialization.load_pem_private_key(credentials[1], None)


def with_signature(entry, signature):
    structure = replace(read_sign1(entry.cose), signature=signature)
    return replace(entry, cose=structure.to_bytes())


def test_signature_verifies_and_is_over_the_pcr0(signer):
    verified = verify(entry_of(signer))

    assert verified.is_over(PCR0)
    assert not verified.is_over(bytes(48))
    assert verified.certificate.der == SigningCertificate.from_pem(signer.certificate).der


def test_signature_is_accepted_by_pycose(signer):
    structure = read_sign1(entry_of(signer).cose)
    numbers = SigningCertificate.from_pem(signer.certificate).public_key().public_numbers()
    width = len(structure.signature) // 2
    key = EC2Key(
        crv={32: "P_256", 48: "P_384", 66: "P_521"}[width],
        x=numbers.x.to_bytes(width, "big"),
        y=numbers.y.to_bytes(width, "big"),
    )
    parts = [structure.protected, {}, structure.payload, structure.signature]
    message = Sign1Message.from_cose_obj(parts, True)
    message.key = key

    assert message.verify_signature()


def test_signing_again_gives_the_same_bytes(signer):
    assert sign_pcr0(signer, PCR0) == sign_pcr0(signer, PCR0)


def test_library_that_cannot_sign_deterministically_signs_at_random(a_signer, monkeypatch):
    original = ec.ECDSA

    def older(digest, *, deterministic_signing=False):
        if deterministic_signing:
            raise UnsupportedAlgorithm("as OpenSSL 3.0 says")
        return original(digest)

    monkeypatch.setattr(ec, "ECDSA", older)

    assert sign_pcr0(a_signer, PCR0) != sign_pcr0(a_signer, PCR0)
    assert verify(entry_of(a_signer)).is_over(PCR0)


@dataclass(frozen=True)
class DistantSigner:
    """Signs with a key somewhere else, as anybody can write one."""

    certificate: bytes
    ask: Callable[[bytes], bytes]
    algorithm: int = -35

    def sign(self, message):
        return self.ask(message)


def test_any_object_with_these_three_can_sign(a_signer):
    signer = DistantSigner(a_signer.certificate, a_signer.sign)

    assert verify(entry_of(signer)).is_over(PCR0)


@pytest.mark.parametrize("answer", [b"", bytes(96), b"\x01" * 96])
def test_signer_that_signs_wrongly_is_found_out(a_signer, answer):
    signer = DistantSigner(a_signer.certificate, lambda _message: answer)

    assert "SIGNATURE_INVALID" == code_of(sign_pcr0, signer, PCR0)


def test_changed_byte_makes_the_signature_invalid(a_signer):
    entry = entry_of(a_signer)
    good = read_sign1(entry.cose).signature

    for place in (0, 47, 48, 95):
        bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        assert "SIGNATURE_INVALID" == code_of(verify, with_signature(entry, bad))


@pytest.mark.parametrize("signature", [b"", bytes(96), bytes(95), bytes(97), b"\xff" * 96])
def test_signature_that_is_none_is_invalid(a_signer, signature):
    assert "SIGNATURE_INVALID" == code_of(verify, with_signature(entry_of(a_signer), signature))


def test_algorithm_of_another_curve_makes_the_signature_invalid(a_signer):
    entry = entry_of(a_signer)
    other = replace(read_sign1(entry.cose), protected=b"\xa1\x01\x26")

    assert "SIGNATURE_INVALID" == code_of(verify, replace(entry, cose=other.to_bytes()))


def test_changed_payload_makes_the_signature_invalid(a_signer):
    entry = entry_of(a_signer)
    other = replace(read_sign1(entry.cose), payload=b"other")

    assert "SIGNATURE_INVALID" == code_of(verify, replace(entry, cose=other.to_bytes()))


def test_certificate_of_another_key_makes_the_signature_invalid(a_signer, make_credentials):
    other = replace(entry_of(a_signer), certificate=make_credentials("P-384", 1)[0])

    assert "SIGNATURE_INVALID" == code_of(verify, other)


@pytest.mark.parametrize("at", [BEGIN, END, END - timedelta(seconds=1)])
def test_certificate_is_valid_from_its_first_to_its_last_second(a_signer, at):
    assert verify_for_boot(entry_of(a_signer), PCR0, at=at).is_over(PCR0)


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (BEGIN - timedelta(seconds=1), "CERTIFICATE_NOT_YET_VALID"),
        (END + timedelta(seconds=1), "CERTIFICATE_EXPIRED"),
        (datetime(2030, 1, 1), "TIME_ZONE"),  # noqa: DTZ001 - that is the point
    ],
)
def test_certificate_outside_its_time_is_refused_at_boot(a_signer, at, code):
    assert code == code_of(verify_for_boot, entry_of(a_signer), PCR0, at=at)


def test_expired_certificate_is_no_obstacle_to_describing(a_signer):
    assert verify(entry_of(a_signer)).is_over(PCR0)


def test_signature_over_another_pcr0_is_refused_at_boot(a_signer):
    assert "PCR0_MISMATCH" == code_of(verify_for_boot, entry_of(a_signer), bytes(48), at=BEGIN)


def test_invalid_signature_is_found_before_an_expired_certificate(a_signer):
    bad = with_signature(entry_of(a_signer), bytes(96))

    assert "SIGNATURE_INVALID" == code_of(verify_for_boot, bad, PCR0, at=END + timedelta(1))


@pytest.mark.parametrize(
    "form",
    [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL],
)
def test_key_is_read_in_both_forms(make_credentials, form):
    certificate, _key = credentials = make_credentials("P-384")

    signer = PemSigner(certificate, pem(key_of(credentials), form))

    assert verify(entry_of(signer)).is_over(PCR0)


def test_key_is_read_after_the_parameters_that_openssl_writes_before_it(make_credentials):
    certificate, _key = credentials = make_credentials("P-384")
    key = pem(key_of(credentials), serialization.PrivateFormat.TraditionalOpenSSL)
    parameters = b"-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"

    assert -35 == PemSigner(certificate, parameters + key).algorithm


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem(ec.derive_private_key(5, ec.SECP256K1())),
        pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))),
        pem(rsa.generate_private_key(65537, 1024)),
        pem(
            ec.derive_private_key(5, ec.SECP384R1()),
            encryption=serialization.BestAvailableEncryption(b"secret"),
        ),
    ],
    ids=["empty", "garbage", "secp256k1", "ed25519", "rsa", "encrypted"],
)
def test_other_key_is_refused(make_credentials, key):
    assert "PRIVATE_KEY" == code_of(PemSigner, make_credentials()[0], key)


def test_refusal_does_not_quote_the_key(make_credentials):
    key = make_credentials()[1].replace(b"M", b"N")

    with pytest.raises(EifError) as caught:
        PemSigner(make_credentials()[0], key)

    assert key.splitlines()[1].decode()[:10] not in str(caught.value)


def test_key_of_another_certificate_is_refused(make_credentials):
    certificate, key = make_credentials("P-384")[0], make_credentials("P-384", 1)[1]

    assert "KEY_MISMATCH" == code_of(PemSigner, certificate, key)


def test_signer_is_read_from_files(tmp_path, make_credentials):
    certificate, key = make_credentials("P-256")
    (tmp_path / "certificate.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)

    signer = PemSigner.from_files(tmp_path / "certificate.pem", str(tmp_path / "key.pem"))

    assert (-7, certificate) == (signer.algorithm, signer.certificate)


def test_key_in_kms_is_refused_before_a_file_is_looked_for(tmp_path):
    assert "KMS_KEY" == code_of(PemSigner.from_files, tmp_path / "missing.pem", KMS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (KMS, True),
        (KMS.replace("aws", "aws-cn", 1), True),
        (KMS.replace("aws", "aws-us-gov", 1), True),
        (KMS.replace("key/", "key:"), True),
        (KMS.replace("key/", "alias/"), False),
        (KMS.replace("123456789012", "12345678901"), False),
        (KMS.replace("kms", "s3"), False),
        (KMS + "\n", False),
        ("key.pem", False),
    ],
)
def test_names_of_keys_in_kms_are_told_from_paths(name, expected):
    assert expected == is_kms_key(name)
