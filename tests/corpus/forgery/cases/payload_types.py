"""The payload: fields have exactly their types. All of these are well signed."""

from __future__ import annotations

import cbor2

from forgery import cbor
from forgery.case import Made, judged, refuse
from forgery.cases._fields import also, replaced
from forgery.forge import Forge

GROUP = "payload"

# Types that do not belong


@refuse("FORBIDDEN_TYPE", "loose-types")
def timestamp_as_bignum(forge: Forge) -> Made:
    """The timestamp is a tagged big number of the right value."""
    number = forge.fields()["timestamp"]
    assert isinstance(number, int)
    return replaced(forge, "timestamp", b"\xc2" + cbor.dumps(number.to_bytes(6, "big")))


@refuse("FORBIDDEN_TYPE", "loose-types")
def timestamp_as_date(forge: Forge) -> Made:
    """The timestamp is tagged as a date."""
    return replaced(forge, "timestamp", b"\xc1" + cbor.dumps(int(forge.now.timestamp())))


@refuse("FORBIDDEN_TYPE", "loose-types")
def timestamp_as_float(forge: Forge) -> Made:
    """The timestamp is a float of the right value."""
    return forge.document(timestamp=forge.now.timestamp() * 1000)


@refuse("FORBIDDEN_TYPE", "loose-types", weight="should")
def self_described(forge: Forge) -> Made:
    """The payload map has the tag for self-described CBOR (55799) in front."""
    return forge.document(b"\xd9\xd9\xf7" + forge.payload())


@refuse("FORBIDDEN_TYPE", "loose-types")
def shared_reference(forge: Forge) -> Made:
    """user_data refers to the nonce by the tags for shared values (28, 29)."""
    entries = dict(forge.entries())
    entries[cbor.dumps("user_data")] = b"\xd8\x1c" + cbor.dumps(forge.nonce)
    entries[cbor.dumps("nonce")] = b"\xd8\x1d\x00"
    return forge.document(forge.map(list(entries.items())))


@refuse("FORBIDDEN_TYPE", "loose-types", "limits")
def regular_expression(forge: Forge) -> Made:
    """user_data is tagged as a regular expression (35), which some decoders compile."""
    return replaced(forge, "user_data", b"\xd8\x23" + cbor.dumps("(a+)+$"))


@refuse("FORBIDDEN_TYPE", "loose-types")
def certificate_tagged(forge: Forge) -> Made:
    """The leaf is tagged as a MIME message (36)."""
    return replaced(forge, "certificate", b"\xd8\x24" + cbor.dumps(forge.chain()[-1]))


@refuse("FORBIDDEN_TYPE", "null-or-missing")
def nonce_undefined(forge: Forge) -> Made:
    """The nonce is undefined instead of null."""
    return judged(forge.document(nonce=cbor2.undefined), expect={})


@refuse("FORBIDDEN_TYPE", "loose-types", weight="should")
def nonce_in_chunks(forge: Forge) -> Made:
    """The nonce is a byte string in two chunks, which joined are the expected nonce."""
    return replaced(forge, "nonce", cbor.chunked(2, forge.nonce[:8], forge.nonce[8:]))


@refuse("FORBIDDEN_TYPE", "loose-types", weight="should")
def field_name_in_chunks(forge: Forge) -> Made:
    """The name "nonce" is a text in two chunks."""
    *first, (_, value) = forge.entries()
    return forge.document(forge.map([*first, (cbor.chunked(3, b"non", b"ce"), value)]))


@refuse("FORBIDDEN_TYPE", "loose-types")
def pcr_index_false(forge: Forge) -> Made:
    """The index of PCR0 is false, which many languages take for 0."""
    pcrs = cbor.mapping(
        [
            (b"\xf4", value) if key == b"\x00" else (key, value)
            for key, value in cbor.entries(dict(forge.pcrs()))
        ]
    )
    return replaced(forge, "pcrs", pcrs)


@refuse("FORBIDDEN_TYPE", "loose-types")
def pcr_index_as_float(forge: Forge) -> Made:
    """The index of PCR1 is 1.0."""
    pcrs = cbor.mapping(
        [
            (b"\xf9\x3c\x00", value) if key == b"\x01" else (key, value)
            for key, value in cbor.entries(dict(forge.pcrs()))
        ]
    )
    return replaced(forge, "pcrs", pcrs)


@refuse("FORBIDDEN_TYPE", "loose-types")
def field_name_as_bytes(forge: Forge) -> Made:
    """A tenth field is named by a byte string."""
    return judged(also(forge, cbor.dumps(b"nonce"), b"\xf6"), strict=False)


@refuse("FORBIDDEN_TYPE", "loose-types")
def array_as_key(forge: Forge) -> Made:
    """A tenth field is named by an array."""
    return judged(also(forge, b"\x80", b"\xf6"), strict=False)


@refuse("FORBIDDEN_TYPE", "loose-types", weight="should")
def simple_value(forge: Forge) -> Made:
    """An unknown field holds the simple value 255."""
    return judged(also(forge, cbor.dumps("x"), b"\xf8\xff"), strict=False)


# Types that belong elsewhere


@refuse("WRONG_TYPE", "loose-types", weight="should")
def field_name_an_integer(forge: Forge) -> Made:
    """A tenth field is named by the integer 1."""
    return judged(also(forge, b"\x01", b"\xf6"), strict=False)


@refuse("WRONG_TYPE", "loose-types")
def timestamp_true(forge: Forge) -> Made:
    """The timestamp is true, which is 1 in some languages."""
    return forge.document(timestamp=True)


@refuse("WRONG_TYPE", "loose-types")
def timestamp_as_text(forge: Forge) -> Made:
    """The timestamp is text."""
    return forge.document(timestamp=str(int(forge.now.timestamp() * 1000)))


@refuse("WRONG_TYPE", "loose-types")
def pcr_indices_as_text(forge: Forge) -> Made:
    """The indices in pcrs are text: "0", "1", ..."""
    return forge.document(pcrs={str(index): value for index, value in forge.pcrs().items()})


@refuse("WRONG_TYPE", "loose-types")
def pcrs_as_array(forge: Forge) -> Made:
    """pcrs is an array of the values."""
    return forge.document(pcrs=list(forge.pcrs().values()))


@refuse("WRONG_TYPE", "loose-types")
def pcr_as_text(forge: Forge) -> Made:
    """PCR0 is 96 hexadecimal digits as text."""
    return forge.document(pcrs=forge.pcrs() | {0: forge.pcrs()[0].hex()})


@refuse("WRONG_TYPE", "absent-pcr", "null-or-missing")
def pcr_null(forge: Forge) -> Made:
    """PCR8 is null, and the caller expects a value."""
    document = forge.document(pcrs=forge.pcrs() | {8: None})
    return judged(document, expect={"pcrs": {8: forge.pcrs()[8]}})


@refuse("WRONG_TYPE", "loose-types")
def nonce_as_text(forge: Forge) -> Made:
    """The nonce is text of the bytes that are expected."""
    document = forge.document(nonce="a nonce as text")
    return judged(document, expect={"nonce": b"a nonce as text"})


@refuse("WRONG_TYPE", "loose-types")
def nonce_as_array(forge: Forge) -> Made:
    """The nonce is an array of the expected bytes as numbers."""
    return forge.document(nonce=list(forge.nonce))


@refuse("WRONG_TYPE", "null-or-missing", "binding")
def nonce_false(forge: Forge) -> Made:
    """The nonce is false."""
    return judged(forge.document(nonce=False), expect={})


@refuse("WRONG_TYPE", "loose-types")
def certificate_as_array(forge: Forge) -> Made:
    """The leaf is an array with the leaf in it."""
    return forge.document(certificate=[forge.chain()[-1]])


@refuse("WRONG_TYPE", "loose-types")
def bundle_as_bytes(forge: Forge) -> Made:
    """The bundle is one byte string with all certificates in a row."""
    return forge.document(cabundle=b"".join(forge.chain()[:-1]))


@refuse("WRONG_TYPE", "null-or-missing")
def null_in_the_bundle(forge: Forge) -> Made:
    """The bundle has a null after its last certificate."""
    return forge.document(cabundle=[*forge.chain()[:-1], None])


@refuse("WRONG_TYPE", "loose-types")
def module_id_as_bytes(forge: Forge) -> Made:
    """module_id is a byte string."""
    return forge.document(module_id=forge.module.encode())
