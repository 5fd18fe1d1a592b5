import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_nsm.cbor import MAX_DEPTH, OPAQUE, MalformedCborError, read_item

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(1 << 64), max_value=(1 << 64) - 1)
    | st.binary(max_size=300)
    | st.text(max_size=100)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4),
    max_leaves=20,
)


def expected_from(value):
    """Turn what cbor2 was given into what the reader promises."""
    if isinstance(value, dict):
        return tuple((expected_from(key), expected_from(item)) for key, item in value.items())
    if isinstance(value, list):
        return [expected_from(item) for item in value]
    return value


def head(major: int, argument: int) -> bytes:
    """Encode a head longer than necessary: always eight bytes of argument."""
    return bytes([major << 5 | 27]) + argument.to_bytes(8, "big")


def encode_unusually(value) -> bytes:
    """Encode with indefinite lengths and the longest heads."""
    if isinstance(value, bool) or value is None:
        return cbor2.dumps(value)
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        chunks = [value[:1], value[1:]]
        return b"\x5f" + b"".join(head(2, len(chunk)) + chunk for chunk in chunks) + b"\xff"
    if isinstance(value, str):
        chunks = [value[:1].encode(), value[1:].encode()]
        return b"\x7f" + b"".join(head(3, len(chunk)) + chunk for chunk in chunks) + b"\xff"
    if isinstance(value, list):
        return b"\x9f" + b"".join(map(encode_unusually, value)) + b"\xff"
    pairs = (encode_unusually(key) + encode_unusually(item) for key, item in value.items())
    return b"\xbf" + b"".join(pairs) + b"\xff"


@given(VALUES)
def test_what_cbor2_writes_is_read_back(value):
    assert repr(expected_from(value)) == repr(read_item(cbor2.dumps(value)))


@given(VALUES)
def test_indefinite_lengths_and_long_heads_mean_the_same(value):
    assert repr(expected_from(value)) == repr(read_item(encode_unusually(value)))


@given(VALUES, st.binary(max_size=8))
def test_bytes_after_the_item_are_not_looked_at(value, rest):
    assert repr(expected_from(value)) == repr(read_item(cbor2.dumps(value) + rest))


@given(VALUES, st.data())
def test_an_item_cut_short_is_malformed(value, data):
    encoded = cbor2.dumps(value)
    length = data.draw(st.integers(min_value=0, max_value=len(encoded) - 1))
    with pytest.raises(MalformedCborError):
        read_item(encoded[:length])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_malformed(data):
    try:
        read_item(data)
    except MalformedCborError:
        return


@pytest.mark.parametrize(
    "encoded",
    [
        "f93c00",  # 1.0 as half float
        "fa3f800000",
        "fb3ff0000000000000",
        "f7",  # undefined
        "e0",
        "f8ff",
        "c240",  # an empty bignum
        "d81c80",  # a value to be shared, an empty array
        "d81d00",  # a reference to it
        "d823645b5b5b5b",  # a regular expression that does not compile
        "d82463666f6f",  # an e-mail message
        "c074323031332d30332d3231",  # a date, cut off, in a text of another length
    ],
)
def test_floats_tags_and_simple_values_are_opaque(encoded):
    data = bytes.fromhex(encoded)
    if encoded.startswith("c074"):
        data += bytes(10)
    assert OPAQUE is read_item(data)


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "ff",  # a break alone
        "81ff",  # a break as an element
        "a1ff",
        "a100ff",
        "bf00ff",  # a break as a value
        "c1ff",  # a break under a tag
        "1c",  # reserved lengths
        "5d",
        "7e",
        "1f",  # integers of indefinite length
        "3f",
        "dfff",  # a tag of indefinite length
        "f800",  # a simple value in a form that does not exist
        "f81f",
        "fc",
        "5f6161ff",  # a text among the chunks of bytes
        "7f4161ff",
        "5f5f4161ffff",  # chunks inside a chunk
        "5f00ff",
        "61ff",  # not UTF-8
        "7f61c361a9ff",  # a character split over two chunks
        "5bffffffffffffffff",  # 16 EiB of bytes
        "9bffffffffffffffff",  # as many elements
        "bb7fffffffffffffff",
        "5a00001001" + "00" * 4096,
    ],
)
def test_what_is_not_well_formed_is_malformed(encoded):
    with pytest.raises(MalformedCborError):
        read_item(bytes.fromhex(encoded))


def test_a_map_keeps_equal_keys_apart():
    assert read_item(bytes.fromhex("a30102180103f504")) == ((1, 2), (1, 3), (True, 4))


@pytest.mark.parametrize("opening", [b"\x81", b"\x9f", b"\xc1", b"\xa1\x00", b"\xbf\x00"])
def test_nesting_is_limited(opening):
    inside = b"\x00"
    closing = b"\xff" if opening[0] in (0x9F, 0xBF) else b""
    assert read_item(opening * MAX_DEPTH + inside + closing * MAX_DEPTH) is not None
    with pytest.raises(MalformedCborError, match="deep"):
        read_item(opening * 4000 + inside + closing * 4000)
