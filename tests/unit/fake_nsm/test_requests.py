import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_nsm import ErrorName
from fake_nsm.errors import RequestRefusedError
from fake_nsm.requests import (
    Attestation,
    DescribeNsm,
    DescribePcr,
    ExtendPcr,
    GetRandom,
    LockPcr,
    LockPcrs,
    decode_request,
)


def assert_unreadable(message: bytes) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        decode_request(message)
    assert refused.value.name == ErrorName.INVALID_OPERATION


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        ("6947657452616e646f6d", GetRandom()),
        ("6b44657363726962654e534d", DescribeNsm()),
        ("a16b4465736372696265504352a165696e64657800", DescribePcr(0)),
        ("a169457874656e64504352a265696e64657810646461746143010203", ExtendPcr(16, b"\1\2\3")),
        ("a1674c6f636b504352a165696e64657810", LockPcr(16)),
        ("a1684c6f636b50435273a16572616e67651820", LockPcrs(32)),
        (
            (
                "a16b4174746573746174696f6ea369757365725f64617461f6656e6f6e6365f6"
                "6a7075626c69635f6b6579f6"
            ),
            Attestation(),
        ),
    ],
)
def test_each_request_is_read_from_the_bytes_that_clients_send(encoded, expected):
    assert expected == decode_request(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"Attestation": {}}, Attestation()),
        ({"Attestation": {"nonce": b""}}, Attestation(nonce=b"")),
        ({"Attestation": {"nonce": "grüße"}}, Attestation(nonce="grüße".encode())),
        ({"Attestation": {"user_data": [0, 255, 7]}}, Attestation(user_data=b"\0\xff\7")),
        ({"Attestation": {"public_key": []}}, Attestation(public_key=b"")),
        ({"Attestation": {"public_key": b"k", "extra": [1.5, None]}}, Attestation(public_key=b"k")),
        ({"Attestation": {7: b"x", None: 1, "nonce": b"n"}}, Attestation(nonce=b"n")),
        ({"ExtendPCR": {"data": "text", "index": 17}}, ExtendPcr(17, b"text")),
        ({"ExtendPCR": {"data": [1, 2], "index": 65535}}, ExtendPcr(65535, b"\1\2")),
    ],
)
def test_other_forms_that_mean_the_same_are_accepted(request_, expected):
    assert expected == decode_request(cbor2.dumps(request_))


def test_unknown_fields_may_hold_anything_well_formed_even_twice():
    # {"LockPCR": {"x": tag 35 of "[[", "x": 1.0, "index": 5}}
    message = bytes.fromhex("a1674c6f636b504352a36178d823625b5b6178f93c0065696e64657805")
    assert LockPcr(5) == decode_request(message)


@pytest.mark.parametrize(
    "request_",
    [
        "GetAttestationDoc",
        "getrandom",
        "Attestation",
        "LockPCR",
        "",
        {"GetRandom": None},
        {"GetRandom": {}},
        {"DescribeNSM": None},
        {"Unknown": {}},
        {"DescribePCR": None},
        {"DescribePCR": {}},
        {"DescribePCR": [0]},
        {"DescribePCR": {"index": None}},
        {"DescribePCR": {"index": True}},
        {"DescribePCR": {"index": 1.0}},
        {"DescribePCR": {"index": "1"}},
        {"DescribePCR": {"index": -1}},
        {"DescribePCR": {"index": 65536}},
        {"DescribePCR": {"index": 1 << 64}},
        {"DescribePCR": {b"index": 1}},
        {b"DescribePCR": {"index": 1}},
        {"ExtendPCR": {"index": 16}},
        {"ExtendPCR": {"index": 16, "data": None}},
        {"ExtendPCR": {"index": 16, "data": 7}},
        {"ExtendPCR": {"index": 16, "data": [256]}},
        {"ExtendPCR": {"index": 16, "data": [-1]}},
        {"ExtendPCR": {"index": 16, "data": [True]}},
        {"ExtendPCR": {"index": 16, "data": [1.0]}},
        {"ExtendPCR": {"index": 16, "data": {}}},
        {"LockPCRs": {"index": 16}},
        {"LockPCRs": {"range": 65536}},
        {"Attestation": {"nonce": 1}},
        {"Attestation": {"nonce": False}},
        {"Attestation": None},
        {"Attestation": []},
        {},
        {"LockPCR": {"index": 16}, "LockPCRs": {"range": 16}},
        [],
        ["GetRandom"],
        None,
        True,
        0,
        b"GetRandom",
        cbor2.undefined,
        cbor2.CBORTag(55799, "GetRandom"),
    ],
    ids=repr,
)
def test_everything_else_is_unreadable(request_):
    assert_unreadable(cbor2.dumps(request_))


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "a1674c6f636b504352a265696e6465781065696e64657810",  # index twice, equal
        "a1674c6f636b504352a265696e64657805d81d00",  # a shared reference as a key, no value
        "a1674c6f636b504352a165696e646578c24105",  # index as a bignum
        "a16b4174746573746174696f6ea1656e6f6e6365f7",  # undefined is not null
        "a26947657452616e646f6df66947657452616e646f6df6",
    ],
)
def test_hostile_encodings_are_unreadable(encoded):
    assert_unreadable(bytes.fromhex(encoded))


def test_bytes_after_the_request_are_ignored():
    assert GetRandom() == decode_request(cbor2.dumps("GetRandom") + b"\xff\x00junk")


# A model of the rules over Python values; the reader works on bytes and never saw them.
FIELD_VALUES = (
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.integers(min_value=-2, max_value=70_000)
    | st.binary(max_size=40)
    | st.text(max_size=20)
    | st.lists(st.integers(min_value=-1, max_value=257) | st.booleans(), max_size=5)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)
FIELD_NAMES = st.sampled_from(["index", "data", "range", "user_data", "nonce", "public_key"]) | (
    st.text(max_size=6)
)
REQUEST_NAMES = st.sampled_from(
    ["Attestation", "DescribePCR", "ExtendPCR", "LockPCR", "LockPCRs", "GetRandom", "Nonsense"]
)


def octets_or_refusal(value):
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list) and all(
        not isinstance(each, bool) and 0 <= each < 256 for each in value
    ):
        return bytes(value)
    raise LookupError


def uint16_or_refusal(value):
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 65536:
        return value
    raise LookupError


def model(name, fields):
    if name == "Attestation":
        given_fields = {
            key: octets_or_refusal(fields[key])
            for key in ("user_data", "nonce", "public_key")
            if fields.get(key) is not None
        }
        return Attestation(**given_fields)
    if name == "ExtendPCR":
        return ExtendPcr(uint16_or_refusal(fields["index"]), octets_or_refusal(fields["data"]))
    if name == "DescribePCR":
        return DescribePcr(uint16_or_refusal(fields["index"]))
    if name == "LockPCR":
        return LockPcr(uint16_or_refusal(fields["index"]))
    if name == "LockPCRs":
        return LockPcrs(uint16_or_refusal(fields["range"]))
    raise LookupError(name)


@given(REQUEST_NAMES, st.dictionaries(FIELD_NAMES, FIELD_VALUES, max_size=5))
def test_generated_requests_agree_with_a_model(name, fields):
    message = cbor2.dumps({name: fields})
    try:
        expected = model(name, fields)
    except LookupError:
        assert_unreadable(message)
    else:
        assert expected == decode_request(message)


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xa1\x6bAttestation", b"\xa1\x67LockPCR\xa1"])
)
def test_any_bytes_are_a_request_or_unreadable(data, beginning):
    outcome = None
    try:
        decode_request(beginning + data)
    except RequestRefusedError as refused:
        outcome = refused.name
    assert outcome in (None, ErrorName.INVALID_OPERATION)
