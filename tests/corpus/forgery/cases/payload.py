"""The payload: one CBOR map, no key twice. All of these are well signed."""

from __future__ import annotations

from forgery import cbor
from forgery.case import Made, judged, refuse
from forgery.cases._fields import also, replaced
from forgery.forge import Forge

# Form of the map


@refuse("PAYLOAD_MALFORMED", "input-form")
def empty(forge: Forge) -> Made:
    """The payload has no bytes."""
    return forge.document(b"")


@refuse("PAYLOAD_MALFORMED", "input-form")
def cut_short(forge: Forge) -> Made:
    """The last byte of the map is missing."""
    return forge.document(forge.payload()[:-1])


@refuse("PAYLOAD_MALFORMED", "limits")
def map_count_beyond_the_data(forge: Forge) -> Made:
    """The map claims 2 to the 64 entries."""
    return forge.document(cbor.mapping(forge.entries(), count=(1 << 64) - 1))


@refuse("PAYLOAD_MALFORMED", "limits")
def map_count_one_too_many(forge: Forge) -> Made:
    """The map claims one entry more than there are."""
    return forge.document(cbor.mapping(forge.entries(), count=10))


@refuse("PAYLOAD_TRAILING_BYTES", "input-form")
def map_count_one_too_few(forge: Forge) -> Made:
    """The map claims one entry less than there are: the nonce lies behind it."""
    return judged(forge.document(cbor.mapping(forge.entries(), count=8)), expect={})


@refuse("PAYLOAD_MALFORMED", "limits")
def bundle_count_beyond_the_data(forge: Forge) -> Made:
    """The bundle claims four thousand million certificates."""
    items = [cbor.dumps(certificate) for certificate in forge.chain()[:-1]]
    return replaced(forge, "cabundle", cbor.array(items, count=0xFFFFFFFF))


@refuse("PAYLOAD_MALFORMED", "limits")
def string_longer_than_the_data(forge: Forge) -> Made:
    """The nonce claims 2 to the 63 bytes."""
    return judged(replaced(forge, "nonce", cbor.head(2, 1 << 63)), expect={})


@refuse("PAYLOAD_MALFORMED", "input-form")
def text_not_utf8(forge: Forge) -> Made:
    """module_id holds bytes that are not UTF-8."""
    return replaced(forge, "module_id", cbor.head(3, 4) + b"i-\xff\xfe")


@refuse("PAYLOAD_MALFORMED", "input-form")
def reserved_head(forge: Forge) -> Made:
    """The nonce starts with a byte that has no meaning (additional information 28)."""
    return judged(replaced(forge, "nonce", b"\x5c"), expect={})


@refuse("PAYLOAD_NOT_MAP", "loose-types")
def an_array(forge: Forge) -> Made:
    """The payload is an array of the nine values."""
    return forge.document(cbor.array(value for _, value in forge.entries()))


@refuse("PAYLOAD_NOT_MAP", "loose-types")
def wrapped_in_a_byte_string(forge: Forge) -> Made:
    """The payload is a byte string that holds the map."""
    return forge.document(cbor.dumps(forge.payload()))


@refuse("PAYLOAD_TRAILING_BYTES", "input-form")
def a_byte_after_the_map(forge: Forge) -> Made:
    """A null follows the map."""
    return forge.document(forge.payload() + b"\xf6")


@refuse("PAYLOAD_TRAILING_BYTES", "input-form", "duplicate-key")
def a_second_map_after_the_map(forge: Forge) -> Made:
    """A second map with another user_data follows the first."""
    return forge.document(forge.payload() + cbor.dumps({"user_data": b"other data"}))


@refuse("PAYLOAD_TRAILING_BYTES", "indefinite-length")
def early_break(forge: Forge) -> Made:
    """A break ends the map before its last entry, which follows, and another break."""
    *first, (key, value) = forge.entries()
    payload = cbor.mapping(first, indefinite=True) + key + value + b"\xff"
    return judged(forge.document(payload), expect={})


@refuse("PAYLOAD_MALFORMED", "indefinite-length")
def break_between_key_and_value(forge: Forge) -> Made:
    """A break stands where the value of the last key should be."""
    *first, (key, _) = forge.entries()
    body = b"".join(k + v for k, v in first)
    return judged(forge.document(b"\xbf" + body + key + b"\xff"), expect={})


@refuse("PAYLOAD_MALFORMED", "indefinite-length")
def break_missing(forge: Forge) -> Made:
    """A map of indefinite length that does not end."""
    return forge.document(cbor.mapping(forge.entries(), indefinite=True)[:-1])


@refuse("PAYLOAD_MALFORMED", "indefinite-length")
def break_in_a_definite_map(forge: Forge) -> Made:
    """A break in a definite map, where its last value should be."""
    *first, (key, _) = forge.entries()
    body = b"".join(k + v for k, v in first)
    return judged(forge.document(cbor.head(5, 9) + body + key + b"\xff"), expect={})


@refuse("PAYLOAD_LIMIT", "limits", weight="should")
def many_items(forge: Forge) -> Made:
    """An unknown field holds 8,000 numbers."""
    return judged(forge.document(x=[0] * 8_000), strict=False)


@refuse("PAYLOAD_LIMIT", "limits")
def nested_arrays(forge: Forge) -> Made:
    """An unknown field holds 5,000 arrays in one another."""
    return judged(also(forge, cbor.dumps("x"), b"\x81" * 5_000 + b"\x00"), strict=False)


@refuse("PAYLOAD_LIMIT", "limits")
def nested_endless_arrays(forge: Forge) -> Made:
    """An unknown field holds 2,000 arrays of indefinite length in one another."""
    nested = b"\x9f" * 2_000 + b"\xff" * 2_000
    return judged(also(forge, cbor.dumps("x"), nested), strict=False)


# The same key twice


@refuse("DUPLICATE_KEY", "duplicate-key")
def pcrs_twice(forge: Forge) -> Made:
    """pcrs stands twice: first with zeros, then as the caller expects it."""
    zeros = cbor.dumps(dict.fromkeys(range(16), bytes(48)))
    return forge.document(forge.map([(cbor.dumps("pcrs"), zeros), *forge.entries()]))


@refuse("DUPLICATE_KEY", "duplicate-key")
def pcrs_twice_the_other_way_round(forge: Forge) -> Made:
    """pcrs stands twice: first as the caller expects it, then with zeros."""
    zeros = cbor.dumps(dict.fromkeys(range(16), bytes(48)))
    return also(forge, cbor.dumps("pcrs"), zeros)


@refuse("DUPLICATE_KEY", "duplicate-key")
def certificate_twice(forge: Forge) -> Made:
    """certificate stands twice, first the instance's CA and then the leaf."""
    instance = cbor.dumps(forge.chain()[3])
    return forge.document(forge.map([(cbor.dumps("certificate"), instance), *forge.entries()]))


@refuse("DUPLICATE_KEY", "duplicate-key")
def nonce_twice(forge: Forge) -> Made:
    """nonce stands twice, the first time as the caller expects it."""
    return also(forge, cbor.dumps("nonce"), cbor.dumps(b"an older nonce"))


@refuse("DUPLICATE_KEY", "duplicate-key")
def field_name_in_two_encodings(forge: Forge) -> Made:
    """nonce stands twice, once with its length in two bytes."""
    return also(forge, cbor.head(3, 5, 1) + b"nonce", cbor.dumps(forge.nonce))


@refuse("DUPLICATE_KEY", "duplicate-key")
def pcr_twice(forge: Forge) -> Made:
    """PCR0 stands twice in pcrs, with two values."""
    entries = cbor.entries(dict(forge.pcrs()))
    return replaced(forge, "pcrs", cbor.mapping([*entries, (b"\x00", cbor.dumps(bytes(48)))]))


@refuse("DUPLICATE_KEY", "duplicate-key")
def pcr_index_in_two_encodings(forge: Forge) -> Made:
    """PCR1 stands twice in pcrs, as 01 and as 1801: the same integer."""
    entries = cbor.entries(dict(forge.pcrs()))
    twice = [*entries, (b"\x18\x01", cbor.dumps(bytes(48)))]
    return replaced(forge, "pcrs", cbor.mapping(twice))


@refuse("DUPLICATE_KEY", "duplicate-key", weight="should")
def duplicate_inside_an_unknown_field(forge: Forge) -> Made:
    """An unknown field holds a map with the same key twice."""
    return judged(also(forge, cbor.dumps("x"), b"\xa2\x00\x00\x00\x00"), strict=False)
