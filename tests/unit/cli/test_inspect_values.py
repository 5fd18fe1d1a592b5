"""What bytes look like, how long a time is, and what is left of a broken file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from nitrosim.cli.documents import printable
from nitrosim.cli.inspection import times, values
from nitrosim.cli.inspection.salvage import MAX_DEPTH, Entries, salvage

DER = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PEM = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
UNCOMPRESSED = (Encoding.X962, PublicFormat.UncompressedPoint)
COMPRESSED = (Encoding.X962, PublicFormat.CompressedPoint)


def public(curve):
    return ec.derive_private_key(12345, curve).public_key()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (public(ec.SECP256R1()).public_bytes(*DER), "EC P-256, public key in DER"),
        (public(ec.SECP384R1()).public_bytes(*PEM), "EC P-384, public key in PEM"),
        (public(ec.SECP256K1()).public_bytes(*DER), "EC secp256k1, public key in DER"),
        (public(ec.SECP256R1()).public_bytes(*UNCOMPRESSED), "a point on P-256, uncompressed"),
        (public(ec.SECP521R1()).public_bytes(*UNCOMPRESSED), "a point on P-521, uncompressed"),
        (
            public(ec.SECP256K1()).public_bytes(*UNCOMPRESSED)[1:],
            "a point on secp256k1, x and y without the leading 04",
        ),
        (b"\x04" + bytes(64), None),
        (b"dummy", None),
        (b"\x30\x03\x02\x01\x01", None),
        (b"-----BEGIN PUBLIC KEY-----", None),
    ],
)
def test_key_beyond_doubt_is_named(value, expected):
    assert expected == values.describe_key(value)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)), "Ed25519"),
        (x25519.X25519PrivateKey.from_private_bytes(bytes(32)), "X25519"),
        (rsa.generate_private_key(65537, 2048), "RSA 2048"),
    ],
    ids=["Ed25519", "X25519", "RSA"],
)
def test_key_of_another_kind_is_named(key, expected):
    found = values.describe_key(key.public_key().public_bytes(*DER))

    assert f"{expected}, public key in DER" == found


def test_guess_is_worded_as_one():
    compressed = public(ec.SECP384R1()).public_bytes(*COMPRESSED)

    assert "could be a raw X25519 or Ed25519 key, or a hash" == values.guess_key(bytes(32))
    assert "could be a compressed point on P-384" == values.guess_key(compressed)
    assert "could be two numbers" in values.guess_key(bytes(64))
    assert values.guess_key(b"\x02" + b"\xff" * 48) is None
    assert values.guess_key(b"dummy") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"Hello World!\n", "Hello World!\n"),
        ("Grüße".encode(), "Grüße"),
        (b"\x1b[2Jgone", "\x1b[2Jgone"),
        (bytes(range(32)), None),
        (b"\xff\xfe", None),
        (b"", None),
    ],
)
def test_text_is_what_is_mostly_characters(value, text):
    assert text == values.readable_text(value)


def test_json_is_laid_out_with_every_number_and_string_as_it_stands():
    text = '{"a":1.10,"a":[1,{"b":"}, \\" ["}],"c":{},"d":[ ],"e":1e999}'
    expected = """\
{
  "a": 1.10,
  "a": [
    1,
    {
      "b": "}, \\" ["
    }
  ],
  "c": {},
  "d": [],
  "e": 1e999
}"""

    assert expected == values.indented_json(text)


@pytest.mark.parametrize(
    "text",
    ["[" * 5000, "[" * 40 + "]" * 40, "{broken", '"text"', "12", "", "[" + "1," * 4000 + "1]"],
)
def test_other_text_is_not_laid_out(text):
    assert values.indented_json(text) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_laid_out_json_means_the_same(value):
    laid_out = values.indented_json(json.dumps(value, ensure_ascii=False))

    assert laid_out is None or value == json.loads(laid_out)


def test_lines_are_escaped_one_by_one():
    assert ["a", "b    c", "\\x1b[0m", "\\u202ed"] == values.shown_lines(
        "a\r\nb\tc\n\x1b[0m\n\u202ed\n"
    )


@pytest.mark.parametrize(
    ("data", "clue"),
    [
        (b"", "empty"),
        (b"8444\na101\n", "xxd -r -p"),
        (b"hEShATgi\noFkQ6q==\n", "base64 -d"),
        (b'{"document_base64": "hEShATgi"}', "JSON"),
        (bytes.fromhex("a16b4174746573746174696f6ea1"), "whole answer"),
        (b"-----BEGIN CERTIFICATE-----\n", "PEM"),
    ],
)
def test_document_in_another_wrapping_gets_a_hint(data, clue):
    assert clue in values.wrapping_hint(data)


def test_bytes_without_meaning_get_no_hint():
    assert values.wrapping_hint(b"\x84\x00\xff") is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢 \\n", "plain ü 漢 \\n"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\x00\x7f", "a\\nb\\x00\\x7f"),
        ("\u202e\u2066\u200b\ufeff", "\\u202e\\u2066\\u200b\\ufeff"),
        ("\udc80\u2028", "\\udc80\\u2028"),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(text, shown):
    assert shown == printable(text)


def test_spans_have_two_units():
    seconds = (0, 59, 60, 3661, 86400, 90061, 31557600, -90)

    assert ["0 s", "59 s", "1 min", "1 h 1 min", "1 d", "1 d 1 h", "1 y", "1 min 30 s"] == [
        times.span(timedelta(seconds=number)) for number in seconds
    ]


def test_past_and_future_are_told_apart():
    assert "1 h ago" == times.relative(timedelta(hours=1))
    assert "1 h from now" == times.relative(timedelta(hours=-1))
    assert "1 h left" == times.remaining(timedelta(hours=1))
    assert "ended 1 h ago" == times.remaining(timedelta(hours=-1))


def test_stamp_has_milliseconds_where_there_are_any():
    moment = datetime(2025, 8, 18, 8, 41, 49, tzinfo=UTC)

    assert "2025-08-18 08:41:49 UTC" == times.stamp(moment)
    assert "2025-08-18 08:41:49.491 UTC" == times.stamp(moment.replace(microsecond=491000))


@pytest.mark.parametrize(
    ("module_id", "launched"),
    [
        ("i-1-enc0198bc571bf3e785", datetime(2025, 8, 18, 8, 41, 22, 163000, tzinfo=UTC)),
        ("i-1-tpm0000000000000000", None),
        ("i-1-enc198bc571bf3e785", None),
        ("i-1-enc+198bc571bf3e785", None),
        ("i-1-enc0198bc571bf3zzzz", None),
        # 48 bits of milliseconds reach beyond the year 9999, where Python's calendar ends.
        ("i-1-encffffffffffff0000", None),
        ("", None),
    ],
)
def test_launch_time_out_of_the_module_id(module_id, launched):
    assert launched == times.launch_time(module_id)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", 0),
        ("1903e8", 1000),
        ("20", -1),
        ("3903e7", -1000),
        ("426869", b"hi"),
        ("5f41684169ff", b"hi"),
        ("626869", "hi"),
        ("61ff", "\\xff"),
        ("f5", True),
        ("f6", None),
        ("f7", None),
        ("f820", None),
        ("f93c00", 1.0),
        ("fb3ff0000000000000", 1.0),
        ("d20a", 10),
        ("83010203", [1, 2, 3]),
        ("9f0102ff", [1, 2]),
        ("a161610a", Entries((("a", 10),))),
        ("bf61610a6161" + "0bff", Entries((("a", 10), ("a", 11)))),
    ],
)
def test_well_formed_item_is_read_as_it_is(data, value):
    data = bytes.fromhex(data)
    found = salvage(data, keep_cut=False)

    assert (value, None, len(data)) == (found.value, found.flaw, found.end)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("", None),
        ("84", []),
        ("8401", [1]),
        ("84014261", [1]),
        ("9f01", [1]),
        ("9b7fffffffffffffff01", [1]),
        ("a2616101", Entries((("a", 1),))),
        ("a26161016162", Entries((("a", 1),))),
        ("8201fc", [1]),
        ("8201ff", [1]),
        ("82015f6161ff", [1]),
        ("8201" + "f9", [1]),
    ],
)
def test_damaged_item_is_read_up_to_the_damage(data, value):
    found = salvage(bytes.fromhex(data), keep_cut=False)

    assert value == found.value
    assert found.flaw


def test_cut_byte_string_is_kept_on_demand_only():
    data = bytes.fromhex("82014a6869")

    assert [1, b"hi"] == salvage(data, keep_cut=True).value
    assert [1] == salvage(data, keep_cut=False).value


def test_nesting_is_bounded():
    found = salvage(b"\x81" * 100_000, keep_cut=True)

    assert "nested too deep" in found.flaw
    assert MAX_DEPTH + 1 >= found.end


@given(st.binary(max_size=200))
def test_whatever_the_bytes_something_is_returned(data):
    found = salvage(data, keep_cut=True)

    assert 0 <= found.end <= len(data)
    assert found.flaw is None or found.flaw.isprintable()
