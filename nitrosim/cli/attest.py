"""`nitrosim attest`: issue an attestation document without any program.

Tests in any language can get a document of exactly the content they need. With ``--enclave`` a
running enclave's module is asked, through the hypervisor; without it a module is made in this
process, from the root CA and the instance id of the simulated instance.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nitrosim.cli.documents import UsageError

if TYPE_CHECKING:
    import argparse

IMAGE_LABELS: Final = {
    0: b"nitrosim attest: image",
    1: b"nitrosim attest: kernel and boot ramdisk",
    2: b"nitrosim attest: application",
}
"""What PCR0, 1 and 2 measure unless ``--pcr`` gives them: SHA384(0^48 + SHA384(label))."""

_DEBUG_ZERO: Final = (0, 1, 2, 8)
_PCR_COUNT: Final = 32
_PCR_LENGTH: Final = 48
_LARGEST_KEY: Final = 1 << 16


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "attest",
        help="issue an attestation document",
        description="Issue an attestation document: of a running enclave, or of none at all. "
        "Without --enclave, PCR0, 1 and 2 are fixed values that are not zero, PCR4 is that of the "
        "simulated instance, and all others are zero unless given.",
        allow_abbrev=False,
    )
    parser.add_argument("--enclave", metavar="NAME", help="ask the module of this running enclave")
    parser.add_argument("--nonce", metavar="HEX", help="nonce of the document")
    parser.add_argument("--user-data", metavar="HEX", help="user_data of the document")
    parser.add_argument(
        "--public-key", metavar="FILE", help="file whose bytes become public_key (usually DER)"
    )
    parser.add_argument(
        "--pcr",
        dest="pcrs",
        metavar="N=HEX",
        action="append",
        default=[],
        help="value of PCR N, 48 bytes; from 16 on the register is locked, so that it is shown",
    )
    parser.add_argument(
        "--debug-mode", action="store_true", help="PCR0, 1, 2 and 8 are zero, as in debug mode"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write there instead of to standard output"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Issue one document; return the exit status: 0, 1 if the module refused, or 2 for usage."""
    try:
        fields = _fields(args)
        pcrs = _given_pcrs(args)
        _check_output(args)
        answer = _ask_enclave(args, fields) if args.enclave else _ask_own(args, fields, pcrs)
        if "Error" in answer:
            print(f"nitrosim attest: the module answered {answer['Error']}", file=sys.stderr)
            return 1
        _deliver(args, answer["Attestation"]["document"])
    except UsageError as error:
        print(f"nitrosim attest: {error}", file=sys.stderr)
        return 2
    return 0


def _fields(args: argparse.Namespace) -> dict[str, bytes | None]:
    """Return the three optional values of the request."""
    return {
        "user_data": _hex("--user-data", args.user_data),
        "nonce": _hex("--nonce", args.nonce),
        "public_key": None if args.public_key is None else _read(Path(args.public_key)),
    }


def _hex(option: str, text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError(f"{option}: expected hexadecimal digits in pairs, got {text!r}") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_KEY)
    except OSError as error:
        raise UsageError(f"--public-key: cannot read {path}: {error.strerror}") from error


def _given_pcrs(args: argparse.Namespace) -> dict[int, bytes]:
    """Read ``--pcr`` and refuse what contradicts the other options."""
    if args.enclave and (args.pcrs or args.debug_mode):
        raise UsageError(
            "--pcr and --debug-mode do not go with --enclave: a running enclave has been measured"
        )
    given: dict[int, bytes] = {}
    for text in args.pcrs:
        index, value = _pcr(text)
        if index in given:
            raise UsageError(f"--pcr: PCR{index} is given twice")
        if args.debug_mode and index in _DEBUG_ZERO:
            raise UsageError(
                f"--pcr {index} does not go with --debug-mode, where PCR{index} is zero"
            )
        given[index] = value
    return given


def _pcr(text: str) -> tuple[int, bytes]:
    number, equals, digits = text.partition("=")
    if not (equals and re.fullmatch("[0-9]{1,2}", number) and int(number) < _PCR_COUNT):
        raise UsageError(f"--pcr: expected N=HEX with N from 0 to {_PCR_COUNT - 1}, got {text!r}")
    value = _hex(f"--pcr {number}", digits)
    if value is None or len(value) != _PCR_LENGTH:
        raise UsageError(
            f"--pcr {number}: expected {_PCR_LENGTH} bytes ({2 * _PCR_LENGTH} hexadecimal digits), "
            f"got {len(digits)} digits"
        )
    return int(number), value


def _ask_enclave(args: argparse.Namespace, fields: dict[str, bytes | None]) -> Any:
    import cbor2  # noqa: PLC0415 - only when a document is wanted

    from nitrosim.instance import Instance  # noqa: PLC0415

    with Instance(name=args.instance) as instance:
        enclave = instance.enclave(args.enclave)
        return cbor2.loads(enclave.nsm_request(cbor2.dumps({"Attestation": fields})))


def _ask_own(
    args: argparse.Namespace, fields: dict[str, bytes | None], given: dict[int, bytes]
) -> Any:
    """Ask a module of this process, for an enclave that was launched just now."""
    import cbor2  # noqa: PLC0415 - only when a document is wanted

    from fake_nsm import Measurements  # noqa: PLC0415 - loads the crypto library
    from fake_nsm.pcrs import measure_bytes  # noqa: PLC0415
    from nitrosim.hypervisor.identity import load_or_create  # noqa: PLC0415
    from nitrosim.places import instance_state  # noqa: PLC0415

    instance = load_or_create(instance_state(args.instance))
    measured = Measurements(
        pcr0=measure_bytes(IMAGE_LABELS[0]),
        pcr1=measure_bytes(IMAGE_LABELS[1]),
        pcr2=measure_bytes(IMAGE_LABELS[2]),
    ).of_parent(instance_id=instance.instance_id)
    if args.debug_mode:
        measured = measured.in_debug_mode()
    nsm = instance.new_nsm(instance.new_enclave(), measured.by_index() | given)
    for index in sorted(given):
        if index not in nsm.pcrs.locked_indices():
            nsm.pcrs.lock(index)
    return cbor2.loads(nsm.handle(cbor2.dumps({"Attestation": fields})))


def _to_standard_output(args: argparse.Namespace) -> bool:
    return args.output in (None, "-")


def _check_output(args: argparse.Namespace) -> None:
    if _to_standard_output(args) and not args.json and sys.stdout.isatty():
        raise UsageError(
            "a document is binary and standard output is a terminal: use -o FILE, a pipe, or --json"
        )


def _deliver(args: argparse.Namespace, document: bytes) -> None:
    """Write the raw bytes; with ``--json`` say on standard output what they are."""
    if not _to_standard_output(args):
        try:
            Path(args.output).write_bytes(document)
        except OSError as error:
            raise UsageError(f"-o: cannot write {args.output}: {error.strerror}") from error
    elif not args.json:
        sys.stdout.buffer.write(document)
        sys.stdout.buffer.flush()
    if args.json:
        place = {} if _to_standard_output(args) else {"file": args.output}
        encoded = base64.b64encode(document).decode("ascii")
        print(json.dumps({"document_base64": encoded, "bytes": len(document)} | place, indent=2))
