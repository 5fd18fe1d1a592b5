from __future__ import annotations

import json

import pytest

from nitrosim.cli.nitro_cli.arguments import parse
from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.settings import (
    AUTOMATIC_CID_NOTE,
    RunSettings,
    disconnect_timeout,
    run_settings,
)

BASE = ("run-enclave", "--eif-path", "a.eif")


def settings(*words):
    return run_settings(parse(words, version="1.5.0"))


def failure(*words):
    with pytest.raises(CommandError) as caught:
        settings(*words)
    return caught.value


def with_memory(text):
    return settings(*BASE, "--cpu-count", "2", f"--memory={text}")


def with_cid(text):
    return settings(*BASE, "--cpu-count", "2", "--memory", "512", "--enclave-cid", text)


def test_defaults():
    assert RunSettings(eif_path="a.eif", memory_mib=512, cpu_count=2) == with_memory("512")


def test_all_options():
    found = settings(
        *(*BASE, "--cpu-ids", "1", "3", "--memory", "512", "--enclave-cid", "10001"),
        *("--debug-mode", "--enclave-name", "n"),
    )

    assert (
        RunSettings(
            eif_path="a.eif",
            memory_mib=512,
            cpu_ids=(1, 3),
            enclave_cid=10001,
            debug_mode=True,
            enclave_name="n",
        )
        == found
    )


def test_attaching_the_console_implies_debug_mode():
    found = settings(*BASE, "--cpu-count", "2", "--memory", "5", "--attach-console")

    assert (True, True) == (found.debug_mode, found.attach_console)


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("0", 0),
        ("512", 512),
        ("0512", 512),
        ("512m", 512),
        ("512M", 512),
        ("2g", 2048),
        ("2G", 2048),
        ("1t", 1048576),
        ("1T", 1048576),
        ("18446744073709551615", (1 << 64) - 1),
        ("0" * 5000 + "7", 7),
    ],
)
def test_memory(text, mib):
    assert mib == with_memory(text).memory_mib


@pytest.mark.parametrize(
    "text",
    [
        *("", "G", "12X", "1.5G", "1 G", "2GB", "0x10", "+1", "\u0665"),
        *("18446744073709551616", "17592186044416T", "9" * 5000),
    ],
)
def test_memory_that_is_none_is_e03_and_named(text):
    failed = failure(*BASE, "--cpu-count", "2", f"--memory={text}")

    assert ErrorCode.INVALID_ARGUMENT.headline(["memory", text]) == failed.headline
    assert 3 == failed.reason.number


@pytest.mark.parametrize("text", ["4", "16", "10001", "4294967294", "+5"])
def test_cid_may_be_any_that_is_not_reserved(text):
    assert int(text) == with_cid(text).enclave_cid


def test_cid_0_is_any_and_said_so():
    found = with_cid("0")

    assert (None, (AUTOMATIC_CID_NOTE,)) == (found.enclave_cid, found.notes)


@pytest.mark.parametrize("text", ["1", "2", "3", "4294967295", "4294967296", str((1 << 64) - 1)])
def test_reserved_cid_is_e03_without_saying_why(text):
    failed = failure(*BASE, "--cpu-count", "2", "--memory", "5", "--enclave-cid", text)

    assert ErrorCode.INVALID_ARGUMENT.headline() == failed.headline


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("enclave-cid", "x"),
        ("enclave-cid", "18446744073709551616"),
        ("cpu-count", "1z"),
        ("cpu-count", "4294967296"),
        ("cpu-ids", "one"),
        ("cpu-ids", "4294967296"),
    ],
)
def test_number_that_is_none_is_e03_and_named(option, value):
    cpus = () if option.startswith("cpu") else ("--cpu-count", "2")
    failed = failure(*BASE, *cpus, "--memory", "5", f"--{option}", value)

    assert ErrorCode.INVALID_ARGUMENT.headline([option, value]) == failed.headline


def test_one_wrong_cpu_among_several_is_named():
    failed = failure(*BASE, "--memory", "5", "--cpu-ids", "1", "x", "3")

    assert ErrorCode.INVALID_ARGUMENT.headline(["cpu-ids", "x"]) == failed.headline


@pytest.fixture
def config(tmp_path):
    """Return a function that makes the words for a file with settings."""

    def write(content):
        path = tmp_path / "config.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return "run-enclave", "--config", str(path)

    return write


MINIMAL = {"eif_path": "b.eif", "memory_mib": 256, "cpu_count": 2}


def test_file_with_what_must_be_there(config):
    expected = RunSettings(eif_path="b.eif", memory_mib=256, cpu_count=2)

    assert expected == settings(*config(MINIMAL))


def test_file_with_everything_and_a_key_that_nobody_knows(config):
    found = settings(
        *config(
            {
                "eif_path": "b.eif",
                "memory_mib": 256,
                "cpu_ids": [1, 3],
                "enclave_cid": 3,
                "debug_mode": False,
                "attach_console": True,
                "enclave_name": "n",
                "colour": "green",
            }
        )
    )

    assert (
        RunSettings(
            eif_path="b.eif",
            memory_mib=256,
            cpu_ids=(1, 3),
            enclave_cid=3,
            debug_mode=True,
            attach_console=True,
            enclave_name="n",
        )
        == found
    )


def test_attach_console_beside_a_file_makes_no_difference(config):
    assert not settings(*config(MINIMAL), "--attach-console").attach_console


@pytest.mark.parametrize("cid", [0, 1, 2, 4294967295, 4294967296])
def test_cid_in_a_file_may_be_any_number(config, cid):
    assert cid == settings(*config({**MINIMAL, "enclave_cid": cid})).enclave_cid


def test_null_is_as_if_the_key_was_not_there(config):
    found = settings(*config({**MINIMAL, "cpu_ids": None, "enclave_name": None}))

    assert RunSettings(eif_path="b.eif", memory_mib=256, cpu_count=2) == found


def test_file_without_cpus_is_e01(config):
    failed = failure(*config({"eif_path": "b.eif", "memory_mib": 256}))

    assert ErrorCode.MISSING_ARGUMENT.headline() == failed.headline


def test_file_with_both_ways_to_ask_for_cpus_is_e02(config):
    failed = failure(*config({**MINIMAL, "cpu_ids": [1]}))

    assert ErrorCode.CONFLICTING_ARGUMENTS.headline() == failed.headline


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"eif_path": "b.eif", "memory_mib": 1, "memory_mib": 2, "cpu_count": 2}',
        {"memory_mib": 256, "cpu_count": 2},
        {"eif_path": "b.eif", "cpu_count": 2},
        {**MINIMAL, "eif_path": 1},
        {**MINIMAL, "memory_mib": "256"},
        {**MINIMAL, "memory_mib": 256.0},
        {**MINIMAL, "memory_mib": True},
        {**MINIMAL, "memory_mib": -1},
        {**MINIMAL, "cpu_count": 4294967296},
        {**MINIMAL, "cpu_ids": 1},
        {**MINIMAL, "cpu_ids": ["1"]},
        {**MINIMAL, "debug_mode": "yes"},
        {**MINIMAL, "debug_mode": None},
        {**MINIMAL, "enclave_name": 5},
    ],
)
def test_file_that_is_not_what_it_must_be_is_e17(config, content):
    assert ErrorCode.SERDE is failure(*config(content)).reason


def test_file_that_is_not_there_is_e19_and_named(tmp_path):
    path = str(tmp_path / "missing.json")
    failed = failure("run-enclave", "--config", path)

    assert ErrorCode.FILE_OPERATION.headline([path, "Open"]) == failed.headline


def timeout_of(*words):
    return disconnect_timeout(parse(("console", "--enclave-id", "i", *words), version="1.5.0"))


def test_console_has_no_time_limit_unless_one_is_given():
    assert None is timeout_of()
    assert 30 == timeout_of("--disconnect-timeout", "30")


def test_time_limit_that_is_no_number_is_e03():
    with pytest.raises(CommandError) as caught:
        timeout_of("--disconnect-timeout", "soon")

    assert (
        ErrorCode.INVALID_ARGUMENT.headline(["disconnect-timeout", "soon"]) == caught.value.headline
    )
