"""`nitrosim verify`: accept or refuse an attestation document.

Exit status 0: verified, the content is on standard output. 1: refused, with one line
``CODE: what, got X, expected Y`` on standard error. 2: the command was not usable as given,
which includes demands that would accept too much (an all-zero PCR, an empty nonce).
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Final

from nitrosim.cli.documents import (
    UsageError,
    add_file_argument,
    add_root_argument,
    claims_json,
    field_lines,
    iso,
    pcr_lines,
    printable,
    read_document,
    read_root,
)

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from nitrosim.attestation import AttestationError, Policy, VerifiedDocument, Verifier

DEFAULT_MAX_AGE_SECONDS: Final = 300.0
_LONGEST_MAX_AGE_SECONDS: Final = 1e9


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "verify",
        help="verify an attestation document",
        description="Verify an attestation document and print its content. Exit status: "
        "0 verified, 1 refused (one line on standard error says why), 2 usage.",
        allow_abbrev=False,
    )
    add_file_argument(parser)
    add_root_argument(parser, default="aws")
    parser.add_argument(
        "--pcr",
        dest="pcrs",
        metavar="N=HEX",
        action="append",
        type=_pcr,
        default=[],
        help="demand this value of PCR N; may be repeated",
    )
    parser.add_argument(
        "--build",
        dest="builds",
        metavar="FILE",
        action="append",
        default=[],
        help="demand the PCRs in this file, which nitro-cli build-enclave or describe-eif printed; "
        "given several times, those of one of these releases",
    )
    for name in ("nonce", "user-data", "public-key"):
        parser.add_argument(
            f"--{name}", metavar="HEX", type=_hex, help=f"demand this {name.replace('-', '_')}"
        )
    parser.add_argument(
        "--at",
        metavar="now|document|ISO-TIME",
        type=_at,
        default="now",
        help="judge freshness now (default) or as of a given time (UTC unless it names a zone); "
        "or, with 'document', judge an archived document at its own timestamp, which says nothing "
        "about freshness",
    )
    parser.add_argument(
        "--max-age",
        metavar="SECONDS",
        type=_seconds,
        default=DEFAULT_MAX_AGE_SECONDS,
        help="greatest accepted age of the document (default: %(default)g); not with --at document",
    )
    parser.add_argument(
        "--allow-debug", action="store_true", help="accept an enclave in debug mode"
    )
    parser.add_argument(
        "--type",
        dest="document_type",
        choices=("enclave", "nitrotpm"),
        default="enclave",
        help="kind of module that must have issued the document (default: %(default)s)",
    )
    parser.add_argument(
        "--unsafe-skip-pcr-check",
        action="store_true",
        help="demand no PCR: accepts the enclaves of every AWS customer",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Verify and report; return the exit status."""
    # The cryptography takes longer to load than the rest of the command line together.
    from nitrosim.attestation import AttestationError, DocumentType, Historic, Live  # noqa: PLC0415
    from nitrosim.attestation.errors import ExpectationError  # noqa: PLC0415

    try:
        verifier, policy = _verifier(args), _policy(args)
        document = verifier.verify(
            read_document(args.file),
            policy,
            nonce=args.nonce,
            user_data=args.user_data,
            public_key=args.public_key,
            time=Historic() if args.at == "document" else Live(max_age=_period(args.max_age)),
            document_type=DocumentType(args.document_type),
            allow_debug=args.allow_debug,
        )
    except (UsageError, ExpectationError) as error:
        print(f"nitrosim verify: {error}", file=sys.stderr)
        return 2
    except AttestationError as error:
        if args.json:
            print(json.dumps(refusal_json(error), indent=2))
        print(error, file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(_verified_json(document), indent=2))
    else:
        print("\n".join(_verified_lines(document, waived=args.unsafe_skip_pcr_check)))
    return 0


def refusal_json(error: AttestationError) -> dict[str, object]:
    """Return a refusal as JSON values."""
    return {
        "ok": False,
        "code": error.code,
        "step": error.step,
        "what": error.what,
        "got": error.got,
        "expected": error.expected,
    }


def _verifier(args: argparse.Namespace) -> Verifier:
    from nitrosim.attestation import Verifier  # noqa: PLC0415
    from nitrosim.attestation.clock import system_clock  # noqa: PLC0415

    roots = [read_root(name, args.instance) for name in args.roots or ["aws"]]
    at = args.at
    return Verifier(roots, now=system_clock if isinstance(at, str) else lambda: at)


def _policy(args: argparse.Namespace) -> Policy:
    from nitrosim.attestation import AllOf, AnyOf, Pcrs, UnsafeSkipPcrs  # noqa: PLC0415

    expected = dict(args.pcrs)
    if args.unsafe_skip_pcr_check:
        if expected or args.builds:
            raise UsageError("--pcr or --build contradicts --unsafe-skip-pcr-check")
        return UnsafeSkipPcrs()
    if len(expected) != len(args.pcrs):
        raise UsageError("--pcr was given twice for the same register")
    policies: list[Policy] = [Pcrs(expected)] if expected else []
    if args.builds:
        policies.append(AnyOf(*(Pcrs.from_build(read_document(name)) for name in args.builds)))
    if not policies:
        raise UsageError(
            "no PCR to check: give --build FILE (what nitro-cli describe-eif printed) or "
            "--pcr N=HEX, or accept every customer's enclaves with --unsafe-skip-pcr-check"
        )
    return policies[0] if len(policies) == 1 else AllOf(*policies)


def _verified_json(document: VerifiedDocument) -> dict[str, object]:
    return {
        "ok": True,
        **claims_json(document),
        "root_sha256": document.root_sha256.hex(),
        "evaluated_at": iso(document.evaluated_at),
        "live": document.live,
    }


def _verified_lines(document: VerifiedDocument, *, waived: bool) -> list[str]:
    notes = []
    if waived:
        notes.append("PCRs were NOT checked: this may be anybody's enclave")
    if document.debug:
        notes.append("DEBUG MODE: the parent instance can read its console")
    if not document.live:
        notes.append("judged at its own timestamp: it may be a replay")
    return [
        f"verified    {document.document_type} document",
        *(f"BUT         {note}" for note in notes),
        f"module      {printable(document.module_id)}",
        f"issued      {iso(document.timestamp)}",
        f"root        SHA-256 {document.root_sha256.hex()}",
        *field_lines(document),
        "PCRs",
        *pcr_lines(document),
    ]


def _period(seconds: float) -> timedelta:
    from datetime import timedelta  # noqa: PLC0415

    return timedelta(seconds=seconds)


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not hex digits: {text!r}") from error


def _pcr(text: str) -> tuple[int, bytes]:
    index, separator, value = text.partition("=")
    if not separator or not index.isdecimal():
        raise argparse.ArgumentTypeError(f"not N=HEX: {text!r}")
    return int(index), _hex(value)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not a number of seconds: {text!r}") from error
    if not 0 < seconds <= _LONGEST_MAX_AGE_SECONDS:
        raise argparse.ArgumentTypeError(f"not a positive number of seconds: {text!r}")
    return seconds


def _at(text: str) -> str | datetime:
    from datetime import UTC, datetime  # noqa: PLC0415 - not for every command

    if text in {"now", "document"}:
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"not 'now', 'document' or a time such as 2026-02-03T10:12:02Z: {text!r}"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
