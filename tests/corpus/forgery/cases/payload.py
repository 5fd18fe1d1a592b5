"""The payload: one CBOR map whose fields have exactly their types. All of these are well signed."""

from __future__ import annotations

import cbor2

from forgery import cbor
from forgery.case import Made, judged, refuse
from forgery.forge import Forge


def _replaced(forge: Forge, field: str, value: bytes) -> bytes:
    """Make a document in which the encoded value of one field is replaced."""
    key = cbor.dumps(field)
    return forge.document(forge.map([(k, value if k == key else v) for k, v in forge.entries()]))


def _without(forge: Forge, field: str) -> bytes:
    key = cbor.dumps(field)
    return forge.document(forge.map([entry for entry in forge.entries() if entry[0] != key]))


def _also(forge: Forge, key: bytes, value: bytes) -> bytes:
    """Make a document with one more encoded entry, after the others."""
    return forge.document(forge.map([*forge.entries(), (key, value)]))


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
    return _replaced(forge, "cabundle", cbor.array(items, count=0xFFFFFFFF))


@refuse("PAYLOAD_MALFORMED", "limits")
def string_longer_than_the_data(forge: Forge) -> Made:
    """The nonce claims 2 to the 63 bytes."""
    return judged(_replaced(forge, "nonce", cbor.head(2, 1 << 63)), expect={})


@refuse("PAYLOAD_MALFORMED", "input-form")
def text_not_utf8(forge: Forge) -> Made:
    """module_id holds bytes that are not UTF-8."""
    return _replaced(forge, "module_id", cbor.head(3, 4) + b"i-\xff\xfe")


@refuse("PAYLOAD_MALFORMED", "input-form")
def reserved_head(forge: Forge) -> Made:
    """The nonce starts with a byte that has no meaning (additional information 28)."""
    return judged(_replaced(forge, "nonce", b"\x5c"), expect={})


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
    return judged(_also(forge, cbor.dumps("x"), b"\x81" * 5_000 + b"\x00"), strict=False)


@refuse("PAYLOAD_LIMIT", "limits")
def nested_endless_arrays(forge: Forge) -> Made:
    """An unknown field holds 2,000 arrays of indefinite length in one another."""
    nested = b"\x9f" * 2_000 + b"\xff" * 2_000
    return judged(_also(forge, cbor.dumps("x"), nested), strict=False)


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
    return _also(forge, cbor.dumps("pcrs"), zeros)


@refuse("DUPLICATE_KEY", "duplicate-key")
def certificate_twice(forge: Forge) -> Made:
    """certificate stands twice, first the instance's CA and then the leaf."""
    instance = cbor.dumps(forge.chain()[3])
    return forge.document(forge.map([(cbor.dumps("certificate"), instance), *forge.entries()]))


@refuse("DUPLICATE_KEY", "duplicate-key")
def nonce_twice(forge: Forge) -> Made:
    """nonce stands twice, the first time as the caller expects it."""
    return _also(forge, cbor.dumps("nonce"), cbor.dumps(b"an older nonce"))


@refuse("DUPLICATE_KEY", "duplicate-key")
def field_name_in_two_encodings(forge: Forge) -> Made:
    """nonce stands twice, once with its length in two bytes."""
    return _also(forge, cbor.head(3, 5, 1) + b"nonce", cbor.dumps(forge.nonce))


@refuse("DUPLICATE_KEY", "duplicate-key")
def pcr_twice(forge: Forge) -> Made:
    """PCR0 stands twice in pcrs, with two values."""
    entries = cbor.entries(dict(forge.pcrs()))
    return _replaced(forge, "pcrs", cbor.mapping([*entries, (b"\x00", cbor.dumps(bytes(48)))]))


@refuse("DUPLICATE_KEY", "duplicate-key")
def pcr_index_in_two_encodings(forge: Forge) -> Made:
    """PCR1 stands twice in pcrs, as 01 and as 1801: the same integer."""
    entries = cbor.entries(dict(forge.pcrs()))
    twice = [*entries, (b"\x18\x01", cbor.dumps(bytes(48)))]
    return _replaced(forge, "pcrs", cbor.mapping(twice))


@refuse("DUPLICATE_KEY", "duplicate-key", weight="should")
def duplicate_inside_an_unknown_field(forge: Forge) -> Made:
    """An unknown field holds a map with the same key twice."""
    return judged(_also(forge, cbor.dumps("x"), b"\xa2\x00\x00\x00\x00"), strict=False)


# Types that do not belong


@refuse("FORBIDDEN_TYPE", "loose-types")
def timestamp_as_bignum(forge: Forge) -> Made:
    """The timestamp is a tagged big number of the right value."""
    number = forge.fields()["timestamp"]
    assert isinstance(number, int)
    return _replaced(forge, "timestamp", b"\xc2" + cbor.dumps(number.to_bytes(6, "big")))


@refuse("FORBIDDEN_TYPE", "loose-types")
def timestamp_as_date(forge: Forge) -> Made:
    """The timestamp is tagged as a date."""
    return _replaced(forge, "timestamp", b"\xc1" + cbor.dumps(int(forge.now.timestamp())))


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
    return _replaced(forge, "user_data", b"\xd8\x23" + cbor.dumps("(a+)+$"))


@refuse("FORBIDDEN_TYPE", "loose-types")
def certificate_tagged(forge: Forge) -> Made:
    """The leaf is tagged as a MIME message (36)."""
    return _replaced(forge, "certificate", b"\xd8\x24" + cbor.dumps(forge.chain()[-1]))


@refuse("FORBIDDEN_TYPE", "null-or-missing")
def nonce_undefined(forge: Forge) -> Made:
    """The nonce is undefined instead of null."""
    return judged(forge.document(nonce=cbor2.undefined), expect={})


@refuse("FORBIDDEN_TYPE", "loose-types", weight="should")
def nonce_in_chunks(forge: Forge) -> Made:
    """The nonce is a byte string in two chunks, which joined are the expected nonce."""
    return _replaced(forge, "nonce", cbor.chunked(2, forge.nonce[:8], forge.nonce[8:]))


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
    return _replaced(forge, "pcrs", pcrs)


@refuse("FORBIDDEN_TYPE", "loose-types")
def pcr_index_as_float(forge: Forge) -> Made:
    """The index of PCR1 is 1.0."""
    pcrs = cbor.mapping(
        [
            (b"\xf9\x3c\x00", value) if key == b"\x01" else (key, value)
            for key, value in cbor.entries(dict(forge.pcrs()))
        ]
    )
    return _replaced(forge, "pcrs", pcrs)


@refuse("FORBIDDEN_TYPE", "loose-types")
def field_name_as_bytes(forge: Forge) -> Made:
    """A tenth field is named by a byte string."""
    return judged(_also(forge, cbor.dumps(b"nonce"), b"\xf6"), strict=False)


@refuse("FORBIDDEN_TYPE", "loose-types")
def array_as_key(forge: Forge) -> Made:
    """A tenth field is named by an array."""
    return judged(_also(forge, b"\x80", b"\xf6"), strict=False)


@refuse("FORBIDDEN_TYPE", "loose-types", weight="should")
def simple_value(forge: Forge) -> Made:
    """An unknown field holds the simple value 255."""
    return judged(_also(forge, cbor.dumps("x"), b"\xf8\xff"), strict=False)


# Types that belong elsewhere


@refuse("WRONG_TYPE", "loose-types", weight="should")
def field_name_an_integer(forge: Forge) -> Made:
    """A tenth field is named by the integer 1."""
    return judged(_also(forge, b"\x01", b"\xf6"), strict=False)


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


# Presence


@refuse("MISSING_FIELD", "null-or-missing")
def module_id_missing(forge: Forge) -> Made:
    """There is no module_id."""
    return _without(forge, "module_id")


@refuse("MISSING_FIELD", "null-or-missing", weight="should")
def digest_missing(forge: Forge) -> Made:
    """There is no digest."""
    return _without(forge, "digest")


@refuse("MISSING_FIELD", "null-or-missing", "wrong-clock")
def timestamp_missing(forge: Forge) -> Made:
    """There is no timestamp."""
    return _without(forge, "timestamp")


@refuse("MISSING_FIELD", "absent-pcr")
def pcrs_missing(forge: Forge) -> Made:
    """There are no pcrs."""
    return _without(forge, "pcrs")


@refuse("MISSING_FIELD", "absent-pcr")
def pcrs_null(forge: Forge) -> Made:
    """pcrs is null."""
    return forge.document(pcrs=None)


@refuse("MISSING_FIELD", "null-or-missing")
def certificate_missing(forge: Forge) -> Made:
    """There is no certificate."""
    return _without(forge, "certificate")


@refuse("MISSING_FIELD", "null-or-missing")
def certificate_null(forge: Forge) -> Made:
    """The certificate is null."""
    return forge.document(certificate=None)


@refuse("MISSING_FIELD", "self-signed-substitute")
def bundle_missing(forge: Forge) -> Made:
    """There is no bundle: nothing leads from the leaf to a root."""
    return _without(forge, "cabundle")


@refuse("UNKNOWN_FIELD", "input-form", weight="should")
def unknown_field(forge: Forge) -> Made:
    """A tenth field with a name that nobody knows."""
    return forge.document(nitrogpu_pcrs={})


@refuse("UNKNOWN_FIELD", "input-form", weight="should")
def field_name_in_capitals(forge: Forge) -> Made:
    """A tenth field "Nonce", which some decoders match with "nonce"."""
    return _also(forge, cbor.dumps("Nonce"), cbor.dumps(b"another nonce"))


# Values


@refuse("MODULE_ID", "null-or-missing", weight="should")
def module_id_odd(forge: Forge) -> Made:
    """module_id holds a line break and a terminal's control sequence beside its usual parts."""
    return forge.document(module_id=f"{forge.module}\n\x1b[2J")


@refuse("WRONG_DOCUMENT_TYPE", "null-or-missing", weight="should")
def module_id_empty(forge: Forge) -> Made:
    """module_id is empty text."""
    return forge.document(module_id="")


@refuse("MODULE_ID", "instance-id-form", weight="should")
def module_id_without_the_leading_zero(forge: Forge) -> Made:
    """module_id lacks the zero after enc, as in the enclave id that nitro-cli prints."""
    return forge.document(module_id=forge.module.replace("-enc0", "-enc"))


@refuse("DIGEST", "algorithm-confusion")
def digest_sha256(forge: Forge) -> Made:
    """digest says SHA256."""
    return forge.document(digest="SHA256")


@refuse("DIGEST", "algorithm-confusion", weight="should")
def digest_in_small_letters(forge: Forge) -> Made:
    """digest says sha384."""
    return forge.document(digest="sha384")


@refuse("TIMESTAMP_RANGE", "wrong-clock")
def timestamp_zero(forge: Forge) -> Made:
    """The timestamp is 0."""
    return forge.document(timestamp=0)


@refuse("TIMESTAMP_RANGE", "wrong-clock")
def timestamp_negative(forge: Forge) -> Made:
    """The timestamp is -1."""
    return forge.document(timestamp=-1)


@refuse("TIMESTAMP_RANGE", "wrong-clock", "limits")
def timestamp_beyond_any_calendar(forge: Forge) -> Made:
    """The timestamp is 2 to the 64 less one."""
    return judged(forge.document(timestamp=2**64 - 1), live=False)


@refuse("PCR_COUNT", "absent-pcr")
def no_pcrs(forge: Forge) -> Made:
    """pcrs is an empty map."""
    return forge.document(pcrs={})


@refuse("PCR_COUNT", "fixed-layout", weight="should")
def thirty_three_pcrs(forge: Forge) -> Made:
    """pcrs has 33 entries."""
    return forge.document(pcrs=forge.pcrs() | dict.fromkeys(range(16, 33), bytes(48)))


@refuse("PCR_INDEX", "fixed-layout", weight="should")
def pcr_32(forge: Forge) -> Made:
    """pcrs has an entry 32, one beyond the last register."""
    return forge.document(pcrs=forge.pcrs() | {32: bytes(48)})


@refuse("PCR_INDEX", "loose-types", weight="should")
def pcr_minus_1(forge: Forge) -> Made:
    """pcrs has an entry -1, which is the last one of a list in some languages."""
    return forge.document(pcrs=forge.pcrs() | {-1: bytes(48)})


@refuse("PCR_INDEX", "loose-types", "limits")
def pcr_beyond_a_byte(forge: Forge) -> Made:
    """pcrs has an entry 256, which is 0 in eight bits."""
    return forge.document(pcrs=forge.pcrs() | {256: bytes(48)})


@refuse("PCR_LENGTH", "absent-pcr")
def pcr_empty(forge: Forge) -> Made:
    """PCR8 has no bytes, and the caller expects a value."""
    document = forge.document(pcrs=forge.pcrs() | {8: b""})
    return judged(document, expect={"pcrs": {8: forge.pcrs()[8]}})


@refuse("PCR_LENGTH", "absent-pcr")
def pcr_cut_short(forge: Forge) -> Made:
    """PCR0 is the first 32 bytes of what is expected."""
    return forge.document(pcrs=forge.pcrs() | {0: forge.pcrs()[0][:32]})


@refuse("PCR_LENGTH", "absent-pcr")
def pcr_with_a_byte_more(forge: Forge) -> Made:
    """PCR0 is what is expected and a zero byte."""
    return forge.document(pcrs=forge.pcrs() | {0: forge.pcrs()[0] + b"\0"})


@refuse("PCR_LENGTH", "absent-pcr", weight="should")
def unexpected_pcr_of_32_bytes(forge: Forge) -> Made:
    """PCR15 has 32 bytes, and the caller expects nothing of it."""
    return forge.document(pcrs=forge.pcrs() | {15: bytes(32)})


@refuse("FIELD_LENGTH", "field-sizes", weight="should")
def nonce_of_1025_bytes(forge: Forge) -> Made:
    """The nonce is one byte longer than AWS documents; the real module signs it."""
    nonce = forge.random("long nonce", 1025)
    return judged(forge.document(nonce=nonce), expect={"nonce": nonce})


@refuse("FIELD_LENGTH", "field-sizes", weight="should")
def user_data_of_1025_bytes(forge: Forge) -> Made:
    """user_data is one byte longer than AWS documents; the real module signs it."""
    return forge.document(user_data=forge.random("long data", 1025))


@refuse("FIELD_LENGTH", "field-sizes", weight="should")
def public_key_of_1025_bytes(forge: Forge) -> Made:
    """public_key is one byte longer than AWS documents; the real module signs it."""
    return forge.document(public_key=forge.random("long key", 1025))


# NitroTPM


@refuse("WRONG_DOCUMENT_TYPE", "nitrotpm")
def tpm_registers(forge: Forge) -> Made:
    """nitrotpm_pcrs in the place of pcrs, with the expected values."""
    key = cbor.dumps("pcrs")
    entries = [(cbor.dumps("nitrotpm_pcrs") if k == key else k, v) for k, v in forge.entries()]
    return forge.document(forge.map(entries))


@refuse("WRONG_DOCUMENT_TYPE", "nitrotpm", weight="should")
def both_kinds_of_registers(forge: Forge) -> Made:
    """pcrs and nitrotpm_pcrs side by side."""
    return forge.document(nitrotpm_pcrs=forge.pcrs())


@refuse("WRONG_DOCUMENT_TYPE", "nitrotpm")
def genuine_tpm_document(forge: Forge) -> Made:
    """A perfect NitroTPM document of 24 registers where an enclave is asked for; its registers
    0 to 2 were extended to the expected values."""
    return tpm_document(forge)


@refuse("WRONG_DOCUMENT_TYPE", "nitrotpm")
def enclave_where_a_tpm_is_asked_for(forge: Forge) -> Made:
    """A perfect enclave document where a NitroTPM one is asked for."""
    return judged(forge.document(), document_type="nitrotpm")


@refuse("WRONG_DOCUMENT_TYPE", "nitrotpm", weight="should")
def tpm_module_with_enclave_registers(forge: Forge) -> Made:
    """The module_id of a NitroTPM, and pcrs."""
    return forge.document(module_id=f"{forge.instance}-tpm0000000000000000")


def tpm_document(forge: Forge) -> bytes:
    """Make a NitroTPM document: all 24 registers, no launch time, a leaf of its name."""
    module = f"{forge.instance}-tpm0000000000000000"
    issued = int(forge.now.timestamp())
    leaf = forge.levels["leaf"].subject.replace(forge.module, module)
    forge.change("leaf", subject=leaf, serial=issued)
    unused = dict.fromkeys(range(3, 17), bytes(48)) | dict.fromkeys(range(17, 23), b"\xff" * 48)
    registers = dict(sorted(({i: forge.pcrs()[i] for i in (0, 1, 2)} | unused).items()))
    registers[23] = bytes(48)
    fields = forge.fields(module_id=module)
    ordered = {("nitrotpm_pcrs" if name == "pcrs" else name): v for name, v in fields.items()}
    return forge.document(forge.map(cbor.entries(ordered | {"nitrotpm_pcrs": registers})))
