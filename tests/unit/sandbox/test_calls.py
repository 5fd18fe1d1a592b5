"""The table of served calls, against the kernel's own headers and against itself."""

import errno
import os
import re
import subprocess

import pytest

from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.supervisor import Supervisor
from nitrosim.sandbox.calls import (
    AF_VSOCK,
    CALLS,
    GET_LOCAL_CID,
    NSM_IOCTL_RAW,
    OWN_INIT_CALLS,
    SO_DOMAIN,
    SO_PROTOCOL,
    SOL_SOCKET,
    Support,
)

# arm64 has no list of its own: it takes the generic one, and for 64 bits the preprocessor needs
# only to be told so. __NR3264_* are the calls that differ between 32 and 64 bits.
ALL = (*CALLS, *OWN_INIT_CALLS)
HEADERS = {
    "x86_64": ("asm/unistd_64.h", "-D__x86_64__"),
    "aarch64": ("asm-generic/unistd.h", "-D__BITS_PER_LONG=64"),
}


def macros(source, *options):
    """Return the macros that are defined after preprocessing `source`."""
    done = subprocess.run(
        ["cc", "-E", "-dM", *options, "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"no such kernel header here: {done.stderr.strip().splitlines()[0]}")
    return dict(re.findall(r"^#define (\w+) (.*)$", done.stdout, re.MULTILINE))


@pytest.mark.needs("cc")
@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_those_of_the_kernel_headers(machine):
    header, option = HEADERS[machine]
    numbers = macros(f"#include <{header}>\n", option)

    wanted = {line.name: numbers[f"__NR_{line.name}"] for line in ALL}

    assert wanted == {line.name: str(line.numbers[machine]) for line in ALL}


@pytest.mark.needs("cc")
def test_the_constants_are_those_of_the_kernel_headers():
    source = "#include <linux/vm_sockets.h>\n#include <sys/socket.h>\n#include <asm/socket.h>\n"
    found = macros(source)

    assert "_IO(7, 0xb9)" == found["IOCTL_VM_SOCKETS_GET_LOCAL_CID"]
    assert 7 << 8 | 0xB9 == GET_LOCAL_CID
    assert str(AF_VSOCK) == found[found["AF_VSOCK"]]
    assert [str(SOL_SOCKET), str(SO_DOMAIN), str(SO_PROTOCOL)] == [
        found[name] for name in ("SOL_SOCKET", "SO_DOMAIN", "SO_PROTOCOL")
    ]


def test_the_nsm_request_is_made_as_iowr_makes_it():
    read_write, size, magic, number = 3, 32, 0x0A, 0

    assert read_write << 30 | size << 16 | magic << 8 | number == NSM_IOCTL_RAW


def test_error_lines_and_only_they_name_an_error():
    assert {line.name for line in ALL if line.error} == {
        line.name for line in ALL if line.support is Support.ERRNO
    }
    assert all(line.error in errno.errorcode for line in ALL if line.error)


def test_a_partial_line_says_what_differs():
    assert [] == [line.name for line in ALL if line.support is Support.PARTIAL and not line.note]


def test_conditions_are_on_arguments_that_exist():
    for line in ALL:
        assert sorted({c.index for c in line.when}) == [c.index for c in line.when]
        assert all(0 <= c.index < 6 for c in line.when)
        assert all(0 <= value < 2**32 for c in line.when for value in c.values)


def test_every_call_that_is_handed_over_has_a_handler(tmp_path):
    supervisor = Supervisor(Loop(), Network(tmp_path, "test"))
    machine = os.uname().machine

    handed_over = {line.numbers[machine] for line in ALL if line.is_handed_over}

    assert handed_over == set(supervisor._handlers)


def test_only_partial_and_full_lines_are_handed_over():
    answered_by_the_filter = {line.support for line in ALL if not line.is_handed_over}

    assert {Support.ERRNO, Support.SUCCESS} == answered_by_the_filter


def test_no_call_of_an_init_is_one_that_others_are_answered():
    """Two lines on one call would depend on their order."""
    assert set() == {line.name for line in CALLS} & {line.name for line in OWN_INIT_CALLS}
