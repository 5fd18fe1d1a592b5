"""`nitrosim inspect`: what a document says, and what the verifier says about it.

The first part is not verified, and labelled so. The second puts the document to the
verifier with each known root, at the document's own time and without demands on
PCRs: it tells whether the document is genuine, not whether it is the right one.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from nitrosim.cli.documents import (
    UsageError,
    add_file_argument,
    add_root_argument,
    claims_json,
    field_lines,
    instance_root,
    iso,
    pcr_lines,
    printable,
    read_document,
    read_root,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from nitrosim.attestation import StepReport, UnverifiedDocument

_ENC_MARK: Final = "-enc"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "inspect",
        help="show what is in an attestation document",
        description="Show an attestation document without believing it, then what the verifier "
        "says with each root. Exit status: 0 shown (genuine or not), 1 not an attestation "
        "document, 2 usage.",
        allow_abbrev=False,
    )
    add_file_argument(parser)
    add_root_argument(parser, default="every known root")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show the document; return the exit status."""
    # The cryptography takes longer to load than the rest of the command line together.
    from nitrosim.attestation import AttestationError, read_unverified  # noqa: PLC0415
    from nitrosim.attestation.clock import system_clock  # noqa: PLC0415
    from nitrosim.attestation.errors import ExpectationError  # noqa: PLC0415
    from nitrosim.cli.verify import refusal_json  # noqa: PLC0415 - loads nothing heavy

    try:
        data = read_document(args.file)
        roots = _roots(args)
        document = read_unverified(data)
        verdicts = {name: _verdict(data, document, root) for name, root in roots.items()}
    except (UsageError, ExpectationError) as error:
        print(f"nitrosim inspect: {error}", file=sys.stderr)
        return 2
    except AttestationError as error:
        if args.json:
            print(json.dumps(refusal_json(error), indent=2))
        print(error, file=sys.stderr)
        return 1
    now = system_clock()
    if args.json:
        shown = {
            "unverified": describe(document),
            "verdicts": {name: verdict_json(steps) for name, steps in verdicts.items()},
        }
        print(json.dumps(shown, indent=2))
    else:
        print("\n".join(unverified_lines(document, now)))
        print("\n".join(line for n, v in verdicts.items() for line in verdict_lines(n, v)))
    return 0


def describe(document: UnverifiedDocument) -> dict[str, Any]:
    """Return everything the document says as JSON values."""
    return {
        **claims_json(document.claims),
        "launched": _optional_iso(launch_time(document.claims.module_id)),
        "size": document.size,
        "payload_size": len(document.envelope.payload),
        "tagged": document.envelope.tagged,
        "indefinite_map": document.indefinite_map,
        "signature": f"{document.envelope.r:096x}{document.envelope.s:096x}",
        "certificates": [
            None
            if certificate is None
            else {
                "common_name": certificate.common_name,
                "serial": f"{certificate.serial:x}",
                "not_before": iso(certificate.begins),
                "not_after": iso(certificate.ends),
                "sha256": certificate.sha256.hex(),
                "size": len(certificate.der),
            }
            for certificate in document.certificates
        ],
    }


def unverified_lines(document: UnverifiedDocument, now: datetime) -> Iterator[str]:
    """Show the document for people, as of `now`."""
    claims, envelope = document.claims, document.envelope
    yield "NOT VERIFIED: this is what the document says, and anyone can write one"
    yield ""
    yield f"type        {claims.document_type}" + ("  (DEBUG MODE)" if claims.debug else "")
    yield f"module      {printable(claims.module_id)}"
    yield f"instance    {printable(claims.instance_id)}"
    launched = launch_time(claims.module_id)
    if launched:
        before = _span(claims.timestamp - launched)
        yield f"launched    {iso(launched)}, {before} before the document"
    age = now - claims.timestamp
    yield f"issued      {iso(claims.timestamp)}, {_relative(age)}"
    yield (
        f"size        {document.size} bytes, payload {len(envelope.payload)}; "
        f"{'tag 18' if envelope.tagged else 'no tag'}, "
        f"{'indefinite' if document.indefinite_map else 'definite'}-length map"
    )
    yield from field_lines(claims)
    if claims.unknown_fields:
        yield f"unknown     {', '.join(map(printable, claims.unknown_fields))}"
    yield f"PCRs        {len(claims.pcrs)}"
    yield from pcr_lines(claims)
    yield f"chain       {len(document.certificates)} certificates, root first"
    for depth, certificate in enumerate(document.certificates):
        indent = "  " * (depth + 1)
        if certificate is None:
            yield f"{indent}(not a certificate in strict DER)"
            continue
        yield f"{indent}{printable(certificate.common_name)}"
        yield (
            f"{indent}  {iso(certificate.begins)} to {iso(certificate.ends)}, "
            f"{_remaining(certificate.ends - claims.timestamp)} at issue, "
            f"{_remaining(certificate.ends - now)} now"
        )
    yield ""


def verdict_lines(name: str, steps: list[StepReport]) -> list[str]:
    """Show what the verifier says with one root."""
    last = steps[-1]
    if last.outcome == "failed":
        lines = [f"with root {name}: REFUSED at step {last.number} ({last.name})"]
        lines.append(f"  {last.detail}")
        return lines
    lines = [f"with root {name}: GENUINE at its own time; PCRs and freshness were not judged"]
    lines.extend(
        f"  {step.number:>2} {step.outcome:<7} {step.name}"
        + (f": {printable(step.detail)}" if step.detail else "")
        for step in steps
    )
    return lines


def verdict_json(steps: list[StepReport]) -> dict[str, Any]:
    """Return what the verifier says with one root as JSON values."""
    return {
        "ok": steps[-1].outcome != "failed",
        "steps": [
            {
                "number": step.number,
                "name": step.name,
                "outcome": str(step.outcome),
                "detail": step.detail,
            }
            for step in steps
        ],
    }


def launch_time(module_id: str) -> datetime | None:
    """Return the launch time that an enclave's module id carries in its first 48 bits."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    digits = module_id.partition(_ENC_MARK)[2]
    try:
        milliseconds = int(digits[:12], 16)
    except ValueError:
        return None
    if len(digits) != 16:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def _roots(args: argparse.Namespace) -> dict[str, bytes]:
    names: list[str] = args.roots or ["aws", "aws-us-gov"]
    if not args.roots and instance_root(args.instance).exists():
        names = [*names, "instance"]
    return {name: read_root(name, args.instance) for name in names}


def _verdict(data: bytes, document: UnverifiedDocument, root: bytes) -> list[StepReport]:
    from nitrosim.attestation import (  # noqa: PLC0415
        AttestationError,
        Historic,
        UnsafeSkipPcrs,
        Verifier,
    )

    steps: list[StepReport] = []
    verifier = Verifier([root])
    try:
        verifier.verify(
            data,
            UnsafeSkipPcrs(),
            time=Historic(),
            document_type=document.claims.document_type,
            allow_debug=True,
            observer=steps.append,
        )
    except AttestationError:
        # The observer has heard of it: the failed step is the last one.
        return steps
    return steps


def _optional_iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def _relative(age: timedelta) -> str:
    return f"{_span(-age)} from now" if age.total_seconds() < 0 else f"{_span(age)} ago"


def _remaining(left: timedelta) -> str:
    return f"ended {_span(-left)} before" if left.total_seconds() < 0 else f"{_span(left)} left"


def _span(period: timedelta) -> str:
    """Return a length of time in its two largest units."""
    seconds = round(period.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    for unit, size, smaller, smaller_size in _UNITS:
        if seconds >= size:
            rest = seconds % size // smaller_size
            return f"{sign}{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{sign}{seconds} s"


_UNITS: Final = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))
"""Unit, its seconds, the next smaller unit, its seconds."""
