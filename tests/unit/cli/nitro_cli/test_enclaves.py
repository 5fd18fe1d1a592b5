"""describe-enclaves and terminate-enclave, with processes that answer as they were told to."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from nitrosim.cli.nitro_cli import processes as module

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "SOCK_SEQPACKET") or not Path("/proc/self/fd").exists(),
    reason="processes of enclaves are asked on Linux",
)


@pytest.fixture
def call(nitro_cli, sockets):
    """Return a function that runs a command line where the sockets are."""

    def call(*words, **variables):
        return nitro_cli(*words, NITRO_CLI_SOCKETS_PATH=str(sockets), **variables)

    return call


@pytest.fixture
def short_patience(monkeypatch):
    """Do not wait long for an answer that does not come."""
    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)
    monkeypatch.setattr(module, "_TERMINATION_PATIENCE_S", 0.01)


def codes(errors):
    """Return the error codes in what was printed."""
    return [line[2:5] for line in errors.splitlines() if line.startswith("[ E")]


# ---- describe-enclaves ----


def test_without_enclaves_there_is_an_empty_array(call):
    assert (0, "[]\n", "") == call("describe-enclaves")


def test_one_enclave_is_an_array_too_and_is_indented(call, start_process):
    start_process("1", facts={"EnclaveName": "höhe", "CPUIDs": [1, 5]})

    assert (
        0,
        ('[\n  {\n    "EnclaveName": "höhe",\n    "CPUIDs": [\n      1,\n      5\n    ]\n  }\n]\n'),
        "",
    ) == call("describe-enclaves")


def test_enclaves_stand_in_the_order_in_which_they_were_started(call, start_process):
    for slot in ("b", "9", "18f2a4b6c8d0e12"):
        start_process(slot)

    output = call("describe-enclaves")[1]

    assert ["e9", "eb", "e18f2a4b6c8d0e12"] == [item["EnclaveName"] for item in json.loads(output)]
    assert 2 == output.count("\n  },\n  {\n")


@pytest.mark.parametrize(
    ("words", "variables", "asked"),
    [
        ((), {}, ("describe", "", "Sha512_48 { .. }")),
        (("--metadata",), {}, ("describe", "metadata", "Sha512_48 { .. }")),
        ((), {"NITROSIM_NITRO_CLI_VERSION": "1.4.4"}, ("describe", "", "Sha384 { ... }")),
    ],
)
def test_processes_are_asked_for_what_is_wanted(call, start_process, words, variables, asked):
    process = start_process("1")

    assert 0 == call("describe-enclaves", *words, **variables)[0]
    assert [asked] == process.asked


def test_description_that_comes_in_a_file_is_shown_like_any_other(call, start_process, pipe):
    text = json.dumps({"EnclaveName": "ö", "Metadata": "x" * 40_000}, ensure_ascii=False, indent=2)
    start_process("1", answers={"describe": (b"ok\0", pipe(text.encode()))})

    status, output, errors = call("describe-enclaves", "--metadata")

    assert (0, "") == (status, errors)
    indented = text.replace("\n", "\n  ")
    assert f"[\n  {indented}\n]\n" == output


def test_files_without_a_process_are_removed_silently(call, start_process, sockets):
    start_process("1").end()
    (sockets / "notes.txt").touch()

    assert (0, "[]\n", "") == call("describe-enclaves")
    assert ["notes.txt"] == [path.name for path in sockets.iterdir()]


@pytest.mark.usefixtures("short_patience")
def test_after_the_others_come_those_that_do_not_answer_and_e39(call, start_process):
    start_process("1", silent=True)
    start_process("2")
    start_process("3", answers={"describe": (b"",)})
    start_process("4", answers={"describe": (b"PROTOCOL\0no such request",)})

    status, output, errors = call("describe-enclaves")

    assert 39 == status
    assert ["e2"] == [item["EnclaveName"] for item in json.loads(output)]
    assert errors.startswith("Failed connections: 3\n[ E39 ] ")
    assert ["E39"] == codes(errors)


def test_directory_of_sockets_that_is_missing_is_e07(nitro_cli, tmp_path):
    status, output, errors = nitro_cli(
        "describe-enclaves", NITRO_CLI_SOCKETS_PATH=str(tmp_path / "missing"), BACKTRACE="1"
    )

    assert (7, "", ["E07"]) == (status, output, codes(errors))
    assert f"    Cannot read the directory {tmp_path}/missing: No such file" in errors


# ---- terminate-enclave ----


@pytest.mark.parametrize(
    "words", [("--enclave-id", "i-0-enc1"), ("--enclave-id=other-enc1",), ("--enclave-name", "e1")]
)
def test_one_enclave_is_ended_and_shown_as_an_object(call, start_process, words):
    process, other = start_process("1"), start_process("2")

    assert (
        0,
        '{\n  "EnclaveName": "e1",\n  "EnclaveID": "i-0-enc1",\n  "Terminated": true\n}\n',
        "Successfully terminated enclave i-0-enc1.\n",
    ) == call("terminate-enclave", *words)
    assert ("terminate",) == process.asked[-1]
    assert ("terminate",) not in other.asked


def test_all_enclaves_are_ended_and_shown_as_an_array(call, start_process):
    for slot in ("2", "1"):
        start_process(slot)

    status, output, errors = call("terminate-enclave", "--all")

    assert (0, 2) == (status, output.count('    "Terminated": true\n'))
    assert ["i-0-enc1", "i-0-enc2"] == [item["EnclaveID"] for item in json.loads(output)]
    assert [f"Successfully terminated enclave i-0-enc{n}." for n in (1, 2)] == errors.splitlines()


def test_ending_all_of_none_is_an_empty_array(call):
    assert (0, "[]\n", "") == call("terminate-enclave", "--all")


@pytest.mark.parametrize("enclave_id", ["i-0-enc2", "nonsense", "i-0-enc"])
def test_unknown_id_is_e11(call, start_process, enclave_id):
    start_process("1")
    status, output, errors = call("terminate-enclave", "--enclave-id", enclave_id)

    assert (11, "", ["E11"]) == (status, output, codes(errors))


def test_id_of_an_enclave_that_is_gone_is_e11_and_its_file_is_removed(call, start_process, sockets):
    start_process("1").end()
    status, output, errors = call("terminate-enclave", "--enclave-id", "i-0-enc1")

    assert (11, "", ["E11"]) == (status, output, codes(errors))
    assert [] == [*sockets.iterdir()]


@pytest.mark.parametrize("names", [(), ("other",), ("n", "n")])
def test_name_of_no_enclave_and_of_two_is_e58(call, start_process, names):
    for number, name in enumerate(names):
        start_process(str(number + 1), name=name)
    status, output, errors = call("terminate-enclave", "--enclave-name", "n")

    assert (58, "", ["E58"]) == (status, output, codes(errors))


@pytest.mark.usefixtures("short_patience")
@pytest.mark.parametrize(
    "differences",
    [{"answers": {"terminate": (b"NOT_OWNER\0user 1 may not",)}}, {"silent": True}],
    ids=["not the owner", "silent"],
)
def test_enclave_that_is_not_ended_is_e39_without_json(call, start_process, differences):
    start_process("1", **differences)
    status, output, errors = call("terminate-enclave", "--enclave-id", "i-0-enc1")

    assert (39, "") == (status, output)
    assert errors.startswith("Failed connections: 1\n[ E39 ] ")


@pytest.mark.usefixtures("short_patience")
def test_of_all_enclaves_those_are_shown_that_have_ended_before_e39(call, start_process, sockets):
    start_process("1", answers={"terminate": (b"NOT_OWNER\0user 1 may not",)})
    start_process("2")
    start_process("3").end()
    start_process("4", silent=True)

    status, output, errors = call("terminate-enclave", "--all")

    assert 39 == status
    assert ["e2"] == [item["EnclaveName"] for item in json.loads(output)]
    assert ["Successfully terminated enclave i-0-enc2.", "Failed connections: 2"] == (
        errors.splitlines()[:2]
    )
    assert ["1.sock", "2.sock", "4.sock"] == sorted(path.name for path in sockets.iterdir())


@pytest.mark.parametrize("words", [("--all",), ("--enclave-name", "n")])
def test_looking_for_enclaves_without_a_directory_is_e07(nitro_cli, tmp_path, words):
    missing = str(tmp_path / "missing")
    status, output, errors = nitro_cli("terminate-enclave", *words, NITRO_CLI_SOCKETS_PATH=missing)

    assert (7, "", ["E07"]) == (status, output, codes(errors))


def test_an_id_is_e11_even_without_a_directory(nitro_cli, tmp_path):
    missing = str(tmp_path / "missing")
    status, _output, _errors = nitro_cli(
        "terminate-enclave", "--enclave-id", "i-0-enc1", NITRO_CLI_SOCKETS_PATH=missing
    )

    assert 11 == status
