"""`nitrosim inspect`: what a document says, and what the verifier says about it.

One `Report` is made of the document and shown as text, as JSON or as a page. It tells whether
the document is genuine and never whether it is the right one: no PCR, nonce or freshness is
demanded here, and the exit status is no verdict. For that there is ``nitrosim verify``.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from nitrosim.cli.documents import (
    PARTITIONS,
    UsageError,
    add_file_argument,
    add_root_argument,
    instance_root,
    read_document,
    read_root,
)

if TYPE_CHECKING:
    import argparse

    from nitrosim.attestation.clock import Clock
    from nitrosim.cli.inspection.report import Report


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "inspect",
        help="show what is in an attestation document",
        description="Show who issued an attestation document, when, and whether each known root "
        "vouches for it, then everything that is in it. A damaged document is shown as far as it "
        "can be read. Exit status: 0 shown (genuine or not), 1 not an attestation document, "
        "2 usage, or the page cannot be written.",
        epilog="With --json, these keys are stable: file, size, sha256, inspected_at, standing "
        "(genuine: the root of an AWS partition vouches for it; simulated: that of the simulated "
        "instance; other-root: one given with --root; refused: none; damaged: not a document), "
        "summary, caveats, problem, unverified (document_type, module_id, instance_id, region, "
        "timestamp, timestamp_ms, age_seconds, launched, debug, pcrs, pcr_names, zero_pcrs, "
        "public_key, user_data, nonce, looks_like, text, unknown_fields, size, payload_size, "
        "tagged, indefinite_map, signature, certificates) and verdicts, by root (ok, "
        "genuine, refusal, live_ok, live_refusal, root_sha256, steps). New keys may be added.",
        allow_abbrev=False,
    )
    add_file_argument(parser)
    add_root_argument(parser, default="every known root")
    parser.add_argument(
        "--steps", action="store_true", help="list all steps of each verdict (always in --json)"
    )
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="write one self-contained page there instead of printing; - is standard output. "
        "An existing file is replaced in one step",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, *, clock: Clock | None = None) -> int:
    """Show the document as of `clock`, the system's by default; return the exit status."""
    # The cryptography takes longer to load than the rest of the command line together.
    from nitrosim.attestation.clock import system_clock  # noqa: PLC0415
    from nitrosim.attestation.errors import ExpectationError  # noqa: PLC0415
    from nitrosim.cli.inspection.build import build_report  # noqa: PLC0415

    try:
        if args.html is not None:
            _check_html(args)
        data = read_document(args.file)
        roots = _roots(args)
        now = (clock or system_clock)()
        report = build_report(data, name=args.file, roots=roots, now=now)
        _deliver(args, report)
    except (UsageError, ExpectationError) as error:
        print(f"nitrosim inspect: {error}", file=sys.stderr)
        return 2
    if report.problem is not None:
        print(report.problem, file=sys.stderr)
        return 1
    return 0


def _check_html(args: argparse.Namespace) -> None:
    from nitrosim.cli.inspection.output import check_target  # noqa: PLC0415 - for this option only

    if args.json:
        raise UsageError("--html and --json contradict each other")
    if args.steps:
        raise UsageError("--steps goes with text only: the page has them to be unfolded")
    if not args.html:
        raise UsageError("--html: expected the name of a file, or -")
    check_target(args.html, args.file)


def _roots(args: argparse.Namespace) -> dict[str, bytes]:
    names: list[str] = args.roots or list(PARTITIONS)
    if not args.roots and instance_root(args.instance).exists():
        names = [*names, "instance"]
    return {name: read_root(name, args.instance) for name in names}


def _deliver(args: argparse.Namespace, report: Report) -> None:
    if args.html is not None:
        from nitrosim.cli.inspection.as_html import render_html  # noqa: PLC0415 - only one is needed
        from nitrosim.cli.inspection.output import write_page  # noqa: PLC0415

        write_page(args.html, render_html(report))
    elif args.json:
        from nitrosim.cli.inspection.as_json import report_json  # noqa: PLC0415

        print(json.dumps(report_json(report), indent=2))
    else:
        import shutil  # noqa: PLC0415 - for the width of the terminal only

        from nitrosim.cli.inspection.as_text import DEFAULT_WIDTH, render_text  # noqa: PLC0415

        width = shutil.get_terminal_size((DEFAULT_WIDTH, 0)).columns
        encoding = sys.stdout.encoding or "ascii"
        text = render_text(report, width=width, encoding=encoding, steps=args.steps)
        sys.stdout.write(text)
