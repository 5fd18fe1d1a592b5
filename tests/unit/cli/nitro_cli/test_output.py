from __future__ import annotations

import contextlib
import io

from nitrosim.cli.nitro_cli.output import write_bytes, write_json, write_output


def written(*writes):
    """Return the bytes that get to a standard output whose encoding has next to no letters."""
    raw = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(raw, "ascii")):
        for function, value in writes:
            function(value)
        return raw.getvalue()


def test_text_is_utf_8_whatever_the_encoding_of_the_terminal():
    assert "höhe\n".encode() == written((write_output, "höhe"))


def test_json_has_two_spaces_to_a_level_and_a_line_to_an_element():
    value = {"a": [1, 2], "b": {}, "c": [], "ö": "\x7f\t"}

    assert (
        '{\n  "a": [\n    1,\n    2\n  ],\n  "b": {},\n  "c": [],\n  "ö": "\x7f\\t"\n}\n'
    ).encode() == written((write_json, value))


def test_bytes_come_after_what_was_printed_before_and_at_once():
    assert b"first\n\xff\r\n" == written((print, "first"), (write_bytes, b"\xff\r\n"))
