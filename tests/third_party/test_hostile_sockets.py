"""Socket calls that no library makes, and the answer of Linux net/vmw_vsock/af_vsock.c.

Where kernels differ, the answer is that of the 4.14 kernel in AWS's enclave images.
"""

import os
import platform
import signal
import subprocess

import pytest

pytestmark = pytest.mark.needs("userns")

EFAULT, EBADF, EINVAL, ENODEV = "-14", "-9", "-22", "-19"
ERANGE, ENOSYS, ENOTSOCK, ENOPROTOOPT = "-34", "-38", "-88", "-92"
EPROTONOSUPPORT, ESOCKTNOSUPPORT, EOPNOTSUPP = "-93", "-94", "-95"
EADDRINUSE, EADDRNOTAVAIL, ECONNRESET, ENOTCONN, ETIMEDOUT = "-98", "-99", "-104", "-107", "-110"

UNBOUND = "family 40 length 16 port 4294967295 cid 4294967295"
BOUND = "family 40 length 16 port 5000 cid 4294967295"

CASES = {
    "types": [
        ("datagram", ENODEV),
        ("sequenced", ESOCKTNOSUPPORT),
        ("raw", ESOCKTNOSUPPORT),
        ("no such type", EINVAL),
        ("protocol 1", EPROTONOSUPPORT),
        ("protocol of the family", "1"),
        ("unknown flag", EINVAL),
        ("pair", EOPNOTSUPP),
        ("pair nowhere", EOPNOTSUPP),
    ],
    "flags": [
        ("plain close-on-exec", "0"),
        ("plain non-blocking", "0"),
        ("flagged close-on-exec", "1"),
        ("flagged non-blocking", "1"),
        ("lowest free number again", "0"),
    ],
    "bind_address": [
        ("short", EINVAL),
        ("empty", EINVAL),
        ("negative length", EINVAL),
        ("too long", EINVAL),
        ("internet family", EINVAL),
        ("unix family", EINVAL),
        ("unknown flag", EINVAL),
        ("wild pointer", EFAULT),
        ("protected pointer", EFAULT),
        ("foreign cid", EADDRNOTAVAIL),
        ("closed fd", EBADF),
        ("still unbound", "0"),
    ],
    "bind_conflicts": [
        ("bind", "0"),
        ("twice", EINVAL),
        ("in use", EADDRINUSE),
        ("in use by a listener", EADDRINUSE),
        ("another port", "0"),
        ("free again", "0"),
    ],
    "bind_any_port": [("real ports", "1"), ("unprivileged", "1"), ("different", "1")],
    "wrong_order": [
        ("listen unbound", EINVAL),
        ("accept unbound", EINVAL),
        ("accept before listen", EINVAL),
        ("listen", "0"),
        ("listen again", "0"),
        ("accept4 flags", EINVAL),
        ("connect a listener", EINVAL),
    ],
    "ordinary_sockets": [
        ("vsock connect of a unix socket", EINVAL),
        ("vsock bind of a unix socket", EINVAL),
        ("accept of a file", ENOTSOCK),
        ("accept of a closed fd", EBADF),
        ("name of a file", ENOTSOCK),
        ("option of a file", ENOTSOCK),
        ("vsock option of a unix socket", EOPNOTSUPP),
    ],
    "connect_refused": [("first", ECONNRESET), ("again", ECONNRESET), ("peer", ENOTCONN)],
    "connect_nobody": [("unknown cid", ETIMEDOUT)],
    "connect_address": [
        ("short", EINVAL),
        ("negative length", EINVAL),
        ("unix family", EINVAL),
        ("wild pointer", EFAULT),
        ("kernel pointer", EFAULT),
        ("closed fd", EBADF),
    ],
    "names": [
        ("own, unbound", UNBOUND),
        ("peer, unbound", ENOTCONN),
        ("own, bound", BOUND),
        ("peer, bound", ENOTCONN),
    ],
    "name_pointers": [
        ("short buffer", "0"),
        ("full length", "16"),
        ("family 40, rest untouched 1",),
        ("wild buffer", EFAULT),
        ("wild length", EFAULT),
        ("negative length", EINVAL),
        ("read-only buffer", EFAULT),
    ],
    "general_options": [
        ("domain", "value 40 length 4"),
        ("type", "value 1 length 4"),
        ("protocol", "value 0 length 4"),
        ("domain in 8 bytes", "value 40 length 4"),
        ("error", "value 0 length 4"),
        ("listening", "value 0 length 4"),
        # CPython passes every integer option of a vsock socket as 8 bytes.
        ("reuse in 8 bytes", "0"),
    ],
    "vsock_options": [
        ("size", "value 262144 length 8"),
        ("minimum", "value 128 length 8"),
        ("maximum", "value 262144 length 8"),
        ("size in 4 bytes", EINVAL),
        ("unknown", ENOPROTOOPT),
        ("set size", "0"),
        ("size set", "value 65536 length 8"),
        ("set size in 4 bytes", EINVAL),
        ("set size above maximum", "0"),
        ("size clamped", "value 262144 length 8"),
        ("set unknown", ENOPROTOOPT),
        ("wild value", EFAULT),
        ("wild buffer", EFAULT),
        ("wild length", EFAULT),
    ],
    "connect_timeout_option": [
        ("default", "2 s 0 us length 16"),
        ("set", "0"),
        ("changed", "1 s 500000 us"),
        ("too many microseconds", ERANGE),
        ("short", EINVAL),
    ],
    # Data calls run natively, without asking anybody. Hardware: ENOTCONN three times.
    "unconnected_data": [("write", ENOTCONN), ("read", EINVAL), ("shutdown", "0")],
    # It would carry socket calls past the filter.
    "io_uring": [("setup", ENOSYS)],
}


@pytest.fixture
def run_case(c_program, run_enclave):
    """Start one case in an enclave of its own."""

    def run(case):
        return run_enclave(c_program("hostile_sockets"), case, env={"NITROSIM_INSIDE": "1"})

    return run


def finished_lines(enclave):
    assert enclave.wait(timeout=20) == 0
    lines = enclave.console.read_all(timeout=20).decode().splitlines()
    assert lines.pop() == "done"
    return [tuple(line.split(": ", 1)) for line in lines]


@pytest.mark.parametrize("case", CASES)
def test_sockets_answer_as_linux(run_case, case):
    assert CASES[case] == finished_lines(run_case(case))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numberings of x86-64 only")
def test_calls_by_the_x32_numbering_do_not_exist(run_case):
    assert [("getpid", ENOSYS)] == finished_lines(run_case("foreign_x32"))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numberings of x86-64 only")
def test_calls_by_the_i386_numbering_do_not_exist(run_case):
    enclave = run_case("foreign_i386")
    if enclave.wait(timeout=20) == 128 + signal.SIGSEGV:
        pytest.skip("this kernel has no 32-bit emulation")
    assert [("getpid", ENOSYS)] == finished_lines(enclave)


@pytest.mark.parametrize("name", ["hostile_nsm", "hostile_sockets", "hostile_waiting"])
@pytest.mark.parametrize("inside", ["", "0", "yes"])
def test_the_programs_refuse_to_run_outside_the_simulator(c_program, name, inside):
    environment = {**os.environ, "NITROSIM_INSIDE": inside}
    done = subprocess.run(
        [c_program(name), "no such case"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert "runs only inside the simulator" in done.stderr
