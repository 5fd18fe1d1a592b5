"""The metadata section: its bytes, and what its reader takes and refuses."""

import json
from dataclasses import replace

import pytest

from nitrosim.eif import EifError, Metadata


def text(**changes):
    """Return a section's content with some fields replaced; None removes one."""
    fields = {
        "ImageName": '"hello"',
        "ImageVersion": '"1"',
        "BuildMetadata": '{"BuildTime":"2024","BuildTool":"t","BuildToolVersion":"1",'
        '"OperatingSystem":"Linux","KernelVersion":"4.14"}',
        "DockerInfo": "null",
        "CustomMetadata": "null",
    } | changes
    pairs = (f'"{name}":{value}' for name, value in fields.items() if value is not None)
    return f"{{{','.join(pairs)}}}".encode()


def refusal(data, offset=0):
    with pytest.raises(EifError) as caught:
        Metadata.read(data, offset=offset)
    return caught.value


def test_bytes_are_those_of_the_official_builder(metadata):
    assert text() == metadata.to_bytes()


def test_written_metadata_is_read_again(metadata):
    assert metadata == Metadata.read(metadata.to_bytes())


def test_keys_of_free_forms_are_sorted_by_their_bytes():
    read = Metadata.read(
        text(DockerInfo='{"b":[{"d":1,"c":2}],"a":0}', CustomMetadata='{"😀":1,"ä":2,"Z":3}')
    )

    assert ["a", "b"] == list(read.docker_info)
    assert ["c", "d"] == list(read.docker_info["b"][0])
    assert ["Z", "ä", "😀"] == list(read.custom)
    assert read.to_bytes().endswith('"CustomMetadata":{"Z":3,"ä":2,"😀":1}}'.encode())


def test_text_that_cannot_be_utf_8_is_refused(metadata):
    for about in (replace(metadata, image_name="\udc80"), replace(metadata, custom={"\ud800": 1})):
        with pytest.raises(EifError) as caught:
            about.to_bytes()
        assert "METADATA_JSON" == caught.value.code


def test_null_is_no_metadata():
    assert Metadata.read(b" null\n") is None


def test_fields_in_another_order_and_unknown_ones_are_read(metadata):
    fields = json.loads(text())
    reordered = {"New": [1], **dict(reversed(fields.items()))}
    reordered["BuildMetadata"] = {"Other": None, **reordered["BuildMetadata"]}

    assert metadata == Metadata.read(json.dumps(reordered).encode())


@pytest.mark.parametrize(
    ("field", "value", "got"),
    [
        ("ImageName", None, "nothing"),
        ("ImageName", "1", "a number"),
        ("ImageVersion", "true", "true or false"),
        ("BuildMetadata", "[]", "an array"),
        ("BuildMetadata", "{}", "nothing"),
        ("DockerInfo", None, "nothing"),
        ("CustomMetadata", None, "nothing"),
        ("CustomMetadata", '1,"CustomMetadata":2', "the field repeated"),
    ],
)
def test_wrong_field_is_refused(field, value, got):
    error = refusal(text(**{field: value}), offset=700)

    assert ("METADATA_SCHEMA", 700, got) == (error.code, error.offset, error.got)


@pytest.mark.parametrize("data", [b"[]", b"1", b'"text"'])
def test_other_json_is_refused(data):
    assert "METADATA_SCHEMA" == refusal(data).code


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"", 100),
        (b'{"a":}', 105),
        (b"\xff", 100),
        (b'"\xc3\xa4" x', 105),
        (b"\xef\xbb\xbf{}", 100),
    ],
)
def test_what_is_not_json_is_refused_where_it_stops_being_json(data, offset):
    error = refusal(data, offset=100)

    assert ("METADATA_JSON", offset) == (error.code, error.offset)


def test_repeated_key_in_a_free_form_has_its_last_value():
    assert {"a": 2} == Metadata.read(text(CustomMetadata='{"a":1,"a":2}')).custom
