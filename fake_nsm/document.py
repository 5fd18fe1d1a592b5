"""Attestation documents: a COSE_Sign1 message around a CBOR map, byte for byte as on hardware.

The envelope is the same in all real documents (RFC 9052 section 4.2): an untagged array of four,
the protected header ``{1: -35}`` (ES384) as a byte string, an empty unprotected map, the payload,
and r and s of the signature, 48 bytes each. What is signed is the Sig_structure of RFC 9052
section 4.4 over exactly the payload bytes that are sent.

The payload has nine keys in a fixed order. Absent optional values are null, although the AWS
check list forbids it. Since August 2025 the map has indefinite length (``bf .. ff``) while the
map of PCRs and the array of certificates inside stay definite; before that its head was ``a9``.

Making a document costs one signature; the parts that stay the same from one document to the next
are encoded once and joined, which keeps everything else below a few microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cbor2

from fake_nsm.keys import COORDINATE_LENGTH, raw_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fake_nsm.keys import SigningKey
    from fake_nsm.requests import Attestation

_ES384 = -35
_PROTECTED_HEADER = cbor2.dumps(cbor2.dumps({1: _ES384}))
_ARRAY_OF_FOUR = b"\x84"
_EMPTY_MAP = b"\xa0"
_NO_EXTERNAL_DATA = cbor2.dumps(b"")
_ENVELOPE_HEAD = _ARRAY_OF_FOUR + _PROTECTED_HEADER + _EMPTY_MAP
_SIGNED_HEAD = _ARRAY_OF_FOUR + cbor2.dumps("Signature1") + _PROTECTED_HEADER + _NO_EXTERNAL_DATA
_SIGNATURE_HEAD = cbor2.dumps(bytes(2 * COORDINATE_LENGTH))[:2]

_MAP_OF_NINE = b"\xa9"
_INDEFINITE_MAP, _BREAK = b"\xbf", b"\xff"
_TIMESTAMP = cbor2.dumps("timestamp")
_PUBLIC_KEY = cbor2.dumps("public_key")
_USER_DATA = cbor2.dumps("user_data")
_NONCE = cbor2.dumps("nonce")


def opening(module_id: str, *, indefinite: bool) -> bytes:
    """Return the part before the timestamp's value: head of the map, module id and digest."""
    return b"".join(
        (
            _INDEFINITE_MAP if indefinite else _MAP_OF_NINE,
            cbor2.dumps("module_id"),
            cbor2.dumps(module_id),
            cbor2.dumps("digest"),
            cbor2.dumps("SHA384"),
            _TIMESTAMP,
        )
    )


def pcrs_part(pcrs: Mapping[int, bytes]) -> bytes:
    """Return key and value of ``pcrs``; the indices must be ascending."""
    return cbor2.dumps("pcrs") + cbor2.dumps(dict(pcrs))


def certificates_part(certificate: bytes, cabundle: Sequence[bytes]) -> bytes:
    """Return keys and values of ``certificate`` and ``cabundle`` (root first), all DER."""
    return b"".join(
        (
            cbor2.dumps("certificate"),
            cbor2.dumps(certificate),
            cbor2.dumps("cabundle"),
            cbor2.dumps(list(cabundle)),
        )
    )


def payload(
    head: bytes, *, timestamp: int, pcrs: bytes, certificates: bytes, request: Attestation
) -> bytes:
    """Join the encoded parts to a payload; `timestamp` is milliseconds since 1970."""
    return b"".join(
        (
            head,
            cbor2.dumps(timestamp),
            pcrs,
            certificates,
            _PUBLIC_KEY,
            cbor2.dumps(request.public_key),
            _USER_DATA,
            cbor2.dumps(request.user_data),
            _NONCE,
            cbor2.dumps(request.nonce),
            _BREAK if head.startswith(_INDEFINITE_MAP) else b"",
        )
    )


def sign(payload_bytes: bytes, key: SigningKey) -> bytes:
    """Return the document: one signature over the payload, ES384."""
    wrapped = cbor2.dumps(payload_bytes)
    signature = raw_signature(key.sign(_SIGNED_HEAD + wrapped))
    return b"".join((_ENVELOPE_HEAD, wrapped, _SIGNATURE_HEAD, signature))
