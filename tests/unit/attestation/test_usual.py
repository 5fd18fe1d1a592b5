"""What usually occurs is read in one look: exactly as the long way reads it, or not at all."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nitrosim.attestation import certificate as x509
from nitrosim.attestation import cose, extensions, names
from nitrosim.attestation._cbor import CborError, decode
from nitrosim.attestation._der import Cursor, DerError
from nitrosim.attestation.certificate import CertificateError, read_certificate
from thoroughness import examples

LEVELS = ("root", "regional", "zonal", "instance", "leaf")
NEVER = re.compile(b"(?!)")

often = settings(
    max_examples=examples(400),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def long_way(monkeypatch):
    """Return a reader of certificates without any shortcut."""

    def read(der):
        with monkeypatch.context() as patch:
            patch.setattr(names, "_USUAL_ATTRIBUTE", NEVER)
            patch.setattr(extensions, "_USUAL_EXTENSION", NEVER)
            patch.setattr(extensions, "_USUAL_CONSTRAINTS", {})
            patch.setattr(extensions, "_KEY_ID_BYTES", 1 << 20)
            return read_certificate(der)

    return read


def outcome(read, der):
    """What has been read; None if it was refused."""
    try:
        return read(der)
    except CertificateError:
        return None


@often
@given(st.data())
def test_changed_certificates_are_read_alike(forge, long_way, data):
    der = bytearray(forge.chain()[data.draw(st.integers(0, 4))])
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(
            st.integers(0, 255) | st.sampled_from([0x00, 0x01, 0x06, 0x0C, 0x13, 0x30, 0x31, 0x80])
        )

    assert outcome(long_way, bytes(der)) == outcome(read_certificate, bytes(der))


@pytest.mark.parametrize("which", range(5), ids=LEVELS)
def test_every_byte_of_a_certificate_is_looked_at_alike(forge, long_way, which):
    der = forge.chain()[which]
    for at in range(len(der)):
        for change in (0x01, 0x80, 0xFF):
            changed = der[:at] + bytes([der[at] ^ change]) + der[at + 1 :]
            assert outcome(long_way, changed) == outcome(read_certificate, changed)


@pytest.mark.parametrize("which", range(5), ids=LEVELS)
def test_unchanged_certificates_take_the_short_way(forge, monkeypatch, which):
    headers = []

    class Counting(Cursor):
        __slots__ = ()

        def header(self, tag):
            headers.append(tag)
            return super().header(tag)

    monkeypatch.setattr(x509, "Cursor", Counting)
    read_certificate(forge.chain()[which])

    # Sequences and sets of names and extensions are most of a certificate's elements.
    assert 30 > len(headers)


def test_lengths_that_disagree_are_left_to_the_long_way(forge):
    # An attribute that says it is longer than its set, and one that its set goes on behind.
    for subject in ("300f310a300b06035504030c0461626364", "3011310f300b06035504030c04616263640500"):
        forge.edit("leaf", "subject", bytes.fromhex(subject))
        with pytest.raises(CertificateError):
            read_certificate(forge.chain()[4])


@pytest.mark.parametrize("size", [0, 1, 109, 116, 117, 118, 119, 127, 128, 200, 255, 256])
def test_texts_of_any_length_are_read(forge, size):
    text = "x" * size
    tlv = forge.tlv
    oid = bytes.fromhex("0603550403")
    subject = tlv(0x30, tlv(0x31, tlv(0x30, oid, tlv(0x0C, text.encode()))))
    forge.edit("leaf", "subject", subject)

    assert text == read_certificate(forge.chain()[4]).common_name


@pytest.mark.parametrize("size", [0, 1, 100, 115, 116, 117, 118, 119, 120, 127, 128, 200])
@pytest.mark.parametrize("critical", [False, True])
def test_extensions_of_any_length_are_read(forge, size, critical):
    name = "551d7f"
    odd = forge.extension(name, b"v" * size, critical=critical)
    forge.change("leaf", extensions=(*forge.levels["leaf"].extensions, odd))

    found = read_certificate(forge.chain()[4]).extensions
    assert (critical, b"v" * size) == found[bytes.fromhex(name)]


@pytest.mark.parametrize("limit", range(14))
def test_path_lengths_are_read(forge, limit):
    forge.extend("zonal", forge.basic_constraints(limit))
    certificate = read_certificate(forge.chain()[2])

    assert (True, limit) == (certificate.is_ca, certificate.path_length)


@pytest.mark.parametrize("size", [0, 1, 19, 20, 21, 127, 128])
def test_key_identifiers_of_any_length_are_read(forge, size):
    key_id = b"k" * size
    forge.extend("zonal", forge.extension("551d0e", forge.tlv(0x04, key_id)))
    forge.extend("instance", forge.extension("551d23", forge.tlv(0x30, forge.tlv(0x80, key_id))))
    chain = [read_certificate(der) for der in forge.chain()]

    assert key_id == chain[2].subject_key_id
    assert key_id == chain[3].authority_key_id


def test_a_key_identifier_of_twenty_bytes_ends_where_it_says(forge):
    forge.extend("zonal", forge.extension("551d0e", forge.tlv(0x04, b"k" * 20) + b"\0"))
    with pytest.raises(CertificateError):
        read_certificate(forge.chain()[2])


def test_known_elements_do_not_reach_beyond_their_container():
    data = bytes.fromhex("300a06082a8648ce3d040303")

    assert data == Cursor(data).known(data[:2], len(data))
    cursor = Cursor(data, 0, len(data) - 1)
    assert cursor.known(data[:2], len(data)) is None
    assert 0 == cursor.pos
    with pytest.raises(DerError):
        cursor.element(0x30)


def envelope(forge, payload):
    return forge.document(payload, signature=bytes(95) + b"\1")


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 257, 4000, 16384])
def test_envelopes_of_any_length_are_read(forge, size):
    document = envelope(forge, b"p" * size)
    general = decode(document, indefinite=False, shortest=True)

    # Short payloads have a shorter head and are left to the general reader.
    assert (general if size > 0xFF else None) == cose._usual_envelope(document)


@often
@given(st.data())
def test_changed_envelopes_are_read_alike(forge, data):
    document = bytearray(envelope(forge, b"p" * data.draw(st.sampled_from([200, 256, 300, 511]))))
    heads = [*range(10), *range(len(document) - 100, len(document))]
    for _ in range(data.draw(st.integers(1, 3))):
        document[data.draw(st.sampled_from(heads))] = data.draw(
            st.integers(0, 255) | st.sampled_from([0x58, 0x59, 0x60, 0x84, 0x9F, 0xA0, 0xFF])
        )
    changed = bytes(document) + data.draw(st.sampled_from([b"", b"\0"]))
    usual = cose._usual_envelope(changed)
    if usual is not None:
        assert decode(changed, indefinite=False, shortest=True) == usual
    else:
        try:
            general = decode(changed, indefinite=False, shortest=True)
        except CborError:
            return
        # What is well-formed all the same is not what a module writes.
        assert b"\x84\x44\xa1\x01\x38\x22\xa0\x59" != changed[:8] or 96 != len(general[3])
