"""Every document of the corpus gets the answer that the index says, from the files alone.

This is what a harness in any language does: read `fixtures/attestation/index.json`, judge each
document as its entry says, compare. Nothing of what made the documents is used here, except to
check that making them again gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from forgery import library
from forgery.notes import NOTES
from nitrosim.attestation import (
    AttestationError,
    DocumentType,
    Historic,
    Live,
    Pcrs,
    UnsafeSkipPcrs,
    Verifier,
)
from nitrosim.attestation.errors import Code

CORPUS = Path(__file__).resolve().parents[3] / "fixtures" / "attestation"
INDEX = json.loads((CORPUS / "index.json").read_text("ascii"))
CASES = {case["id"]: case for case in INDEX["cases"]}

# Reasons that no document can give, or none that is a file: the caller's own mistakes, and
# arguments that are not bytes. They have tests of their own in test_expectations.py.
WITHOUT_A_DOCUMENT = {
    "NOT_BYTES",
    "CHAIN_CACHE",
    "CLOCK",
    "DOCUMENT_TYPE",
    "NO_ROOTS",
    "NO_POLICY",
    "EMPTY_POLICY",
    "PCR_EXPECTATION",
    "NO_ALTERNATIVE",
}


class Judge:
    """A verifier as one case asks for it, whose clock can be set to judge another case with it."""

    def __init__(self, case):
        root = (CORPUS / INDEX["roots"][case["root"]]["der"]).read_bytes()
        self.now = None
        self.verifier = Verifier(
            [root],
            now=lambda: self.now,
            crls=[(CORPUS / name).read_bytes() for name in case["crls"]],
        )

    def __call__(self, case, **options):
        self.now = datetime.fromisoformat(case["time"])
        expect = dict(case["expect"])
        pcrs = {int(index): value for index, value in expect.pop("pcrs", {}).items()}
        live = case["mode"] == "live"
        periods = [timedelta(seconds=case[key]) for key in ("max_age_s", "skew_s")] if live else []
        return self.verifier.verify(
            (CORPUS / case["document"]).read_bytes(),
            Pcrs(pcrs) if pcrs else UnsafeSkipPcrs(),
            **{name: bytes.fromhex(value) for name, value in expect.items()},
            time=Live(*periods) if live else Historic(),
            document_type=DocumentType(case["document_type"]),
            allow_debug=case["allow_debug"],
            strict=case["strict"],
            **options,
        )


def judge_in_order(case, **options):
    """Judge a case, after the one that the same verifier is to have judged before."""
    judge = Judge(case)
    if case["after"]:
        with contextlib.suppress(AttestationError):
            judge(CASES[case["after"]])
    return judge(case, **options)


def of_result(result):
    return [
        pytest.param(case, id=case["id"]) for case in CASES.values() if case["result"] == result
    ]


@pytest.mark.parametrize("case", of_result("refuse"))
def test_refused_for_the_right_reason(case):
    reports = []
    with pytest.raises(AttestationError) as caught:
        judge_in_order(case, observer=reports.append)
    error = caught.value

    assert (case["code"], case["step"]) == (error.code, error.step), str(error)
    assert Code[error.code].error is type(error)
    assert str(error).startswith(f"{error.code}: ")
    assert str(error).isprintable()
    if case["code"] in {"ZERO_EXPECTATION", "REVOCATION_LIST"} and not reports:
        # The policy, or the verifier with such a list, cannot even be made.
        return
    # The observer heard of every step before the failed one, in order, and then of the failure.
    assert sorted(report.number for report in reports) == [r.number for r in reports]
    assert (error.step, "failed") == (reports[-1].number, reports[-1].outcome)


@pytest.mark.parametrize("case", of_result("accept"))
def test_accepted_with_the_right_content(case):
    document = judge_in_order(case)

    assert case["content"] == {
        "module_id": document.module_id,
        "timestamp_ms": document.timestamp_ms,
        "pcrs": {str(index): value.hex() for index, value in document.pcrs.items()},
        **{
            name: None if getattr(document, name) is None else getattr(document, name).hex()
            for name in ("public_key", "user_data", "nonce")
        },
    }


def test_every_code_has_a_document():
    covered = {case["code"] for case in CASES.values()} - {None}

    assert {code.name for code in Code} - WITHOUT_A_DOCUMENT == covered


def test_every_note_has_a_document():
    used = {note for case in CASES.values() for note in case["notes"]}

    assert set(NOTES) == used == set(INDEX["notes"])


def test_the_committed_files_are_what_the_generator_makes():
    # To bring them up to date: make corpus
    assert [] == library.differences(CORPUS)


def test_the_index_says_what_its_schema_promises():
    schema = json.loads((CORPUS / "schema.json").read_text("ascii"))
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(INDEX, schema, cls=jsonschema.Draft202012Validator)


def test_files_are_those_of_the_index():
    named = {case["document"]: case["sha256"] for case in CASES.values()}
    named |= {root["der"]: root["sha256"] for root in INDEX["roots"].values()}

    assert named == {
        name: hashlib.sha256((CORPUS / name).read_bytes()).hexdigest() for name in named
    }
    assert set(named) == {
        path.relative_to(CORPUS).as_posix()
        for path in CORPUS.rglob("*")
        if path.suffix in {".cbor", ".der"} and path.parts[-2] != "crls"
    }


def test_no_root_can_be_taken_for_one_of_aws():
    from nitrosim.attestation.roots import AWS_ROOTS  # noqa: PLC0415

    pins = {root["sha256"] for root in INDEX["roots"].values()}

    assert not pins & {pin.hex() for pin in AWS_ROOTS.values()}
    for root in INDEX["roots"].values():
        assert b"Amazon" not in (CORPUS / root["der"]).read_bytes()
