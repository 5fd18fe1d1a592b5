from __future__ import annotations

import pytest

from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.failure import CommandError, report, source_name

NOW = 1_704_164_645_000_000_007


@pytest.fixture
def error():
    failed = CommandError(ErrorCode.FILE_OPERATION, "inner", action="Do It", info=("/x", "Open"))
    failed.subactions.append("outer")
    return failed


def test_code_is_that_of_nitro_cli(error):
    assert "E19" == error.code


def test_report_has_headline_link_and_the_path_of_the_file(error, tmp_path):
    text = report(error, version="1.5.0", backtrace=False, log_folder=tmp_path, clock=lambda: NOW)

    assert [
        error.headline,
        (
            "For more details, please visit "
            "https://docs.aws.amazon.com/enclaves/latest/user/cli-errors.html#E19"
        ),
        (
            "If you open a support ticket, please provide the error log found at "
            f'"{tmp_path}/err2024-01-02T03:04:05.000000007+00:00.log"'
        ),
    ] == text.split("\n\n")


def test_file_holds_the_backtrace_outermost_first_without_a_final_line_break(error, tmp_path):
    report(error, version="1.4.2", backtrace=False, log_folder=tmp_path, clock=lambda: NOW)

    (file,) = tmp_path.iterdir()
    assert (
        "  Action: Do It\n  Subactions:\n    outer\n    inner\n"
        "  Root error file: ?\n  Root error line: 0\n  Version: 1.4.2"
    ) == file.read_text("utf-8")


def test_backtrace_stands_between_link_and_path_when_wanted(error, tmp_path):
    text = report(error, version="1.5.0", backtrace=True, log_folder=tmp_path, clock=lambda: NOW)

    parts = text.split("\n\n")
    assert f"Backtrace:\n{error.backtrace('1.5.0')}" == parts[2]
    assert 4 == len(parts)


@pytest.mark.parametrize("backtrace", [False, True])
def test_nothing_is_said_of_a_file_that_could_not_be_written(error, tmp_path, backtrace):
    for folder in (None, tmp_path / "missing"):
        text = report(
            error, version="1.5.0", backtrace=backtrace, log_folder=folder, clock=lambda: NOW
        )
        assert "support ticket" not in text


def test_backtrace_names_where_the_error_was_raised(error):
    def fails():
        raise error

    with pytest.raises(CommandError):
        fails()

    lines = error.backtrace("1.5.0").splitlines()
    assert "  Root error file: tests/unit/cli/nitro_cli/test_failure.py" in lines
    assert f"  Root error line: {fails.__code__.co_firstlineno + 1}" in lines


def test_source_elsewhere_keeps_its_path():
    assert "/elsewhere/x.py" == source_name("/elsewhere/x.py")
