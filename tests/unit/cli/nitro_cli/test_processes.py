"""Asking the processes of enclaves: those that answer, and all the ways in which one does not."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from nitrosim.cli.nitro_cli import processes as module
from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.processes import (
    GoneError,
    NoAnswerError,
    RefusedError,
    ask,
    failed_connections,
    failed_process,
    process_by_id,
    process_by_name,
    processes,
)

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "SOCK_SEQPACKET") or not Path("/proc/self/fd").exists(),
    reason="processes of enclaves are asked on Linux",
)


@pytest.fixture
def short_patience(monkeypatch):
    """Do not wait long for an answer that does not come."""
    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)


def open_descriptors():
    return len([*Path("/proc/self/fd").iterdir()])


def failure(function, *arguments):
    with pytest.raises(CommandError) as caught:
        function(*arguments, action="Test")
    assert "Test" == caught.value.action
    return caught.value


# ---- finding sockets ----


def test_sockets_are_listed_from_the_oldest_enclave_to_the_youngest(make_context, sockets):
    for slot in ("18f2a4b6c8d0e12", "9", "18f2a4b6c8d0e11", "a"):
        (sockets / f"{slot}.sock").touch()
    (sockets / "notes.txt").touch()

    found = processes(make_context(), action="Test")

    assert ["9", "a", "18f2a4b6c8d0e11", "18f2a4b6c8d0e12"] == [Path(path).stem for path in found]


def test_directory_of_sockets_that_cannot_be_read_is_e07(make_context, sockets):
    sockets.rmdir()
    error = failure(processes, make_context())
    sockets.mkdir()

    assert ErrorCode.READ_FROM_DISK is error.reason
    assert [f"Cannot read the directory {sockets}: No such file or directory"] == error.subactions


def test_only_the_part_of_an_enclave_id_after_its_last_enc_counts(make_context, sockets):
    for enclave_id in ("i-0-enc1f", "-enc1f", "i-enc2-enc1f"):
        assert str(sockets / "1f.sock") == process_by_id(make_context(), enclave_id, action="Test")


@pytest.mark.parametrize(
    "enclave_id", ["", "1f", "i-0-enc", "i-0-enc../x", "i-0-enc\0", f"-enc{'f' * 17}"]
)
def test_what_is_no_enclave_id_is_e11(make_context, enclave_id):
    error = failure(process_by_id, make_context(), enclave_id)

    assert ErrorCode.SOCKET is error.reason
    assert [f"No enclave has the id {enclave_id}"] == error.subactions


def test_enclave_is_found_by_its_name(make_context, start_process, sockets):
    start_process("1", name="one")
    start_process("2", name="zwölf Enclaves")

    path = process_by_name(make_context(), "zwölf Enclaves", action="Test")

    assert str(sockets / "2.sock") == path


def test_name_that_no_enclave_has_is_e58(make_context, start_process):
    start_process("1", name="one")
    error = failure(process_by_name, make_context(), "on")

    assert ErrorCode.NAMING is error.reason
    assert ["No enclave has the name on"] == error.subactions


def test_name_that_two_enclaves_have_is_e58(make_context, start_process):
    start_process("1", name="one")
    start_process("2", name="one")
    error = failure(process_by_name, make_context(), "one")

    assert ErrorCode.NAMING is error.reason
    assert ["2 enclaves have the name one"] == error.subactions


@pytest.mark.usefixtures("short_patience")
def test_processes_that_do_not_answer_have_no_name(make_context, start_process, sockets):
    start_process("1", silent=True)
    start_process("2", answers={"name": (b"",)})
    start_process("3").end()
    start_process("4", name="four")

    path = process_by_name(make_context(), "four", action="Test")

    assert str(sockets / "4.sock") == path


def test_looking_for_a_name_without_a_directory_of_sockets_is_e07(make_context, sockets):
    sockets.rmdir()
    error = failure(process_by_name, make_context(), "one")
    sockets.mkdir()

    assert ErrorCode.READ_FROM_DISK is error.reason


# ---- asking ----


def test_answer_has_fields_and_a_descriptor(start_process, sockets, pipe):
    process = start_process("1", answers={"x": (b"ok\0one\0zw\xc3\xb6lf", pipe(b"content"))})

    reply = ask(str(sockets / "1.sock"), "x", "a", "ö")

    assert [("x", "a", "ö")] == process.asked
    assert ("one", "zwölf") == (reply.text(0), reply.text(1))
    with os.fdopen(reply.fd, "rb") as file:
        assert b"content" == file.read()


def test_answer_without_a_descriptor_has_none(start_process, sockets):
    start_process("1")

    assert None is ask(str(sockets / "1.sock"), "name").fd


def test_answer_as_long_as_the_hypervisor_sends_them_arrives_whole(start_process, sockets):
    start_process("1", answers={"x": (b"ok\0" + b"y" * (64 << 10),)})

    assert (64 << 10) == len(ask(str(sockets / "1.sock"), "x").fields[0])


def test_refusal_has_a_code_and_a_text(start_process, sockets):
    start_process("1", answers={"x": (b"NOT_OWNER\0user 1 may not\0do that",)})

    with pytest.raises(RefusedError, match=r"^user 1 may not do that$") as caught:
        ask(str(sockets / "1.sock"), "x")

    assert "NOT_OWNER" == caught.value.code


def test_connection_that_ends_is_no_answer_and_its_file_stays(start_process, sockets):
    start_process("1", answers={"x": (b"",)})

    with pytest.raises(NoAnswerError, match="the connection has ended"):
        ask(str(sockets / "1.sock"), "x")
    assert (sockets / "1.sock").exists()


def test_process_that_ends_while_it_is_asked_is_gone(start_process, sockets):
    class Ending:
        def __iter__(self):
            (sockets / "1.sock").unlink()
            return iter((b"",))

    process = start_process("1", answers={"describe": Ending()})

    with pytest.raises(GoneError):
        ask(str(sockets / "1.sock"), "describe")
    assert [("describe",)] == process.asked


@pytest.mark.usefixtures("short_patience")
def test_silence_is_no_answer_and_the_file_stays(start_process, sockets):
    start_process("1", silent=True)

    with pytest.raises(NoAnswerError, match="timed out"):
        ask(str(sockets / "1.sock"), "name")
    assert (sockets / "1.sock").exists()


def test_nitro_cli_waits_three_seconds_for_an_answer():
    assert 3.0 == module._PATIENCE_S


@pytest.mark.usefixtures("short_patience")
def test_the_end_of_an_enclave_may_take_longer_than_an_answer(start_process, sockets, monkeypatch):
    monkeypatch.setattr(module, "_TERMINATION_PATIENCE_S", 0.02)
    start_process("1", silent=True)

    assert module._TERMINATION_PATIENCE_S > module._PATIENCE_S
    with pytest.raises(NoAnswerError):
        ask(str(sockets / "1.sock"), "terminate")


def test_file_that_is_no_socket_is_not_removed(tmp_path):
    path = tmp_path / "1.sock"
    path.write_text("somebody's")

    with pytest.raises(GoneError):
        ask(str(path), "name")
    assert "somebody's" == path.read_text()


def test_file_whose_process_is_gone_is_removed_without_a_word(start_process, sockets, capsys):
    start_process("1").end()

    with pytest.raises(GoneError):
        ask(str(sockets / "1.sock"), "name")
    assert [] == [*sockets.iterdir()]
    assert ("", "") == capsys.readouterr()


def test_missing_file_is_a_process_that_is_gone(sockets):
    with pytest.raises(GoneError):
        ask(str(sockets / "1.sock"), "name")


def test_what_cannot_be_reached_for_another_reason_is_left_there(sockets):
    path = sockets / "1.sock"
    path.symlink_to(path)

    with pytest.raises(NoAnswerError, match="symbolic links"):
        ask(str(path), "name")
    assert path.is_symlink()


@contextlib.contextmanager
def as_ordinary_user():
    """Have no rights but those of an ordinary user, if this is root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_socket_that_this_user_may_not_use_is_left_there(start_process, sockets):
    start_process("1")
    path = sockets / "1.sock"
    path.chmod(0)
    with as_ordinary_user(), pytest.raises(NoAnswerError, match="Permission denied"):
        ask(str(path), "name")

    assert path.exists()


@pytest.mark.parametrize("length", [107, 108, 200])
def test_path_as_long_as_an_address_and_longer_is_reached(start_process, sockets, length):
    folder = sockets / ("d" * (length - len(f"{sockets}//1.sock")))
    folder.mkdir()
    assert length == len(str(folder / "1.sock"))
    process = start_process("1")
    (sockets / "1.sock").rename(folder / "1.sock")

    assert "e1" == ask(str(folder / "1.sock"), "name").text(1)
    process.end()
    before = open_descriptors()
    with pytest.raises(GoneError):
        ask(str(folder / "1.sock"), "name")
    assert before == open_descriptors()
    assert [] == [*folder.iterdir()]


# ---- errors ----


def test_failed_connections_are_counted_and_end_with_e39(capsys):
    error = failed_connections(3, action="Test")

    assert ("", "Failed connections: 3\n") == capsys.readouterr()
    assert (ErrorCode.CONNECTION, "Test") == (error.reason, error.action)


@pytest.mark.parametrize("trace", [None, "1"])
def test_error_of_a_process_is_printed_before_the_e39_it_ends_with(make_context, capsys, trace):
    inner = CommandError(ErrorCode.ENCLAVE_BOOT, "it did not boot", action="Run Enclave")
    variables = {} if trace is None else {"BACKTRACE": trace}

    error = failed_process(inner, make_context(**variables))

    output, errors = capsys.readouterr()
    assert "" == output
    assert errors.startswith("[ E36 ] Enclave boot failure. ")
    assert errors.endswith('.log"\nFailed connections: 1\n')
    assert (trace is not None) == ("    it did not boot\n" in errors)
    assert (ErrorCode.CONNECTION, "Run Enclave") == (error.reason, error.action)
