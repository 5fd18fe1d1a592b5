import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from fake_nsm import InvalidValueError, seeded_entropy
from fake_nsm.keys import P384Key, raw_signature

ORDER = int(
    "39402006196394479212279040100143613805079739270465446667946905279627659399113"
    "263569398956308152294913554433653942643"
)


def pem_of(private) -> str:
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def test_a_key_is_a_function_of_its_entropy():
    first, second = (P384Key.generate(seeded_entropy(b"key")) for _ in range(2))
    assert first.public_point == second.public_point
    assert first.sign(b"message") == second.sign(b"message")
    assert first.public_point != P384Key.generate(seeded_entropy(b"other")).public_point


@pytest.mark.parametrize("entropy", [bytes, lambda length: b"\xff" * length], ids=["zero", "ones"])
def test_extreme_entropy_gives_a_usable_key(entropy):
    key = P384Key.generate(entropy)
    assert (len(key.public_point), key.public_point[0]) == (97, 4)


def test_signatures_verify_with_the_public_point():
    key = P384Key.generate(seeded_entropy(b"key"))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), key.public_point)
    public.verify(key.sign(b"message"), b"message", ec.ECDSA(hashes.SHA384()))


def test_both_halves_of_s_occur():
    key = P384Key.generate(seeded_entropy(b"key"))
    values = [raw_signature(key.sign(bytes([n]))) for n in range(40)]
    high = [int.from_bytes(value[48:], "big") > ORDER // 2 for value in values]
    assert {True, False} == set(high)


@given(*[st.integers(min_value=1, max_value=ORDER - 1) | st.integers(1, 1 << 20)] * 2)
def test_a_raw_signature_is_two_numbers_of_fixed_width(r, s):
    expected = r.to_bytes(48, "big") + s.to_bytes(48, "big")
    assert expected == raw_signature(encode_dss_signature(r, s))


def test_a_key_survives_pem():
    key = P384Key.generate(seeded_entropy(b"key"))
    assert key.public_point == P384Key.from_pem(key.to_pem()).public_point


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "nonsense",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem_of(ec.derive_private_key(7, ec.SECP256R1())),
        pem_of(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))),
    ],
    ids=["empty", "text", "damaged", "other curve", "other kind"],
)
def test_other_files_are_no_keys(pem):
    with pytest.raises(InvalidValueError):
        P384Key.from_pem(pem)
