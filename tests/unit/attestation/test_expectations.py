"""The caller's own mistakes, which no document can make: each is refused with its code.

What can be said with a document and expectations in JSON is in the corpus; here is the rest:
arguments of other types, unusable clocks, policies that ask for nothing.
"""

from __future__ import annotations

import hashlib

import pytest

from nitrosim.attestation import (
    AnyOf,
    AttestationError,
    DocumentType,
    Historic,
    Instance,
    Pcrs,
    UnsafeSkipPcrs,
    Verifier,
)
from nitrosim.attestation.errors import Code


def refusal(forge, *, document=None, policy=None, now=None, crls=(), **demands):
    verifier = Verifier([forge.root], now=lambda: now or forge.now, crls=crls)
    with pytest.raises(AttestationError) as caught:
        verifier.verify(
            forge.document() if document is None else document,
            policy or Pcrs({0: forge.pcrs()[0]}),
            **demands,
        )
    assert Code[caught.value.code].step == caught.value.step
    return caught.value.code


@pytest.mark.parametrize("change", [bytes.hex, bytearray, memoryview, lambda data: [data]])
def test_a_document_is_bytes_and_nothing_like_it(forge, change):
    assert "NOT_BYTES" == refusal(forge, document=change(forge.document()))


def test_a_subclass_of_bytes_is_refused(forge):
    class Changing(bytes):
        def __getitem__(self, index):
            return 0

    assert "NOT_BYTES" == refusal(forge, document=Changing(forge.document()))


@pytest.mark.parametrize("kind", ["enclave", None, DocumentType])
def test_a_kind_of_document_is_a_document_type(forge, kind):
    assert "DOCUMENT_TYPE" == refusal(forge, document_type=kind)


def test_a_clock_has_a_time_zone(forge):
    assert "CLOCK" == refusal(forge, now=forge.now.replace(tzinfo=None))


@pytest.mark.parametrize("mode", [Historic, None, "historic"])
def test_a_time_mode_is_an_object(forge, mode):
    assert "CLOCK" == refusal(forge, time=mode)


@pytest.mark.parametrize("policy", [UnsafeSkipPcrs, {0: "aa" * 48}, "policy", object()])
def test_a_policy_is_an_object_with_a_method(forge, policy):
    assert "NO_POLICY" == refusal(forge, policy=policy)


def test_no_policy_is_no_default(forge):
    verifier = Verifier([forge.root], now=lambda: forge.now)
    with pytest.raises(AttestationError) as caught:
        verifier.verify(forge.document(), None)

    assert "NO_POLICY" == caught.value.code


@pytest.mark.parametrize("name", ["nonce", "user_data", "public_key"])
@pytest.mark.parametrize("value", [b"", "text", 5, bytearray(b"x")])
def test_an_expected_field_is_bytes_that_can_differ(forge, name, value):
    assert "EMPTY_EXPECTATION" == refusal(forge, **{name: value})


def test_an_expected_instance_is_compared(forge):
    assert "PCR_MISMATCH" == refusal(forge, policy=Instance("i-0fedcba9876543210"))


def test_a_release_that_is_not_among_the_expected_ones(forge):
    policies = [Pcrs({0: hashlib.sha384(name).digest()}) for name in (b"1", b"2")]

    assert "NO_ALTERNATIVE" == refusal(forge, policy=AnyOf(*policies))
