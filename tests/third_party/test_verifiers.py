"""Foreign verifiers and the corpus: what they say is recorded, explained, and on the page.

The verdicts are compared with ``verifiers/verdicts.json``, every disagreement in it needs its
sentence in ``verifiers/explained.toml``, and ``docs/verifiers.md`` is made of both. After a change
of the corpus or of a version: ``python tests/third_party/verifiers/record.py --show``, then
``python docs/collect_verifiers.py``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from building import UnavailableError
from forgery import keys
from forgery.forge import Forge
from thoroughness import part
from verifiers import findings, programs
from verifiers.asking import Answer, Program
from verifiers.jobs import CORPUS, Case, corpus, real
from verifiers.oracles import ORACLES, PARTS

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

RECORD = findings.read_record()

NOW_MS = 1_780_315_201_000
IMAGE = "aa" * 48
NONCE = "0011223344556677"

# A verifier that says what the case is called, or does what it is called.
PUPPET = """
import json, os, signal, sys, time
for line in sys.stdin:
    name = line.split("\\t")[0]
    if name == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "leave":
        sys.exit("cannot go on")
    if name == "sleep":
        signal.pause()
    print(json.dumps({"id": name, "verdict": name, "reason": str(os.getpid())}), flush=True)
"""


def unavailable(error: UnavailableError):
    required = os.environ.get("NITROSIM_REQUIRE", "").split(",")
    if error.tool in (feature.strip() for feature in required):
        pytest.fail(f"{error} ({error.tool} is demanded by NITROSIM_REQUIRE)", pytrace=False)
    pytest.skip(str(error))


def answers_of(name: str, cases: list[Case]) -> dict[str, Answer]:
    try:
        return ORACLES[name].ask(cases)
    except UnavailableError as error:
        unavailable(error)


def case(**changes) -> Case:
    good = corpus()[0]
    return replace(good, **changes)


@pytest.mark.parametrize("name", ORACLES)
def test_verdicts_on_the_corpus_are_the_recorded_ones(name):
    cases = part(corpus(), 6)

    found = findings.compare(ORACLES[name], cases, answers_of(name, cases))

    entry = RECORD["oracles"][name]
    asked = {case.id for case in cases}
    differs = {case: verdict for case, verdict in entry["differs"].items() if case in asked}
    assert differs == found.differs, f"recorded with {entry['version']}"
    assert [case for case in entry["unsupported"] if case in asked] == found.unsupported


@pytest.mark.parametrize("name", ORACLES)
def test_verdicts_on_real_documents_are_the_recorded_ones(name, real_docs, tmp_path):
    recorded = RECORD["oracles"][name]["real"]
    cases = [case for case in real(real_docs, tmp_path) if case.id in recorded]
    if not cases:
        pytest.skip("the real documents are others than the recorded ones")

    answers = answers_of(name, cases)

    said = {case.id: answers[case.id].verdict for case in cases}
    assert said == {name: recorded[name] for name in said}


@pytest.mark.parametrize(
    "name", [name for name, oracle in ORACLES.items() if "signature" in oracle.real_parts]
)
def test_damaged_real_document_is_refused_for_its_signature(name, real_docs, tmp_path):
    damaged = [case for case in real(real_docs, tmp_path) if case.result == "refuse"]
    if not damaged:
        pytest.skip("no real document is damaged")

    for answer in answers_of(name, damaged).values():
        assert "refuse" == answer.verdict
        assert "signature" in answer.reason


@pytest.mark.parametrize("trusted", ["corpus", "validity-root-expired"])
def test_nitrite_panics_on_a_leaf_on_p521_whether_or_not_the_chain_is_trusted(tmp_path, trusted):
    forge = Forge("third party/leaf on p521")
    forge.change("leaf", key=keys.key("third party/leaf on p521", ec.SECP521R1()))
    document = tmp_path / "document.cbor"
    document.write_bytes(forge.document(signature=bytes(96)))
    hostile = case(document=document, root=CORPUS / "roots" / f"{trusted}.der", clock_ms=NOW_MS)

    answer = answers_of("nitrite", [hostile])[hostile.id]

    assert Answer("crash", "unknown ECDSA curve name P-521") == answer


def test_every_disagreement_has_one_explanation():
    assert [] == findings.unexplained(findings.recorded(RECORD), findings.explanations())


def test_no_explanation_is_stale():
    assert [] == findings.stale(findings.recorded(RECORD), findings.explanations())


def test_explanations_blame_somebody_known():
    assert set(findings.WHOSE) >= {entry.whose for entry in findings.explanations()}


def test_the_record_is_of_cases_that_exist():
    there = {case.id for case in corpus()}

    for entry in RECORD["oracles"].values():
        assert set() == {*entry["differs"], *entry["unsupported"]} - there


def test_the_record_is_of_the_versions_that_are_asked():
    pinned = [name for name in ORACLES if name not in {"openssl", "openjdk"}]

    assert {name: ORACLES[name].version() for name in pinned} == {
        name: RECORD["oracles"][name]["version"] for name in pinned
    }


def test_the_page_is_up_to_date():
    done = subprocess.run(
        [sys.executable, REPOSITORY / "docs" / "collect_verifiers.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_every_step_of_the_procedure_belongs_to_one_part():
    steps = sorted(step for part in PARTS.values() for step in part)

    assert list(range(1, 28)) == steps


def test_a_refusal_that_is_not_a_verifiers_work_is_no_disagreement():
    wrong_pcr = case(id="one", result="refuse", step=25)
    wrong_chain = case(id="two", result="refuse", step=15)
    answers = {"one": Answer("accept"), "two": Answer("accept")}

    found = findings.compare(ORACLES["nitrite"], [wrong_pcr, wrong_chain], answers)

    assert {"two": "accept"} == found.differs


def test_a_crash_is_a_disagreement_whatever_is_wrong():
    wrong_pcr = case(id="one", result="refuse", step=25)

    found = findings.compare(ORACLES["nitrite"], [wrong_pcr], {"one": Answer("crash")})

    assert {"one": "crash"} == found.differs


def test_disagreement_without_explanation_and_explanation_without_disagreement_are_told():
    found = {"openssl": findings.Findings({"a/b": "accept", "a/c": "refuse"}, [])}
    found["openjdk"] = findings.Findings({}, [])
    known = [
        findings.Explanation(("openssl", "openjdk"), ("a/b", "x/*"), "accept", "theirs", "one"),
        findings.Explanation(("openssl",), ("a/*",), "accept", "theirs", "two"),
    ]

    assert [
        "openssl: accept a/b: 2 explanations",
        "openssl: refuse a/c: 0 explanations",
    ] == findings.unexplained(found, known)
    assert ["openjdk: one", "x/*: one"] == findings.stale(found, known)


@pytest.mark.parametrize(
    ("name", "verdict", "reason"),
    [
        ("die", "crash", "SIGSEGV"),
        ("leave", "crash", "exit status 1: cannot go on"),
        ("sleep", "hang", "nothing for 1 s"),
    ],
)
def test_verifier_that_fails_is_started_anew_for_the_next_case(name, verdict, reason):
    program = Program((sys.executable, "-c", PUPPET), limit_s=1.0)

    said = program.ask([case(id="accept"), case(id=name), case(id="refuse")])

    assert Answer(verdict, reason) == said[name]
    assert "accept" == said["accept"].verdict
    assert "refuse" == said["refuse"].verdict
    assert said["accept"].reason != said["refuse"].reason


def test_certificates_are_handed_over_root_first_leaf_last():
    good = next(case for case in corpus() if case.id == "good/as-today")

    *_, certificates = good.line().split("\t")

    chain = [bytes.fromhex(certificate) for certificate in certificates.split(",")]
    assert good.root.read_bytes() == chain[0]
    assert 5 == len(chain)


def test_archived_document_is_judged_at_its_own_time():
    index = json.loads((CORPUS / "index.json").read_text("utf-8"))
    stated = {
        entry["id"]: entry["content"]["timestamp_ms"]
        for entry in index["cases"]
        if entry["mode"] == "historic" and entry["result"] == "accept"
    }

    clocks = {case.id: case.clock_ms for case in corpus() if case.id in stated}

    assert stated == clocks
    assert stated


@pytest.fixture(scope="module")
def genuine(tmp_path_factory) -> tuple[Path, Path]:
    """Return a root and a document of the simulator, as the command line gives them."""
    folder = tmp_path_factory.mktemp("genuine")
    root, document = folder / "root.pem", folder / "document.cbor"

    def nitrosim(*arguments) -> str:
        return subprocess.run(
            [sys.executable, "-m", "nitrosim.cli.main", *map(str, arguments)],
            env={**os.environ, "NITROSIM_STATE": str(folder / "state")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    nitrosim("attest", "--nonce", NONCE, "--pcr", f"0={IMAGE}", "-o", document)
    root.write_text(nitrosim("ca", "--pem"))
    return root, document


@pytest.fixture(params=["verify.go", "verify.rs"])
def example(request) -> Path:
    """Return the built program of an example in the documentation."""
    try:
        if request.param == "verify.go":
            return programs.go("verify-go", "../examples/verify.go")
        return programs.rust("verify")
    except UnavailableError as error:
        unavailable(error)


def verify(example, *arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [example, *arguments], capture_output=True, text=True, check=False, timeout=30
    )


def test_example_accepts_a_document_of_the_simulator(example, genuine):
    done = verify(example, *genuine, IMAGE, NONCE)

    assert (0, "") == (done.returncode, done.stderr)
    assert re.fullmatch(r"i-[0-9a-f]{17}-enc[0-9a-f]{16}\n", done.stdout)


def test_example_refuses_another_image(example, genuine):
    done = verify(example, *genuine, "bb" * 48, NONCE)

    assert 1 == done.returncode
    assert "another image" in done.stderr


def test_example_refuses_another_nonce(example, genuine):
    done = verify(example, *genuine, IMAGE, "00")

    assert 1 == done.returncode
    assert "not an answer to me" in done.stderr


def test_example_refuses_another_root(example, genuine):
    _root, document = genuine

    done = verify(example, CORPUS / "roots" / "corpus.pem", document, IMAGE, NONCE)

    assert 1 == done.returncode
    assert re.search("unknown authority|UnknownIssuer", done.stderr)
