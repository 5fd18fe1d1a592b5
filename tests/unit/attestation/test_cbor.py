from __future__ import annotations

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrosim.attestation._cbor import MAX_DEPTH, MAX_ITEMS, CborError, Problem, decode
from thoroughness import examples


def read(text):
    return decode(bytes.fromhex(text), indefinite=True, shortest=False)


def problem(text, *, indefinite=True, shortest=False):
    with pytest.raises(CborError) as caught:
        decode(bytes.fromhex(text), indefinite=indefinite, shortest=shortest)
    return caught.value.problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1bffffffffffffffff", 2**64 - 1),
        ("20", -1),
        ("3822", -35),
        ("3bffffffffffffffff", -(2**64)),
        ("40", b""),
        ("43010203", b"\1\2\3"),
        ("60", ""),
        ("62c3bc", "ü"),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("80", []),
        ("820102", [1, 2]),
        ("9f0102ff", [1, 2]),
        ("9fff", []),
        ("a0", {}),
        ("a201026161f6", {1: 2, "a": None}),
        ("bf01026161f6ff", {1: 2, "a": None}),
        ("bfff", {}),
        ("9f9fffbfffff", [[], {}]),
        ("1801", 1),
        ("5900020102", b"\1\2"),
    ],
)
def test_values(text, value):
    found = read(text)

    assert value == found
    assert type(value) is type(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Problem.TRUNCATED),
        ("18", Problem.TRUNCATED),
        ("1a000000", Problem.TRUNCATED),
        ("4201", Problem.TRUNCATED),
        ("8201", Problem.TRUNCATED),
        ("9f01", Problem.TRUNCATED),
        ("a101", Problem.TRUNCATED),
        ("bf01", Problem.TRUNCATED),
        ("bf0102", Problem.TRUNCATED),
        ("5bffffffffffffffff", Problem.TRUNCATED),
        ("9bffffffffffffffff", Problem.TRUNCATED),
        ("bb8000000000000000", Problem.TRUNCATED),
        ("0102", Problem.TRAILING),
        ("80ff", Problem.TRAILING),
        ("1c", Problem.RESERVED),
        ("1f", Problem.RESERVED),
        ("3f", Problem.RESERVED),
        ("df", Problem.RESERVED),
        ("5e", Problem.RESERVED),
        ("fc", Problem.RESERVED),
        ("ff", Problem.RESERVED),
        ("81ff", Problem.RESERVED),
        ("a1ff00", Problem.RESERVED),
        ("a101ff", Problem.RESERVED),
        ("bf01ff", Problem.RESERVED),
        ("5f4101ff", Problem.CHUNKED),
        ("5fff", Problem.CHUNKED),
        ("7f6161ff", Problem.CHUNKED),
        ("c000", Problem.TAG),
        ("c24101", Problem.TAG),
        ("d9d9f700", Problem.TAG),
        ("f90000", Problem.FLOAT),
        ("fa00000000", Problem.FLOAT),
        ("fb0000000000000000", Problem.FLOAT),
        ("f7", Problem.SIMPLE),
        ("e0", Problem.SIMPLE),
        ("f814", Problem.SIMPLE),
        ("f8ff", Problem.SIMPLE),
        ("a1f500", Problem.KEY_TYPE),
        ("a1f600", Problem.KEY_TYPE),
        ("a14000", Problem.KEY_TYPE),
        ("a18000", Problem.KEY_TYPE),
        ("a1a000", Problem.KEY_TYPE),
        ("a201000100", Problem.DUPLICATE_KEY),
        ("a20100180100", Problem.DUPLICATE_KEY),
        ("bf61610061610000ff", Problem.DUPLICATE_KEY),
        ("a26161007801610000", Problem.DUPLICATE_KEY),
        ("61ff", Problem.UTF8),
        ("63eda080", Problem.UTF8),
    ],
)
def test_refused(text, expected):
    assert expected is problem(text)


@pytest.mark.parametrize("text", ["1817", "190001", "5801ff", "7800", "9800", "b800", "3800"])
def test_long_heads_are_refused_on_demand(text):
    assert problem(text, shortest=True) is Problem.NOT_SHORTEST
    assert read(text) is not None


@pytest.mark.parametrize("text", ["9fff", "bfff", "81bfff"])
def test_indefinite_containers_are_refused_on_demand(text):
    assert problem(text, indefinite=False) is Problem.INDEFINITE


def test_depth_is_bounded():
    assert read("81" * MAX_DEPTH + "00")
    assert problem("81" * (MAX_DEPTH + 1) + "00") is Problem.LIMIT
    assert problem("bf00" * (MAX_DEPTH + 1) + "00") is Problem.LIMIT


def test_items_are_bounded():
    most = MAX_ITEMS - 1

    assert len(read(f"99{most:04x}" + "00" * most)) == most
    assert problem(f"99{most + 1:04x}" + "00" * (most + 1)) is Problem.LIMIT
    assert problem("9f" + "00" * MAX_ITEMS + "ff") is Problem.LIMIT


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-100, 100) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@settings(deadline=None, derandomize=True, max_examples=examples(300))
@given(values.filter(lambda value: depth(value) <= MAX_DEPTH))
def test_reads_what_another_implementation_writes(value):
    assert value == decode(cbor2.dumps(value), indefinite=False, shortest=True)


@settings(deadline=None, derandomize=True, max_examples=examples(500))
@given(st.binary(max_size=60))
def test_agrees_with_another_implementation_on_whatever_it_accepts(data):
    try:
        ours = decode(data, indefinite=True, shortest=False)
    except CborError:
        return
    theirs = cbor2.loads(data)

    assert theirs == ours
