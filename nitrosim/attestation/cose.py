"""The envelope: COSE_Sign1 exactly as the Nitro Secure Module writes it (RFC 9052).

Observed in 30 of 30 real documents::

    84                  array of 4, not tagged
      44 a1 01 38 22    protected header, bstr: {1: -35}, which is alg ES384
      a0                unprotected header, empty
      59 HH LL ...      payload, bstr
      58 60 ...         signature, bstr of 96: r then s

What this means for a verifier: there is one algorithm, so it is compared, not
looked up. There is nothing in the unprotected header (which nobody signs), so
nothing is read from it. The signature covers the protected header and payload *as
received* (RFC 9052 section 4.4), so both stay bytes and are never encoded again.

The AWS user guide draws the array with tag 18. No real document has the tag, other
issuers of the same format write it: both are accepted. Since nobody signs the
envelope's own heads, they must have their shortest form and definite length: there is one
envelope for given contents, apart from the tag and the sign of s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nitrosim.attestation._cbor import CborError, Problem, Value, decode
from nitrosim.attestation.errors import AttestationError, Code
from nitrosim.attestation.p384 import COORDINATE_BYTES, SIGNATURE_BYTES, in_range

if TYPE_CHECKING:
    from nitrosim.attestation.steps import Trail

MAX_PAYLOAD_BYTES: Final = 16384
"""AWS's own bound for the payload; an NSM response holds 12288 bytes in all."""

MAX_DOCUMENT_BYTES: Final = MAX_PAYLOAD_BYTES + 128
"""The payload's bound and room for the envelope (at most 116 bytes)."""

PROTECTED_ES384: Final = bytes.fromhex("a1013822")
"""The protected header, {1: -35}: the one form that is emitted and accepted."""

_USUAL_HEAD: Final = b"\x84\x44" + PROTECTED_ES384 + b"\xa0\x59"
"""Everything before the payload's length of two bytes."""

_SIGNATURE_HEAD: Final = bytes((0x58, SIGNATURE_BYTES))

_ALG: Final = 1
_CRIT: Final = 2
_ES384: Final = -35
_TAG_18: Final = 0xD2
_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class Sign1:
    """An envelope of the right form, nothing verified.

    Attributes:
        protected: content of the protected header's byte string, as received.
        payload: content of the payload's byte string, as received.
        r: first half of the signature, 1..n-1.
        s: second half of the signature, 1..n-1.
        tagged: whether tag 18 came first.

    """

    protected: bytes
    payload: bytes
    r: int
    s: int
    tagged: bool

    def signed_bytes(self) -> bytes:
        """Build the Sig_structure that the signature covers (RFC 9052 section 4.4)."""
        return b"".join(
            (
                b"\x84\x6aSignature1",
                _bstr_head(len(self.protected)),
                self.protected,
                b"\x40",  # external_aad: empty
                _bstr_head(len(self.payload)),
                self.payload,
            )
        )


def read_sign1(document: bytes, trail: Trail) -> Sign1:
    """Read the envelope: steps 1 to 7.

    Raises `MalformedDocumentError`.
    """
    # (1) Size, before anything is looked at.
    _check_size(document)
    trail.passed(1, "{} bytes", len(document))

    # (2) One item and nothing after it. The reader enforces (4) while it reads.
    tagged = document[0] == _TAG_18
    body = document[1:] if tagged else document
    envelope: Value = _usual_envelope(body)
    if envelope is None:
        try:
            envelope = decode(body, indefinite=False, shortest=True)
        except CborError as error:
            raise _envelope_error(error) from error
    trail.passed(2, "tagged 18" if tagged else "untagged")

    # (3) The four parts. Types are compared exactly.
    protected, unprotected, payload, signature = _parts(envelope)
    trail.passed(3, "payload of {} bytes", len(payload))
    trail.passed(4)

    # (5) The header must be these four bytes; a decoded look only serves the message.
    if protected != PROTECTED_ES384:
        raise _header_error(protected)
    trail.passed(5, "alg -35, ES384")

    # (6) Nobody signs the unprotected header.
    if unprotected:
        labels = ", ".join(map(str, unprotected))
        raise Code.UNPROTECTED_HEADER("unprotected header", got=labels, expected="no labels")
    trail.passed(6)

    # (7) Fixed width, both numbers in range; high s is normal.
    r, s = _split_signature(signature)
    trail.passed(7)
    return Sign1(protected, payload, r, s, tagged)


def _check_size(document: object) -> None:
    # Text is refused, not decoded: guessing base64 or hex would make several strings
    # mean one document. A buffer that can change while it is being checked is refused too.
    if type(document) is not bytes:
        raise Code.NOT_BYTES(
            "document as raw bytes (not base64, hex or a stream)",
            got=type(document).__name__,
            expected="bytes",
        )
    if not document:
        raise Code.EMPTY("document", got="0 bytes", expected=f"1 to {MAX_DOCUMENT_BYTES} bytes")
    if len(document) > MAX_DOCUMENT_BYTES:
        raise Code.TOO_LARGE(
            "document", got=f"{len(document)} bytes", expected=f"at most {MAX_DOCUMENT_BYTES}"
        )


def _usual_envelope(body: bytes) -> list[Value] | None:
    """Cut up an envelope that is what a module writes, byte for byte; None for any other.

    The heads around a payload of 256 bytes and more are always the same ones. Where they are, the
    general reader would find nothing else; where they are not, it says what is wrong.
    """
    begin = len(_USUAL_HEAD) + 2
    end = begin + int.from_bytes(body[begin - 2 : begin], "big")
    signature = end + len(_SIGNATURE_HEAD)
    if (
        end - begin > 0xFF
        and len(body) == signature + SIGNATURE_BYTES
        and body.startswith(_USUAL_HEAD)
        and body.startswith(_SIGNATURE_HEAD, end)
    ):
        return [PROTECTED_ES384, {}, body[begin:end], body[signature:]]
    return None


def _parts(envelope: Value) -> tuple[bytes, dict[int | str, Value], bytes, bytes]:
    if type(envelope) is not list or len(envelope) != _PARTS:
        got = f"array of {len(envelope)}" if type(envelope) is list else type(envelope).__name__
        raise Code.NOT_COSE_SIGN1("envelope", got=got, expected="array of 4")
    protected, unprotected, payload, signature = envelope
    if payload is None:
        raise Code.DETACHED_PAYLOAD("payload", got="null", expected="byte string")
    if (
        type(protected) is not bytes
        or type(unprotected) is not dict
        or type(payload) is not bytes
        or type(signature) is not bytes
    ):
        raise Code.NOT_COSE_SIGN1(
            "parts of the envelope",
            got=", ".join(type(part).__name__ for part in envelope),
            expected="bytes, dict, bytes, bytes",
        )
    return protected, unprotected, payload, signature


def _split_signature(signature: bytes) -> tuple[int, int]:
    if len(signature) != SIGNATURE_BYTES:
        raise Code.SIGNATURE_LENGTH(
            "signature", got=f"{len(signature)} bytes", expected=f"{SIGNATURE_BYTES} (r then s)"
        )
    r = int.from_bytes(signature[:COORDINATE_BYTES], "big")
    s = int.from_bytes(signature[COORDINATE_BYTES:], "big")
    for name, number in (("r", r), ("s", s)):
        if not in_range(number):
            raise Code.SIGNATURE_RANGE(
                f"{name} of the signature", got=f"{number:096x}", expected="1 to n-1"
            )
    return r, s


def _envelope_error(error: CborError) -> AttestationError:
    what = f"envelope ({error})"
    if error.problem is Problem.TRAILING:
        return Code.TRAILING_BYTES(what, expected="nothing after the item")
    if error.problem is Problem.TAG:
        return Code.FOREIGN_TAG(what, expected="no tag, or one leading tag 18")
    if error.problem is Problem.LIMIT:
        return Code.LIMIT_EXCEEDED(what)
    return Code.CBOR_MALFORMED(what, expected="definite lengths, shortest heads, COSE types")


def _header_error(protected: bytes) -> AttestationError:
    """Say which rule a header breaks that is not the expected four bytes."""
    what, expected = "protected header", PROTECTED_ES384.hex()
    try:
        header = decode(protected, indefinite=True, shortest=False)
    except CborError as error:
        return Code.PROTECTED_HEADER(f"{what} ({error})", got=protected, expected=expected)
    if type(header) is dict and _CRIT in header:
        return Code.CRITICAL_HEADER(f"{what} with crit", got=protected, expected=expected)
    if type(header) is dict and _ALG in header:
        algorithm = header[_ALG]
        # True == 1 and the like cannot pass: the type is compared too.
        if type(algorithm) is not int or algorithm != _ES384:
            return Code.WRONG_ALGORITHM(
                "algorithm in the protected header", got=repr(algorithm), expected="-35 (ES384)"
            )
    return Code.PROTECTED_HEADER(what, got=protected, expected=expected)


def _bstr_head(length: int) -> bytes:
    """Encode the shortest head of a byte string of up to 65535 bytes."""
    if length < 24:
        return bytes((0x40 | length,))
    if length < 1 << 8:
        return bytes((0x58, length))
    return b"\x59" + length.to_bytes(2, "big")
