from __future__ import annotations

import os

import pytest

from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.log import FILE_NAME, Log
from nitrosim.rfc3339 import rfc3339_milliseconds, rfc3339_nanoseconds

NOW = 1_704_164_645_067_891_234


def open_log(folder, level="INFO"):
    return Log(folder, who="nitro-cli:77", level=level, clock=lambda: NOW)


def test_line_has_who_level_time_place_and_text(tmp_path):
    with open_log(tmp_path) as log:
        log.write("WARN", "n\u00e4chste")
        line = test_line_has_who_level_time_place_and_text.__code__.co_firstlineno + 2

    assert (
        "[nitro-cli:77][WARN][2024-01-02T03:04:05.067Z]"
        f"[tests/unit/cli/nitro_cli/test_log.py:{line}] n\u00e4chste\n"
    ) == (tmp_path / FILE_NAME).read_text("utf-8")


def test_lines_are_appended_to_what_is_there(tmp_path):
    (tmp_path / "nitro_enclaves.log").write_text("old\n")
    for text in ("one", "two"):
        with open_log(tmp_path) as log:
            log.write("INFO", text)

    lines = (tmp_path / "nitro_enclaves.log").read_text().splitlines()
    assert ["old", "one", "two"] == [line.rpartition(" ")[2] for line in lines]


@pytest.mark.parametrize(
    ("level", "count"), [("ERROR", 1), ("WARN", 2), ("INFO", 3), ("DEBUG", 4), ("TRACE", 5)]
)
def test_less_important_lines_are_left_out(tmp_path, level, count):
    with open_log(tmp_path, level) as log:
        for one in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR"):
            log.write(one, "x")

    assert count == len((tmp_path / FILE_NAME).read_text().splitlines())


def test_everybody_may_write_to_the_file_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        open_log(tmp_path).close()
    finally:
        os.umask(before)

    assert 0o766 == (tmp_path / FILE_NAME).stat().st_mode & 0o777


@pytest.mark.parametrize("kind", ["missing", "file", "taken"])
def test_log_that_cannot_be_opened_is_e19_and_named(tmp_path, kind):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "taken" / FILE_NAME).mkdir(parents=True)

    with pytest.raises(CommandError) as caught:
        open_log(tmp_path / kind)

    path = str(tmp_path / kind / FILE_NAME)
    assert ErrorCode.FILE_OPERATION.headline([path, "Open"]) == caught.value.headline


def test_permissions_that_cannot_be_set_are_e18(tmp_path, monkeypatch):
    def refuse(_file, _mode):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(CommandError) as caught:
        open_log(tmp_path)

    assert ErrorCode.FILE_PERMISSIONS is caught.value.reason


def test_file_of_another_user_keeps_its_permissions(tmp_path, monkeypatch):
    (tmp_path / FILE_NAME).touch(mode=0o600)
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    open_log(tmp_path).close()

    assert 0o600 == (tmp_path / FILE_NAME).stat().st_mode & 0o777


def test_times_before_1970_and_with_leading_zeros():
    assert "2024-01-02T03:04:05.067891234+00:00" == rfc3339_nanoseconds(NOW)
    assert "1969-12-31T23:59:59.999Z" == rfc3339_milliseconds(-1_000_000)
    assert "1970-01-01T00:00:00.000000007+00:00" == rfc3339_nanoseconds(7)
