"""The bytes and the envelope: one COSE_Sign1, untagged or with tag 18, and nothing else."""

from __future__ import annotations

import base64

from forgery import cbor
from forgery.case import Made, judged, refuse
from forgery.forge import PROTECTED, Forge


def _with_payload(forge: Forge, payload: bytes) -> bytes:
    """Put together an envelope with an encoded payload part of any kind."""
    protected, unprotected, _, signature = forge.envelope()
    return cbor.array([protected, unprotected, payload, signature])


@refuse("EMPTY", "input-form")
def nothing(_forge: Forge) -> Made:
    """No bytes at all."""
    return b""


@refuse("TOO_LARGE", "limits", weight="should")
def larger_than_any_response(forge: Forge) -> Made:
    """A correctly signed document of more than 16 KiB, which no module can give."""
    return judged(forge.document(x=bytes(16384)), strict=False)


@refuse("TRAILING_BYTES", "input-form")
def base64_text(forge: Forge) -> Made:
    """The document as base64 text: a verifier that guesses encodings takes many strings for one."""
    return base64.b64encode(forge.document())


@refuse("TRAILING_BYTES", "input-form")
def hexadecimal_text(forge: Forge) -> Made:
    """The document as hexadecimal text, whose first character is a complete CBOR item."""
    return forge.document().hex().encode()


@refuse("CBOR_MALFORMED", "input-form")
def cut_short(forge: Forge) -> Made:
    """The last byte is missing."""
    return forge.document()[:-1]


@refuse("CBOR_MALFORMED", "input-form")
def only_the_head(_forge: Forge) -> Made:
    """An array of four without any of the four."""
    return b"\x84"


@refuse("TRAILING_BYTES", "input-form")
def a_byte_after_the_envelope(forge: Forge) -> Made:
    """One zero byte follows the envelope."""
    return forge.document() + b"\0"


@refuse("TRAILING_BYTES", "input-form")
def two_documents(forge: Forge) -> Made:
    """A second, different document follows the first."""
    return forge.document() + forge.document(user_data=b"other data")


@refuse("TRAILING_BYTES", "input-form")
def padded_as_in_a_tpm_index(forge: Forge) -> Made:
    """Filled up with ff, as when the whole buffer that held an answer is passed on."""
    document = forge.document()
    return document + b"\xff" * (8192 - len(document))


@refuse("CBOR_MALFORMED", "indefinite-length", weight="should")
def array_of_indefinite_length(forge: Forge) -> Made:
    """The outer array has indefinite length; nobody signs the envelope, so it has one form only."""
    return cbor.array(forge.envelope(), indefinite=True)


@refuse("CBOR_MALFORMED", "input-form", weight="should")
def array_in_a_long_head(forge: Forge) -> Made:
    """The count of the outer array takes two bytes where one is enough."""
    return cbor.head(4, 4, 1) + b"".join(forge.envelope())


@refuse("CBOR_MALFORMED", "input-form", weight="should")
def payload_length_in_a_long_head(forge: Forge) -> Made:
    """The length of the payload takes eight bytes where two are enough."""
    payload = forge.payload()
    return _with_payload(forge, cbor.head(2, len(payload), 8) + payload)


@refuse("CBOR_MALFORMED", "loose-types", weight="should")
def payload_in_chunks(forge: Forge) -> Made:
    """The payload is a byte string in chunks; joined, they are what was signed."""
    payload = forge.payload()
    return _with_payload(forge, cbor.chunked(2, payload[:100], payload[100:]))


@refuse("CBOR_MALFORMED", "limits")
def payload_longer_than_the_data(forge: Forge) -> Made:
    """The payload claims 2 to the 63 bytes, of which a few thousand follow."""
    return _with_payload(forge, cbor.head(2, 1 << 63) + forge.payload())


@refuse("CBOR_MALFORMED", "limits")
def count_beyond_the_data(forge: Forge) -> Made:
    """The outer array claims four thousand million items."""
    return cbor.array(forge.envelope(), count=0xFFFFFFFF)


@refuse("LIMIT_EXCEEDED", "limits")
def nested_arrays(_forge: Forge) -> Made:
    """Ten thousand arrays in one another."""
    return b"\x81" * 10_000 + b"\x00"


@refuse("FOREIGN_TAG", "input-form")
def tag_for_another_message(forge: Forge) -> Made:
    """Tag 98 in front, which means COSE_Sign and not COSE_Sign1."""
    return b"\xd8\x62" + forge.document()


@refuse("FOREIGN_TAG", "input-form", weight="should")
def tag_18_twice(forge: Forge) -> Made:
    """Tag 18 in front of tag 18."""
    return b"\xd2\xd2" + forge.document()


@refuse("FOREIGN_TAG", "input-form", weight="should")
def cwt_tag(forge: Forge) -> Made:
    """Tag 61 (CBOR web token) in front of tag 18."""
    return b"\xd8\x3d\xd2" + forge.document()


@refuse("FOREIGN_TAG", "loose-types")
def payload_tagged(forge: Forge) -> Made:
    """The payload is tagged as encoded CBOR (24); the same bytes without the tag were signed."""
    return _with_payload(forge, b"\xd8\x18" + cbor.dumps(forge.payload()))


@refuse("CBOR_MALFORMED", "input-form", weight="should")
def tag_18_in_a_long_head(forge: Forge) -> Made:
    """Tag 18 takes two bytes where one is enough."""
    return b"\xd8\x12" + forge.document()


@refuse("NOT_COSE_SIGN1", "input-form")
def map_around_the_document(forge: Forge) -> Made:
    """The module's whole answer, {"Attestation": {"document": ...}}, instead of the document."""
    return cbor.dumps({"Attestation": {"document": forge.document()}})


@refuse("NOT_COSE_SIGN1", "input-form")
def document_in_a_byte_string(forge: Forge) -> Made:
    """The document wrapped into a byte string."""
    return cbor.dumps(forge.document())


@refuse("NOT_COSE_SIGN1", "loose-types")
def five_parts(forge: Forge) -> Made:
    """A fifth part follows the signature."""
    return cbor.array([*forge.envelope(), b"\x40"])


@refuse("NOT_COSE_SIGN1", "loose-types")
def three_parts(forge: Forge) -> Made:
    """The unprotected header is missing."""
    protected, _, payload, signature = forge.envelope()
    return cbor.array([protected, payload, signature])


@refuse("NOT_COSE_SIGN1", "loose-types")
def protected_header_as_map(forge: Forge) -> Made:
    """The protected header is the map itself and not a byte string that holds it."""
    return cbor.array([PROTECTED, *forge.envelope()[1:]])


@refuse("NOT_COSE_SIGN1", "loose-types")
def unprotected_header_as_array(forge: Forge) -> Made:
    """The unprotected header is an empty array."""
    protected, _, payload, signature = forge.envelope()
    return cbor.array([protected, b"\x80", payload, signature])


@refuse("NOT_COSE_SIGN1", "loose-types")
def unprotected_header_null(forge: Forge) -> Made:
    """The unprotected header is null."""
    protected, _, payload, signature = forge.envelope()
    return cbor.array([protected, b"\xf6", payload, signature])


@refuse("NOT_COSE_SIGN1", "loose-types")
def payload_as_text(forge: Forge) -> Made:
    """The payload is a text string."""
    return _with_payload(forge, cbor.dumps("payload"))


@refuse("NOT_COSE_SIGN1", "loose-types")
def payload_as_map(forge: Forge) -> Made:
    """The payload is the map itself and not a byte string that holds it."""
    return _with_payload(forge, cbor.mapping(forge.entries()))


@refuse("DETACHED_PAYLOAD", "null-or-missing")
def payload_null(forge: Forge) -> Made:
    """The payload is null (detached), the signature covers an empty one."""
    protected, unprotected, _, _ = forge.envelope()
    return cbor.array([protected, unprotected, b"\xf6", cbor.dumps(forge.sign(b""))])


@refuse("NOT_COSE_SIGN1", "unsigned")
def signature_null(forge: Forge) -> Made:
    """The signature is null."""
    return cbor.array([*forge.envelope()[:3], b"\xf6"])


@refuse("NOT_COSE_SIGN1", "unsigned")
def payload_alone(forge: Forge) -> Made:
    """The payload map without an envelope: nothing is signed."""
    return cbor.mapping(forge.entries())
