"""The signature section: certificates, and COSE_Sign1 structures over PCR0.

The section is CBOR::

    [ {"signing_certificate": [bytes of a PEM file as integers],
       "signature":           [bytes of a COSE_Sign1 structure as integers]}, ... ]

Only the first entry counts. The COSE structure (RFC 9052 section 4.2) is written without tag and
read with or without tag 18::

    [ h'a1013822',                  protected: {1: alg}, alg -7, -35 or -36
      {},                           unprotected
      h'a2...',                     payload: {"register_index": 0,
                                              "register_value": [48 integers, PCR0]}
      h'...' ]                      signature: r then s, 32, 48 or 66 bytes each

The signature covers the protected header and the payload as they stand, in RFC 9052's
Sig_structure. The algorithm follows from the curve of the certificate's key: ES256 on P-256, ES384
on P-384, ES512 on P-521; a header that says something else makes the signature invalid.

Nobody checks who issued the certificate: a signature ties an image to a certificate (PCR8), and
a verifier decides about the certificate.

Source: the specification of aws-nitro-enclaves-image-format, its reader and signer 0.5.0, and
aws-nitro-enclaves-cose 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nitrosim.eif import cbor
from nitrosim.eif.cbor import CborError, Major, Reader
from nitrosim.eif.errors import Code, EifError

_CERTIFICATE: Final = "signing_certificate"
_SIGNATURE: Final = "signature"
_ALG: Final = 1
_COSE_SIGN1: Final = 18
_EXPECTED_SECTION: Final = f"CBOR: an array of maps with {_CERTIFICATE} and {_SIGNATURE}"
_EXPECTED_COSE: Final = "CBOR: an array of protected header, map, payload and signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class PcrSignature:
    """An entry of a signature section.

    Attributes:
        certificate: content of a PEM file.
        cose: a COSE_Sign1 structure, unread.
        certificate_offset: where the certificate begins in the file, in bytes; None outside of
            any.
        cose_offset: where the structure begins in the file, in bytes; None outside of any.

    """

    certificate: bytes
    cose: bytes
    certificate_offset: int | None = None
    cose_offset: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureSection:
    """A signature section that could be read.

    Attributes:
        entries: one at least.
        wide_integer: where in the file the first element stands that is a byte in a longer form
            than necessary; nitro-cli reads that, QEMU does not. None if there is none.

    """

    entries: tuple[PcrSignature, ...]
    wide_integer: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign1:
    """A COSE_Sign1 structure, nothing verified.

    Attributes:
        protected: content of the protected header.
        algorithm: the header's alg, a number of the IANA registry.
        payload: what is signed.
        signature: r then s.

    """

    protected: bytes
    algorithm: int
    payload: bytes
    signature: bytes

    def to_bytes(self) -> bytes:
        """Write the structure, untagged, with an empty unprotected header."""
        return b"".join(
            (
                cbor.head(Major.ARRAY, 4),
                cbor.byte_string(self.protected),
                cbor.head(Major.MAP, 0),
                cbor.byte_string(self.payload),
                cbor.byte_string(self.signature),
            )
        )


def read_section(data: bytes, *, offset: int = 0) -> SignatureSection:
    """Read the content of a signature section; `offset` is where it begins in the file.

    Raises:
        EifError: `SIGNATURE_CBOR`.

    """
    reader = Reader(data)
    try:
        entries = tuple(_read_entry(reader, offset) for _entry in range(reader.array()))
        reader.end()
    except CborError as error:
        raise Code.SIGNATURE_CBOR(
            f"signature section ({error})",
            offset=offset + error.position,
            expected=_EXPECTED_SECTION,
        ) from error
    if not entries:
        raise Code.SIGNATURE_CBOR(
            "signature section", offset=offset, got="no signature", expected=_EXPECTED_SECTION
        )
    wide = None if reader.wide is None else offset + reader.wide
    return SignatureSection(entries=entries, wide_integer=wide)


def write_section(certificate: bytes, cose: bytes) -> bytes:
    """Write the content of a section with one signature: a PEM file and a COSE_Sign1 structure."""
    return b"".join(
        (
            cbor.head(Major.ARRAY, 1),
            cbor.head(Major.MAP, 2),
            cbor.text(_CERTIFICATE),
            cbor.byte_array(certificate),
            cbor.text(_SIGNATURE),
            cbor.byte_array(cose),
        )
    )


def read_sign1(data: bytes, *, offset: int | None = None) -> Sign1:
    """Read a COSE_Sign1 structure; `offset` is where it begins in a file, for messages.

    Raises:
        EifError: `COSE`.

    """
    reader = Reader(data)
    try:
        reader.tag(_COSE_SIGN1)
        if (parts := reader.array()) != 4:
            raise _cose_error(offset, got=f"array of {parts}")
        protected = reader.byte_string()
        if reader.peek() is not Major.MAP:
            raise _cose_error(offset, got="an unprotected header that is no map")
        reader.skip()
        payload, signature = reader.byte_string(), reader.byte_string()
        reader.end()
    except CborError as error:
        raise Code.COSE(
            f"signature (byte {error.position}: {error})", offset=offset, expected=_EXPECTED_COSE
        ) from error
    algorithm = _read_algorithm(protected, offset)
    return Sign1(protected=protected, algorithm=algorithm, payload=payload, signature=signature)


def protected_header(algorithm: int) -> bytes:
    """Write the content of a protected header with nothing but alg."""
    return cbor.head(Major.MAP, 1) + cbor.integer(_ALG) + cbor.integer(algorithm)


def signed_bytes(protected: bytes, payload: bytes) -> bytes:
    """Build the Sig_structure that a signature covers (RFC 9052 section 4.4)."""
    return b"".join(
        (
            cbor.head(Major.ARRAY, 4),
            cbor.text("Signature1"),
            cbor.byte_string(protected),
            cbor.byte_string(b""),  # external_aad
            cbor.byte_string(payload),
        )
    )


def pcr_payload(index: int, value: bytes) -> bytes:
    """Write what is signed: the index and the value of a PCR."""
    return b"".join(
        (
            cbor.head(Major.MAP, 2),
            cbor.text("register_index"),
            cbor.integer(index),
            cbor.text("register_value"),
            cbor.byte_array(value),
        )
    )


def _read_entry(reader: Reader, offset: int) -> PcrSignature:
    start = reader.position
    found: dict[str, tuple[bytes, int]] = {}
    for _pair in range(reader.map()):
        key_at = reader.position
        key = reader.text()
        if key not in (_CERTIFICATE, _SIGNATURE):
            reader.skip()
            continue
        if key in found:
            raise CborError(key_at, f"{key} repeated")
        value_at = reader.position
        found[key] = reader.byte_array(), offset + value_at
    if missing := {_CERTIFICATE, _SIGNATURE} - found.keys():
        raise CborError(start, f"no {' and no '.join(sorted(missing))}")
    certificate, cose = found[_CERTIFICATE], found[_SIGNATURE]
    return PcrSignature(
        certificate=certificate[0],
        cose=cose[0],
        certificate_offset=certificate[1],
        cose_offset=cose[1],
    )


def _read_algorithm(protected: bytes, offset: int | None) -> int:
    reader = Reader(protected)
    algorithms: list[int] = []
    try:
        for _pair in range(reader.map()):
            # Labels are integers or text (RFC 9052 section 1.5).
            label = reader.text() if reader.peek() is Major.TEXT else reader.integer()
            if label == _ALG:
                algorithms.append(reader.integer())
            else:
                reader.skip()
        reader.end()
    except CborError as error:
        raise Code.COSE(
            f"protected header of the signature ({error})", offset=offset, got=protected
        ) from error
    if len(algorithms) != 1:
        raise Code.COSE(
            "protected header of the signature", offset=offset, got=protected, expected="one alg"
        )
    return algorithms[0]


def _cose_error(offset: int | None, *, got: str) -> EifError:
    return Code.COSE("signature", offset=offset, got=got, expected=_EXPECTED_COSE)
