"""JSON as serde_json has it; what it does was observed with the library (tests/third_party)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrosim.eif import serde


def refusal(text):
    with pytest.raises(serde.JsonError) as caught:
        serde.read(text if isinstance(text, bytes) else text.encode())
    return caught.value


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1.0", "1.0"),
        ("-0", "-0.0"),
        ("1e5", "100000.0"),
        ("1e15", "1000000000000000.0"),
        ("1e16", "1e+16"),
        ("1.25e200", "1.25e+200"),
        ("0.0001", "0.0001"),
        ("0.00001", "0.00001"),
        ("1.5e-5", "0.000015"),
        ("0.000001", "1e-6"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "1.8446744073709552e+19"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("-9223372036854775809", "-9.223372036854776e+18"),
        ("1e-400", "0.0"),
        ("-1e-400", "-0.0"),
        ("0e999999999999", "0.0"),
        ("1e-99999999999", "0.0"),
        ("5e-324", "5e-324"),
    ],
)
def test_number_is_written_in_the_librarys_form(text, written):
    assert written == serde.write(serde.read(text.encode())).decode()


def test_number_is_read_with_the_librarys_error():
    assert 1.2499999999999999e300 == serde.read(b"1.25e300") != 1.25e300


@pytest.mark.parametrize("text", ["1e309", "-1e309", "1e99999999999", "9" * 400])
def test_number_that_is_too_large_is_refused(text):
    assert "out of range" in str(refusal(text))


def test_text_is_escaped_no_more_than_necessary():
    text = '"\\/\b\f\n\r\t\x00\x1f\x7f\u2028ä😀'

    written = serde.write(text).decode()

    assert '"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\u2028ä😀"' == written
    assert text == serde.read(written.encode())


def test_pretty_form_has_two_blanks_per_level_and_nothing_in_what_is_empty():
    value = {"a": [], "b": {}, "c": [1, {"d": None}], "e": [True, False]}

    expected = (
        '{\n  "a": [],\n  "b": {},\n  "c": [\n    1,\n    {\n      "d": null\n    }\n  ],\n'
        '  "e": [\n    true,\n    false\n  ]\n}'
    )
    assert expected == serde.write_pretty(value)


@pytest.mark.parametrize(
    ("text", "position"),
    [("", 0), ("tru", 0), ("[1] x", 4), ('["ä", x]', 7), ('{"a":1 "b":2}', 7)],
)
def test_place_of_an_error_is_in_bytes(text, position):
    assert position == refusal(text).position


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", '"\\ud800"', "\ufeff1", '"\t"'])
def test_what_python_would_read_is_refused(text):
    refusal(text)


def test_text_in_another_encoding_is_refused():
    assert 0 == refusal("[1]".encode("utf-16")).position
    assert 2 == refusal(b'["\xc3(').position


@pytest.mark.parametrize("pair", ["[]", ("{", "}")])
def test_127_levels_are_read_and_128_are_not(pair):
    opening = "[" if pair == "[]" else '{"a":'
    closing = "]" if pair == "[]" else "}"

    serde.read(f"{opening * 127}1{closing * 127}".encode())
    for depth in (128, 129, 5000, 200_000):
        assert "127" in str(refusal(f"{opening * depth}1{closing * depth}"))


def test_repeated_keys_are_known():
    value = serde.read(b'{"a":1,"b":{"c":1,"c":2},"a":3}')

    assert isinstance(value, serde.RepeatedKeys)
    assert ({"a"}, {"c"}) == (value.repeated, value["b"].repeated)
    assert {"a": 3, "b": {"c": 2}} == value


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.text(st.characters(codec="utf-8"), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(value=values)
def test_any_value_is_read_again_from_both_forms(value):
    assert value == serde.read(serde.write(value)) == json.loads(serde.write(value))
    assert value == serde.read(serde.write_pretty(value).encode())


@given(data=st.binary(max_size=30) | st.text('[]{}",:0e.-\\u n', max_size=30).map(str.encode))
def test_any_bytes_are_read_or_refused(data):
    try:
        value = serde.read(data)
    except serde.JsonError as error:
        found = error.position
    else:
        found = 0 if serde.write(value) else -1
    assert 0 <= found <= len(data)
