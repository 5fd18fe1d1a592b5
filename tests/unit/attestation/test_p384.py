"""ECDSA by each library that can be put behind the verifier: the same strictness, case by case."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nitrosim.attestation import AttestationError, Historic, UnsafeSkipPcrs, Verifier, p384
from thoroughness import examples

REPOSITORY = Path(__file__).resolve().parents[3]
FIELD = 2**384 - 2**128 - 2**96 + 2**32 - 1
LIBRARIES = ("openssl", "aws-lc")
MESSAGE = b"what is signed"

slow_fixtures = settings(
    max_examples=examples(150),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def loader(library):
    if library == "openssl":
        return p384.load_key
    pytest.importorskip("awscrt", reason="needs awscrt: pip install awscrt")
    from nitrosim.attestation import awslc  # noqa: PLC0415 - an optional dependency

    return awslc.load_key


@pytest.fixture(params=LIBRARIES)
def load_key(request):
    return loader(request.param)


@pytest.fixture
def signed(forge):
    """Return (point, r, s) of a signature over MESSAGE."""
    key = forge.key_number("signer")
    signature = forge.sign_raw(key, MESSAGE)
    return forge.point(key), *(int.from_bytes(signature[at : at + 48], "big") for at in (0, 48))


def test_a_signature_is_of_one_message_by_one_key(forge, load_key, signed):
    point, r, s = signed

    assert load_key(point).verify(r, s, MESSAGE) is True
    assert load_key(point).verify(r, s, MESSAGE + b"\0") is False
    assert load_key(point).verify(s, r, MESSAGE) is False
    assert load_key(forge.point(forge.key_number("other"))).verify(r, s, MESSAGE) is False


def test_both_halves_of_s_verify(load_key, signed):
    point, r, s = signed

    assert load_key(point).verify(r, p384.ORDER - s, MESSAGE) is True


@pytest.mark.parametrize(
    "change",
    [
        lambda _r, _s, _n: (0, 0),
        lambda _r, s, _n: (0, s),
        lambda r, _s, _n: (r, 0),
        lambda r, s, n: (r + n, s),
        lambda r, s, n: (r, s + n),
        lambda _r, s, n: (n, s),
        lambda r, _s, n: (r, n),
        lambda _r, _s, n: (n, n),
        lambda r, s, n: (n - r, s),
    ],
)
def test_numbers_outside_of_the_range_never_verify(load_key, signed, change):
    point, r, s = signed

    assert load_key(point).verify(*change(r, s, p384.ORDER), MESSAGE) is False


def coordinates(point):
    return int.from_bytes(point[1:49], "big"), int.from_bytes(point[49:], "big")


def uncompressed(x, y):
    return b"\x04" + x.to_bytes(48, "big") + y.to_bytes(48, "big")


BAD_POINTS = {
    "nothing": lambda _point: b"",
    "infinity": lambda _point: b"\x00",
    "zeros": lambda _point: uncompressed(0, 0),
    "compressed": lambda point: bytes([2 + (point[-1] & 1)]) + point[1:49],
    "hybrid": lambda point: bytes([6 + (point[-1] & 1)]) + point[1:],
    "of form 0": lambda point: b"\x00" + point[1:],
    "off the curve": lambda point: point[:-1] + bytes([point[-1] ^ 1]),
    "swapped": lambda point: b"\x04" + point[49:] + point[1:49],
    "one byte short": lambda point: point[:-1],
    "one byte long": lambda point: point + b"\x00",
    "x beyond the field": lambda _point: uncompressed(FIELD + 5, 1),
    "x is the field": lambda point: uncompressed(FIELD, coordinates(point)[1]),
    "y beyond the field": lambda point: uncompressed(coordinates(point)[0], 2**384 - 1),
    "on another curve": lambda _point: p256_point(),
}


def p256_point():
    numbers = ec.derive_private_key(7, ec.SECP256R1()).public_key().public_numbers()
    return uncompressed(numbers.x, numbers.y)


@pytest.mark.parametrize("name", BAD_POINTS)
def test_other_bytes_are_no_key(load_key, signed, name):
    with pytest.raises(p384.BadKeyError):
        load_key(BAD_POINTS[name](signed[0]))


def test_a_coordinate_plus_the_field_is_no_other_name_of_a_point(load_key):
    # x = 2 is on the curve, and x + p still fits into 48 bytes.
    y = pow(8 - 6 + CURVE_B, (FIELD + 1) // 4, FIELD)
    assert load_key(uncompressed(2, y)) is not None

    with pytest.raises(p384.BadKeyError):
        load_key(uncompressed(2 + FIELD, y))


CURVE_B = int(
    "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875a"
    "c656398d8a2ed19d2a85c8edd3ec2aef",
    16,
)


@slow_fixtures
@given(st.integers(0, 1), st.integers(0, 383), st.integers(0, 40))
def test_a_changed_bit_never_verifies(load_key, signed, which, bit, at):
    point, *numbers = signed
    numbers[which] ^= 1 << bit
    message = MESSAGE[:at] + MESSAGE[at + 1 :]

    assert load_key(point).verify(*numbers, MESSAGE) is False
    assert load_key(point).verify(*signed[1:], message) is (message == MESSAGE)


@pytest.mark.parametrize("level", ["regional", "zonal", "instance", "leaf"])
def test_chains_are_judged_alike(forge, load_key, level):
    verifier = Verifier([forge.root], load_key=load_key)
    assert verifier.verify(forge.document(), UnsafeSkipPcrs(), time=Historic())

    forge.change(level, signer=forge.key_number("somebody else"))
    with pytest.raises(AttestationError) as caught:
        verifier.verify(forge.document(), UnsafeSkipPcrs(), time=Historic())
    assert "CERTIFICATE_SIGNATURE" == caught.value.code


def test_a_document_signed_by_another_key_is_refused_alike(forge, load_key):
    payload = forge.payload()
    document = forge.document(payload, signature=forge.sign(payload, key=forge.key_number("b")))
    with pytest.raises(AttestationError) as caught:
        Verifier([forge.root], load_key=load_key).verify(
            document, UnsafeSkipPcrs(), time=Historic()
        )

    assert "BAD_SIGNATURE" == caught.value.code


def test_real_documents_are_judged_alike(load_key, real_docs):
    verifier = Verifier.aws(load_key=load_key)
    codes = {}
    for path in real_docs.glob("*.cbor"):
        try:
            verifier.verify(path.read_bytes(), UnsafeSkipPcrs(), time=Historic(), allow_debug=True)
        except AttestationError as error:
            codes[path.stem] = error.code

    assert {
        "2022-11-09-INVALID-bad-signature": "BAD_SIGNATURE",
        "2026-02-03-nitrotpm": "WRONG_DOCUMENT_TYPE",
    } == codes


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_aws_lc_is_not_claimed_where_awscrt_has_none(platform):
    program = (
        "import nitrosim.attestation, sys\n"
        f"sys.platform = {platform!r}\n"
        "try:\n    import nitrosim.attestation.awslc\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )

    assert "on Linux only" in done.stdout


def test_aws_lc_is_loaded_only_on_demand():
    program = "import nitrosim.attestation, sys; print('awscrt' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )

    assert "False\n" == done.stdout
