from __future__ import annotations

import pytest

from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.explain import explanation


def test_numbers_are_0_to_60_and_each_has_one_meaning():
    assert list(range(61)) == [code.number for code in ErrorCode]
    assert 61 == len({code.title for code in ErrorCode})


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_headline_begins_with_the_code_and_leaves_no_placeholder(code):
    headline = code.headline()

    assert headline.startswith(f"[ {code.code} ] {code.title}. ")
    assert "{}" not in headline


def test_code_has_two_digits():
    assert "E07" == ErrorCode.READ_FROM_DISK.code


def test_link_ends_with_the_code():
    assert (
        "https://docs.aws.amazon.com/enclaves/latest/user/cli-errors.html#E35"
        == ErrorCode.EIF_PARSING.link
    )


@pytest.mark.parametrize(
    ("code", "info", "text"),
    [
        (
            ErrorCode.MISSING_ARGUMENT,
            [],
            "[ E01 ] Missing mandatory argument. User did not provide the `MISSING_INFO` argument.",
        ),
        (
            ErrorCode.CONFLICTING_ARGUMENTS,
            [],
            "[ E02 ] Conflicting arguments. User provided both `MISSING_INFO` and `MISSING_INFO`.",
        ),
        (
            ErrorCode.INVALID_ARGUMENT,
            ["memory", "12X"],
            (
                "[ E03 ] Invalid argument provided. "
                "The parameter `memory` is not a valid integer (`12X`)"
            ),
        ),
        (
            ErrorCode.INVALID_ARGUMENT,
            ["memory"],
            (
                "[ E03 ] Invalid argument provided. "
                "The parameter `memory` is not a valid integer (`MISSING_INFO`)"
            ),
        ),
        (
            ErrorCode.CPU_CONFIGURATION,
            ["cpu-ids", "13"],
            (
                "[ E20 ] Invalid CPU configuration. "
                "User provided `cpu-ids` contains same CPU(s) (CPU(s) 13) multiple times."
            ),
        ),
        (
            ErrorCode.CPU_NOT_IN_POOL,
            ["cpu-ids", "7"],
            (
                "[ E21 ] No such CPU available in the pool. User provided `cpu-ids` contains "
                "CPU 7, which is not available in the pool.\nYou can add a specific CPU to the "
                "CPU pool by editing the `cpu_pool` value from "
                "'/etc/nitro_enclaves/allocator.yaml' and then enable the "
                "nitro-enclaves-allocator.service."
            ),
        ),
        (
            ErrorCode.INSUFFICIENT_MEMORY_REQUESTED,
            ["memory", "64", "200"],
            (
                "[ E26 ] Insufficient memory requested. User provided `memory` is 64 MB, but based "
                "on the EIF file size, the minimum memory should be 200 MB"
            ),
        ),
        (
            ErrorCode.INSUFFICIENT_MEMORY_REQUESTED,
            ["memory", "0"],
            (
                "[ E26 ] Insufficient memory requested. User provided `memory` is 0 MB, and "
                "memory should be greater than 0 MB."
            ),
        ),
    ],
)
def test_headline_names_what_the_user_gave(code, info, text):
    assert text == code.headline(info)


def test_file_operation_has_a_second_line_when_the_file_is_known():
    assert "\nFile: '/x/{}.log', failing operation: 'Open'." in ErrorCode.FILE_OPERATION.headline(
        ["/x/{}.log", "Open"]
    )
    assert "\n" not in ErrorCode.FILE_OPERATION.headline()


def test_braces_in_what_the_user_gave_stay_as_they_are():
    assert "(`{}{0}`)" in ErrorCode.INVALID_ARGUMENT.headline(["memory", "{}{0}"])


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_every_code_but_three_is_explained(code):
    if code.number in (57, 58, 59):
        assert f"No such error code {code.code}" == explanation(code.code)
    else:
        assert explanation(code.code).startswith(f"{code.title}. ")


@pytest.mark.parametrize("code", ["E61", "e19", "19", "E7", ""])
def test_what_is_no_code_is_not_explained(code):
    assert f"No such error code {code}" == explanation(code)
