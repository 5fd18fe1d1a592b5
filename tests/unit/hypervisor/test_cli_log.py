"""Lines in the log of nitro-cli, and how they get there."""

import os
from pathlib import Path

import pytest

from nitrosim.hypervisor.cli_log import append, log_line

NOON_NS = 1_700_000_000_123_999_999


@pytest.fixture
def log(tmp_path):
    (tmp_path / "nitro_enclaves.log").touch()
    return tmp_path / "nitro_enclaves.log"


def test_a_line_says_who_when_where_and_what():
    line = log_line(
        who="enc-1f:7", level="INFO", now=NOON_NS, place="some/file.py:12", text="It ended."
    )

    assert b"[enc-1f:7][INFO][2023-11-14T22:13:20.123Z][some/file.py:12] It ended.\n" == line


def test_text_that_is_no_text_is_written_as_its_numbers():
    line = log_line(who="é", level="INFO", now=0, place="a:1", text="\udcff")

    assert "[é][INFO][1970-01-01T00:00:00.000Z][a:1] \\udcff\n".encode() == line


def test_lines_are_added_at_the_end(log):
    log.write_bytes(b"first\n")
    append(str(log), b"second\n")
    append(str(log), b"third\n")

    assert b"first\nsecond\nthird\n" == log.read_bytes()


def test_a_log_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        append(str(tmp_path / "log"), b"line\n")

    assert [] == list(tmp_path.iterdir())


def test_a_pipe_in_place_of_a_log_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "log")

    with pytest.raises(OSError, match="No such device or address"):
        append(str(tmp_path / "log"), b"line\n")


def test_writing_leaves_no_descriptor(log):
    before = len(list(Path("/proc/self/fd").iterdir()))
    append(str(log), b"line\n")

    assert before == len(list(Path("/proc/self/fd").iterdir()))
