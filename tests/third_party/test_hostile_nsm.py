"""Requests to /dev/nsm that no client library sends, and the answer of Linux drivers/misc/nsm.c."""

import hashlib

import pytest

pytestmark = pytest.mark.needs("userns")

INVALID_OPERATION = "a1654572726f7270496e76616c69644f7065726174696f6e"
EXTENDED = hashlib.sha384(bytes(48) + bytes([1, 2, 3])).hexdigest()
RANDOM_ANSWER_LENGTH = 278

EFAULT, EBADF, EINVAL, ENODEV, ENOTTY, EMSGSIZE = "-14", "-9", "-22", "-19", "-25", "-90"

CASES = {
    "struct_pointer": [
        ("null", EFAULT),
        ("low", EFAULT),
        ("kernel", EFAULT),
        ("protected", EFAULT),
        ("half", EFAULT),
    ],
    # The answer is there, but its length cannot be written back.
    "struct_read_only": [("ioctl", EFAULT), ("length", "12288")],
    # The length is looked at before the pointer.
    "request_length": [
        ("limit + 1", EMSGSIZE),
        ("huge", EMSGSIZE),
        ("maximum", EMSGSIZE),
        ("huge and unreadable", EMSGSIZE),
        ("room for the answer", "12288"),
    ],
    "request_empty": [("ioctl", "0"), ("answer", INVALID_OPERATION)],
    "request_junk": [("ioctl", "0"), ("answer", INVALID_OPERATION)],
    "request_pointer": [
        ("low", EFAULT),
        ("kernel", EFAULT),
        ("protected", EFAULT),
        ("half", EFAULT),
        ("just readable", "0"),
    ],
    "response_short": [
        ("short", "0"),
        ("length", "12"),
        # a1 69 "GetRandom" a1, and two bytes as they were before.
        ("answer", "a16947657452616e646f6da1eeee"),
        ("none", "0"),
        ("length", "0"),
    ],
    "response_huge": [("ioctl", "0"), ("length", str(RANDOM_ANSWER_LENGTH))],
    "other_numbers": [
        ("32-bit size", EINVAL),
        ("next number", EINVAL),
        ("read only", EINVAL),
        ("no direction", EINVAL),
    ],
    "sign_extended": [("ioctl", "0"), ("length", str(RANDOM_ANSWER_LENGTH))],
    "other_files": [
        ("pipe", ENOTTY),
        ("null device", ENOTTY),
        ("regular file", ENOTTY),
        ("closed", EBADF),
        ("negative", EBADF),
        ("never opened", EBADF),
    ],
    "open_modes": [("ioctl", "0"), ("dup", "0")] * 4,
    "not_a_file": [("mmap", ENODEV)],
}


@pytest.fixture
def run_case(c_program, run_enclave):
    """Run one case in an enclave of its own; return its lines as (name, value)."""

    def run(case):
        enclave = run_enclave(c_program("hostile_nsm"), case, env={"NITROSIM_INSIDE": "1"})
        assert enclave.wait(timeout=20) == 0
        lines = enclave.console.read_all(timeout=20).decode().splitlines()
        assert lines.pop() == "done"
        return [tuple(line.split(": ", 1)) for line in lines]

    return run


@pytest.mark.parametrize("case", CASES)
def test_nsm_answers_as_the_linux_driver(run_case, case):
    assert CASES[case] == run_case(case)


@pytest.mark.parametrize("case", ["response_wild", "response_read_only"])
def test_a_request_takes_effect_although_its_answer_cannot_be_written(run_case, case):
    lines = run_case(case)

    assert [("ioctl", EFAULT), ("length", "12288")] == lines[:2]
    name, register = lines[2]
    assert name == "register"
    assert register.endswith(EXTENDED)
    assert [("first byte", "0")] * (case == "response_read_only") == lines[3:]
