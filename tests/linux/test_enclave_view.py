"""What a program finds in an enclave: identity, limits, console, network, devices."""

import os
import time

import pytest

from nitrosim.instance import Instance

pytestmark = pytest.mark.needs("userns")

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="module")
def cat(instance):
    """Return what ``cat FILE`` prints: a program that changes nothing about itself."""

    def cat(path):
        enclave = instance.run_enclave(["cat", path])
        text = enclave.console.read_all(timeout=20).decode()
        assert enclave.wait(timeout=20) == 0, text
        return text

    return cat


def test_the_program_is_root_of_a_machine_of_its_own(run_program, result):
    found = result(run_program("view", "process"))

    assert {
        "pid": 2,
        "parent": 1,
        "session": 2,
        "ids": [[0, 0, 0], [0, 0, 0]],
        "cwd": "/",
        "umask": 0o022,
        "files": [1024, 4096],
        "blocked": [],
        "host": "(none)",
        "domain": "(none)",
        "processes": [1, 2],
    } == found


def test_the_environment_is_the_one_that_was_given(run_enclave, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    enclave = run_enclave("/usr/bin/env", env={"ANSWER": "42", "EMPTY": "", "TEXT": "ä = ö"})

    expected = {f"PATH={PATH}", "ANSWER=42", "EMPTY=", "TEXT=ä = ö"}
    assert expected == set(enclave.console.read_all(timeout=20).decode().splitlines())


def test_signals_have_their_default_actions_and_none_is_blocked(cat):
    lines = dict(line.split(":\t", 1) for line in cat("/proc/self/status").splitlines())

    assert ["0" * 16] * 3 == [lines[name] for name in ("SigBlk", "SigIgn", "SigCgt")]


def test_no_descriptor_but_the_console_is_inherited():
    inheritable = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(inheritable, True)
    try:
        with Instance() as instance:
            enclave = instance.run_enclave(["ls", "-l", "/proc/self/fd"])
            listed = enclave.console.read_all(timeout=20).decode().splitlines()
    finally:
        os.close(inheritable)

    targets = [line.split(" ")[-3:] for line in listed if " -> " in line]
    console = [[str(fd), "->", "/dev/pts/0"] for fd in range(3)]
    assert [*console, ["3", "->", "/proc/2/fd"]] == targets


def test_the_console_is_a_terminal_but_controls_nothing(run_program, result):
    assert {
        "terminals": [True, True, True],
        "same": 1,
        "turns line feeds": True,
        "/dev/console": True,
        "controls": "ENXIO",
    } == result(run_program("view", "console"))


def test_lines_on_the_console_end_in_crlf(run_enclave):
    enclave = run_enclave("printf", "one\\ntwo\\n")

    assert b"one\r\ntwo\r\n" == enclave.console.read_all(timeout=20)


def test_standard_error_is_the_console_too(run_enclave):
    enclave = run_enclave("sh", "-c", "echo out; echo err >&2")

    assert b"out\r\nerr\r\n" == enclave.console.read_all(timeout=20)


def test_there_is_no_network_but_a_loopback_that_is_down(run_program, result):
    assert {
        "interfaces": {"lo": 0},
        "internet": "ENETUNREACH",
        "itself": "ENETUNREACH",
        "names": "no answer",
    } == result(run_program("view", "network"))


def test_the_devices_are_there(run_program, result):
    enclave = run_program("view", "devices")
    found = result(enclave)

    assert found["nsm read"] == found["nsm write"] == found["nsm both"] == ""
    assert enclave.cid == found["cid"]
    expected = {"null", "zero", "full", "random", "urandom", "tty", "nsm", "vsock"}
    expected |= {"console", "fd", "stdin", "stdout", "stderr", "pts", "ptmx", "shm"}
    assert expected == set(found["all"])


@pytest.mark.needs("root", "mount")
def test_the_settings_of_the_machine_are_out_of_reach_for_its_root(run_enclave):
    script = """
    switch=/proc/sys/kernel/printk
    mount -t proc proc /proc && echo proc is there
    (: >>$switch) 2>/dev/null || echo read-only
    mkdir /srv/proc
    mount -t proc proc /srv/proc 2>/dev/null || echo refused
    mount -t tmpfs tmpfs /srv && echo all else can be mounted
    """
    enclave = run_enclave("sh", "-c", script)

    said = enclave.console.read_all(timeout=20).decode().splitlines()
    remark = (
        "[nitrosim: cannot mount proc at /srv/proc: it is mounted at /proc and nowhere else; bind "
        "or move it]"
    )
    assert remark in said
    assert ["proc is there", "read-only", "refused", "all else can be mounted"] == [
        line for line in said if line != remark
    ]


def test_the_clock_is_that_of_the_host(run_program, result):
    before = time.time()
    inside = result(run_program("view", "clock"))

    assert before <= inside <= time.time()
