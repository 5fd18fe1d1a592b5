from __future__ import annotations

import re

import pytest

from nitrosim.attestation import AttestationError
from nitrosim.attestation.errors import (
    CertificateChainError,
    Code,
    ExpectationError,
    MalformedDocumentError,
    PolicyError,
    SignatureError,
    TimeError,
)
from nitrosim.attestation.steps import STEPS

CLASSES_OF_STEPS = {
    MalformedDocumentError: range(1, 13),
    CertificateChainError: range(13, 23),
    SignatureError: range(23, 24),
    TimeError: (20, 24),
    PolicyError: (11, 25, 26, 27),
    ExpectationError: range(1, 28),
}


def test_there_are_28_steps():
    assert list(range(1, 29)) == list(STEPS)


@pytest.mark.parametrize("code", Code)
def test_every_code_is_stable_text_with_a_meaning_and_a_step_of_its_class(code):
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", code.name)
    assert code.meaning
    assert code.step in CLASSES_OF_STEPS[code.error]
    assert issubclass(code.error, AttestationError)


def test_no_code_is_an_alias_of_another():
    assert list(Code.__members__) == [code.name for code in Code]


def test_rendering():
    assert "DIGEST: digest" == str(Code.DIGEST("digest"))
    assert "DIGEST: digest, got 5" == str(Code.DIGEST("digest", got=5))
    assert "DIGEST: digest, got 01ff, expected SHA384" == (
        str(Code.DIGEST("digest", got=b"\1\xff", expected="SHA384"))
    )


def test_values_of_a_document_stay_on_the_line():
    error = Code.DIGEST("digest", got="SHA384\n\x1b[2J\u202e", expected="SHA384")

    assert str(error).isprintable()
    assert "SHA384\\n\\x1b[2J\\u202e" == error.got


def test_long_values_are_cut():
    assert len(str(Code.DIGEST("digest", got="x" * 16000))) < 400
