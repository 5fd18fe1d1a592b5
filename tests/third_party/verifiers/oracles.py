"""The foreign verifiers: who they are, which part of the work they do, how they are run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from building import UnavailableError
from verifiers import programs
from verifiers.asking import Answer, Program
from verifiers.jobs import Case

HERE = Path(__file__).resolve().parent

PARTS = {
    "envelope": (1, 2, 3, 4),
    "headers": (5, 6),
    "payload": (8, 9, 10, 11, 12),
    "chain": (13, 14, 15, 16, 17, 18, 19),
    "validity": (20,),
    "revocation": (21,),
    "identity": (22,),
    "signature": (7, 23),
    "freshness": (24,),
    "PCRs": (25, 26),
    "nonce and fields": (27,),
}
"""The parts of a verifier's work, as the steps of our procedure that belong to each."""

WHOLE = frozenset({"envelope", "headers", "payload", "chain", "validity", "signature"})
"""What a verifier of documents does; the rest is its caller's, who knows what to expect."""


@dataclass(frozen=True)
class Oracle:
    """A foreign verifier.

    Attributes:
        name: of the package or program.
        kind: language and where it comes from.
        address: where to read about it.
        version: returns the version that is asked.
        parts: which `PARTS` it does, asked with the root of the corpus.
        real_parts: the same, asked with the root of AWS.
        kinds: of documents it can be asked for.
        how: how it is asked, a sentence.
        program: builds and returns the program that holds it.

    """

    name: str
    kind: str
    address: str
    version: Callable[[], str]
    parts: frozenset[str]
    real_parts: frozenset[str]
    kinds: frozenset[str]
    how: str
    program: Callable[[], Program]

    def covers(self, case: Case) -> bool:
        """Say whether what is wrong with a document is this verifier's work.

        Where nothing is wrong, it is.
        """
        parts = self.real_parts if case.is_real else self.parts
        return case.step is None or any(case.step in PARTS[part] for part in parts)

    def ask(self, cases: list[Case]) -> dict[str, Answer]:
        """Return what the verifier says of each case, by the case's id."""
        answers = {
            case.id: Answer("unsupported", f"it knows no {case.kind} documents")
            for case in cases
            if case.kind not in self.kinds
        }
        return answers | self.program().ask(case for case in cases if case.kind in self.kinds)


_ENCLAVES = frozenset({"enclave"})
_ANY = frozenset({"enclave", "nitrotpm"})
_CHAINS = frozenset({"chain", "validity"})


def _pinned(file: str, pattern: str) -> Callable[[], str]:
    def version() -> str:
        found = re.search(pattern, (HERE / file).read_text("utf-8"), re.MULTILINE)
        assert found is not None
        return found[1]

    return version


def _of_program(*command: str, pattern: str) -> Callable[[], str]:
    def version() -> str:
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except FileNotFoundError as error:
            raise UnavailableError(command[0], f"needs {command[0]}") from error
        found = re.search(pattern, said)
        assert found is not None
        return found[1]

    return version


def _rust(name: str) -> Callable[[], Program]:
    return lambda: Program((str(programs.rust("verifiers")), name))


def _crate(
    name: str, kind: str, parts: frozenset[str], how: str, kinds: frozenset[str] = _ENCLAVES
) -> Oracle:
    return Oracle(
        name=name,
        kind=kind,
        address=f"https://crates.io/crates/{name}",
        version=_pinned("rust/Cargo.toml", rf'^{name} = .*"=([0-9.]+)"'),
        parts=parts,
        real_parts=parts,
        kinds=kinds,
        how=how,
        program=_rust(name),
    )


def _evervault() -> Program:
    command = (str(programs.python()), str(HERE / "python" / "judge.py"))
    return Program(command, {"LD_PRELOAD": str(programs.clock())})


def _openssl() -> Program:
    if shutil.which("openssl") is None:
        raise UnavailableError("openssl", "needs openssl: apt-get install openssl")
    return Program((sys.executable, str(HERE / "openssl" / "judge.py")))


def _java() -> Program:
    if shutil.which("java") is None:
        raise UnavailableError("java", "needs java: apt-get install default-jdk-headless")
    return Program(("java", "-Xshare:auto", "-cp", str(programs.java("Judge")), "Judge"))


_ORACLES = (
    Oracle(
        name="nitrite",
        kind="Go module",
        address="https://github.com/hf/nitrite",
        version=_pinned("go/go.mod", r"github\.com/hf/nitrite (\S+)"),
        parts=WHOLE,
        real_parts=WHOLE,
        kinds=_ENCLAVES,
        how="It is given the document, the root and the time.",
        program=lambda: Program((str(programs.go("nitrite")),)),
    ),
    _crate(
        "nsm-nitro-enclave-utils",
        "Rust crate (rustls-webpki, coset)",
        WHOLE,
        "It is given the document, the root and the time.",
    ),
    _crate(
        "attestation-doc-validation",
        "Rust crate (webpki, serde_cbor)",
        WHOLE,
        "Root and clock are built in: the one file with the root is replaced in a copy of its "
        "sources, and the process is told another time of day.",
    ),
    Oracle(
        name="evervault-attestation-bindings",
        kind="Python package (the crate above, compiled)",
        address="https://pypi.org/project/evervault-attestation-bindings/",
        version=_pinned("python/requirements.txt", r"==(\S+)"),
        parts=frozenset({"envelope", "payload"}),
        real_parts=WHOLE,
        kinds=_ENCLAVES,
        how="It knows only the root of AWS. Of the corpus it judges what comes before the chain: "
        "to complain of the chain is to accept all else. It judges real documents entirely, with "
        "the process told another time of day.",
        program=_evervault,
    ),
    _crate(
        "aws-nitro-enclaves-cose",
        "Rust crate by AWS (ciborium)",
        frozenset({"envelope", "headers", "signature"}),
        "It is given the document and the key of the leaf certificate.",
        _ANY,
    ),
    Oracle(
        name="openssl",
        kind="program, `openssl verify`",
        address="https://docs.openssl.org/master/man1/openssl-verify/",
        version=_of_program("openssl", "version", pattern=r"OpenSSL (\S+)"),
        parts=_CHAINS,
        real_parts=_CHAINS,
        kinds=_ANY,
        how="It is given the leaf, the certificates between, the root to trust and the time.",
        program=_openssl,
    ),
    Oracle(
        name="openjdk",
        kind="Java runtime, `CertPathValidator` PKIX",
        address="https://docs.oracle.com/en/java/javase/17/security/java-pki-programmers-guide.html",
        version=_of_program("javac", "-version", pattern=r"javac (\S+)"),
        parts=_CHAINS,
        real_parts=_CHAINS,
        kinds=_ANY,
        how="It is given the chain in its order, leaf first, the root to trust and the time.",
        program=_java,
    ),
)

ORACLES = {oracle.name: oracle for oracle in _ORACLES}
"""All of them, by name, in the order of the page."""
