"""No bytes make anything but an `AttestationError` come out, and none are accepted by chance."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nitrosim.attestation import (
    AttestationError,
    Historic,
    UnsafeSkipPcrs,
    Verifier,
    read_unverified,
)

QUICK = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def setting(forge):
    """Return a verifier, a good document, and what is in it."""
    verifier = Verifier([forge.root])
    document = forge.document()
    return verifier, document, verifier.verify(document, UnsafeSkipPcrs(), time=Historic())


def attempt(call, *arguments, **options):
    """Return (result, None) or (None, error); any other exception fails the test."""
    try:
        return call(*arguments, **options), None
    except AttestationError as error:
        return None, error


def judge(setting, document):
    """Verify; anything accepted must have the content of the good document. Return the error."""
    verifier, _, content = setting
    verified, error = attempt(verifier.verify, document, UnsafeSkipPcrs(), time=Historic())
    if error:
        assert str(error).isprintable()
    else:
        assert content == verified
    return error


@QUICK
@given(st.binary(max_size=200))
def test_arbitrary_bytes(setting, document):
    assert judge(setting, document) is not None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers() | st.text(), inner, max_size=4)
        | st.builds(cbor2.CBORTag, st.integers(100, 1000), inner)
    ),
    max_leaves=12,
)


@QUICK
@given(st.lists(values, min_size=3, max_size=5))
def test_arbitrary_values_in_the_envelope(setting, parts):
    assert judge(setting, cbor2.dumps(parts)) is not None


@QUICK
@given(
    st.sampled_from(
        [
            "module_id",
            "digest",
            "timestamp",
            "pcrs",
            "certificate",
            "cabundle",
            "public_key",
            "user_data",
            "nonce",
            "more",
        ]
    ),
    values,
)
def test_arbitrary_values_in_a_signed_payload(forge, setting, field, value):
    document = forge.document(**{field: value})
    verified, error = attempt(
        setting[0].verify, document, UnsafeSkipPcrs(), time=Historic(), strict=False
    )
    if error:
        assert str(error).isprintable()
        return
    # What is accepted was well-typed and is handed out as it was signed.
    assert field in {"public_key", "user_data", "nonce", "more"}
    assert field == "more" or value == getattr(verified, field)


@QUICK
@given(st.data())
def test_one_mutation_is_refused_or_changes_nothing(setting, data):
    document = setting[1]
    at = data.draw(st.integers(0, len(document) - 1))
    kind = data.draw(st.sampled_from(["flip", "insert", "delete", "repeat", "cut"]))
    if kind == "flip":
        changed = bytearray(document)
        changed[at] ^= data.draw(st.integers(1, 255))
        mutated = bytes(changed)
    elif kind == "insert":
        mutated = document[:at] + data.draw(st.binary(min_size=1, max_size=4)) + document[at:]
    elif kind == "delete":
        mutated = document[:at] + document[at + 1 :]
    elif kind == "repeat":
        mutated = document[:at] + document[at : at + 64] * 2 + document[at + 64 :]
    else:
        mutated = document[:at]
    error = judge(setting, mutated)

    # Only a tag may come in front without changing the meaning.
    assert error is not None or mutated == b"\xd2" + document or mutated == document


@QUICK
@given(st.data())
def test_one_mutation_of_a_certificate_is_refused(forge, setting, data):
    # Inside a payload that is signed again, as an attacker with a key of their own could.
    chain = forge.chain()
    which = data.draw(st.integers(0, 4))
    at = data.draw(st.integers(0, len(chain[which]) - 1))
    changed = bytearray(chain[which])
    changed[at] ^= data.draw(st.integers(1, 255))
    chain[which] = bytes(changed)
    document = forge.document(cabundle=chain[:-1], certificate=chain[-1])
    _, error = attempt(setting[0].verify, document, UnsafeSkipPcrs(), time=Historic(), strict=False)

    assert error is not None
    assert 13 <= error.step <= 23


@QUICK
@given(st.data())
def test_looking_at_anything_raises_nothing_else(setting, data):
    document = bytearray(setting[1])
    for _ in range(data.draw(st.integers(1, 4))):
        document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    looked, error = attempt(read_unverified, bytes(document))

    if error:
        assert 1 <= error.step <= 12
    else:
        assert len(document) == looked.size
