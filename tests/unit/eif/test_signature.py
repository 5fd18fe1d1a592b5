"""The signature section and the COSE_Sign1 structure in it: bytes, and what is refused."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrosim.eif import EifError
from nitrosim.eif.signature import (
    Sign1,
    pcr_payload,
    protected_header,
    read_section,
    read_sign1,
    signed_bytes,
    write_section,
)

ENTRY = {"signing_certificate": list(b"pem\xff"), "signature": list(b"\x17\x18cose")}


def refusal(data, offset=0):
    with pytest.raises(EifError) as caught:
        read_section(data, offset=offset)
    assert "SIGNATURE_CBOR" == caught.value.code
    return caught.value.offset


def cose_refusal(data):
    with pytest.raises(EifError) as caught:
        read_sign1(data, offset=77)
    assert ("COSE", 77) == (caught.value.code, caught.value.offset)
    return caught.value


def test_every_byte_is_an_integer_of_its_own():
    written = write_section(b"\x00\x17\x18\xff", b"A")

    assert written == (
        b"\x81\xa2\x73signing_certificate\x84\x00\x17\x18\x18\x18\xff\x69signature\x81\x18\x41"
    )


@given(certificate=st.binary(max_size=300), cose=st.binary(max_size=300))
def test_section_is_what_a_cbor_library_writes_and_is_read_again(certificate, cose):
    entry = {"signing_certificate": list(certificate), "signature": list(cose)}
    section = read_section(write_section(certificate, cose))

    assert cbor2.dumps([entry]) == write_section(certificate, cose)
    assert [(certificate, cose)] == [(entry.certificate, entry.cose) for entry in section.entries]
    assert section.wide_integer is None


def test_place_of_certificate_and_signature_is_known():
    data = write_section(b"abc", b"def")
    (entry,) = read_section(data, offset=1000).entries

    assert 1000 + data.index(b"\x83") == entry.certificate_offset
    assert 1000 + data.rindex(b"\x83") == entry.cose_offset


def test_other_order_other_keys_and_more_entries_are_read():
    more = {"new": [{"a": b"x"}, 1.5, None, -1], **dict(reversed(ENTRY.items()))}

    section = read_section(cbor2.dumps([more, ENTRY]))

    assert [b"pem\xff"] * 2 == [entry.certificate for entry in section.entries]


def test_integer_in_a_longer_form_is_read_and_reported():
    data = cbor2.dumps([ENTRY]).replace(b"\x84\x18\x70", b"\x84\x19\x00\x70", 1)

    section = read_section(data, offset=10)

    assert b"pem\xff" == section.entries[0].certificate
    assert 10 + data.index(b"\x19\x00\x70") == section.wide_integer


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"", 0),
        (b"\x80", 0),
        (b"\xa0", 0),
        (b"\x81\x80", 1),
        (b"\x81\xa0", 1),
        (b"\x81\xa1\x01\x80", 2),
        (b"\x81\xa1\x62\xff\xff\x80", 2),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 0),
        (b"\x9f\xff", 0),
        (b"\x81\xbf\xff", 1),
        (b"\x1c", 0),
        (cbor2.dumps([ENTRY]) + b"\x00", len(cbor2.dumps([ENTRY]))),
        (cbor2.dumps([{"signature": [1]}]), 1),
        (cbor2.dumps([{**ENTRY, "signature": b"bytes"}]), 41),
        (cbor2.dumps([{**ENTRY, "signature": [1, 256]}]), 43),
        (cbor2.dumps([{**ENTRY, "signature": [1, -1]}]), 43),
        (cbor2.dumps([{**ENTRY, "signature": [1, "a"]}]), 43),
        (cbor2.dumps([{**ENTRY, "z": [[]] * 3}])[:-1], 58),
    ],
)
def test_other_content_is_refused_where_it_is_wrong(data, offset):
    assert 500 + offset == refusal(data, offset=500)


def test_repeated_key_is_refused():
    data = b"\x81\xa3" + 2 * (b"\x69signature\x80") + b"\x73signing_certificate\x80"

    assert 2 + 11 == refusal(data)


def test_deep_nesting_is_refused():
    assert refusal(b"\x81\xa1\x61a" + b"\x81" * 100_000 + b"\x00") > 10


@given(data=st.binary(max_size=64), cut=st.integers(0, 60))
def test_any_bytes_are_read_or_refused(data, cut):
    for content in (data, cbor2.dumps([ENTRY])[:cut] + data):
        try:
            section = read_section(content)
        except EifError as error:
            found = error.offset
        else:
            found = section.entries[0].cose_offset
        assert 0 <= found <= len(content)


def test_payload_is_the_register_as_integers():
    assert cbor2.dumps(
        {"register_index": 0, "register_value": list(range(208, 256))}
    ) == pcr_payload(0, bytes(range(208, 256)))


@pytest.mark.parametrize(
    ("algorithm", "header"), [(-7, "a10126"), (-35, "a1013822"), (-36, "a1013823")]
)
def test_protected_header_has_nothing_but_the_algorithm(algorithm, header):
    assert bytes.fromhex(header) == protected_header(algorithm)


def test_signed_bytes_are_the_sig_structure_of_rfc_9052():
    assert cbor2.dumps(["Signature1", b"\xa1\x01\x26", b"", b"p" * 300]) == signed_bytes(
        b"\xa1\x01\x26", b"p" * 300
    )


STRUCTURE = Sign1(protected=b"\xa1\x01\x26", algorithm=-7, payload=b"payload", signature=b"rs")


def test_structure_is_written_without_a_tag():
    assert cbor2.dumps([b"\xa1\x01\x26", {}, b"payload", b"rs"]) == STRUCTURE.to_bytes()


@pytest.mark.parametrize("tag", [b"", b"\xd2", b"\xd8\x12"])
def test_structure_is_read_with_and_without_tag_18(tag):
    assert STRUCTURE == read_sign1(tag + STRUCTURE.to_bytes())


def test_other_labels_are_not_looked_at():
    protected = cbor2.dumps({3: "text", "x": [1], 1: -7})

    read = read_sign1(cbor2.dumps([protected, {4: b"kid", "y": {1: 2}}, b"payload", b"rs"]))

    assert (protected, -7) == (read.protected, read.algorithm)


@pytest.mark.parametrize(
    "structure",
    [
        [],
        [b"\xa1\x01\x26", {}, b"p"],
        [b"\xa1\x01\x26", {}, b"p", b"rs", b"more"],
        [b"\xa1\x01\x26", [], b"p", b"rs"],
        [b"\xa1\x01\x26", {}, None, b"rs"],
        ["text", {}, b"p", b"rs"],
        [b"", {}, b"p", b"rs"],
        [b"\xa0", {}, b"p", b"rs"],
        [b"\xa1\x03\x26", {}, b"p", b"rs"],
        [b"\xa1\x01\x61a", {}, b"p", b"rs"],
        [b"\xa2\x01\x26\x01\x26", {}, b"p", b"rs"],
        [b"\xa1\x01\x26\x00", {}, b"p", b"rs"],
        [b"\xa1\xf5\x26", {}, b"p", b"rs"],
        {},
    ],
)
def test_other_structure_is_refused(structure):
    cose_refusal(cbor2.dumps(structure))


@pytest.mark.parametrize("change", [b"\xd1", b"\xd2\xd2"])
def test_other_tag_is_refused(change):
    cose_refusal(change + STRUCTURE.to_bytes())


def test_bytes_after_the_structure_are_refused():
    cose_refusal(STRUCTURE.to_bytes() + b"\x00")
