"""Looking into a process, with this process as the one that is looked into."""

import contextlib
import ctypes
import errno
import mmap
import os
import socket
import subprocess

import pytest

from nitrosim.hypervisor.tracee import (
    BadAddressError,
    DescriptorPaths,
    GoneError,
    Pidfds,
    duplicate,
    open_process,
    read_memory,
    read_status,
    write_both,
    write_memory,
)

PAGE = mmap.PAGESIZE
HERE = os.getpid()


@pytest.fixture
def memory():
    """Return a buffer and its address."""
    buffer = ctypes.create_string_buffer(256)
    return buffer, ctypes.addressof(buffer)


@contextlib.contextmanager
def protected(at, protection):
    """Yield the address of two pages, of which everything from byte `at` on is protected."""
    area = mmap.mmap(-1, 2 * PAGE)
    first = ctypes.c_char.from_buffer(area)
    start = ctypes.addressof(first)
    libc = ctypes.CDLL(None)
    libc.mprotect(ctypes.c_void_p(start + at), 2 * PAGE - at, protection)
    yield start
    libc.mprotect(ctypes.c_void_p(start), 2 * PAGE, mmap.PROT_READ | mmap.PROT_WRITE)
    del first
    area.close()


@pytest.fixture
def edge():
    """Return the address where readable memory ends."""
    with protected(PAGE, 0) as start:
        yield start + PAGE


@pytest.fixture
def read_only():
    """Return the address of a page that is not writable."""
    with protected(0, mmap.PROT_READ) as start:
        yield start


@pytest.fixture
def dead_thread():
    """Return the number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_memory_is_read_and_written(memory):
    buffer, address = memory
    write_memory(HERE, address + 1, b"hello")

    assert b"\0hello\0" == buffer.raw[:7]
    assert b"hello" == read_memory(HERE, address + 1, 5)


def test_two_places_are_written_in_order(memory):
    buffer, address = memory
    write_both(HERE, address, b"first", address + 3, b"second")

    assert b"firsecond\0" == buffer.raw[:10]


@pytest.mark.parametrize(("one", "other"), [(b"", b"x"), (b"x", b""), (b"", b"")])
def test_one_of_two_places_may_have_nothing_written(memory, one, other):
    buffer, address = memory
    write_both(HERE, address if one else 0, one, address + 1 if other else 0, other)

    assert (one or b"\0") + (other or b"\0") == buffer.raw[:2]


def test_no_bytes_need_no_memory():
    assert b"" == read_memory(HERE, 0, 0)
    write_memory(HERE, 0, b"")


@pytest.mark.parametrize("address", [0, 1, 0xFFFF_8000_0000_0000, 2**64 - 1, 2**64 - 4])
def test_an_address_that_is_no_memory_is_a_bad_one(address):
    with pytest.raises(BadAddressError):
        read_memory(HERE, address, 8)
    with pytest.raises(BadAddressError):
        write_memory(HERE, address, bytes(8))
    with pytest.raises(BadAddressError):
        write_both(HERE, address, bytes(8), address, bytes(8))


def test_memory_of_which_a_part_is_unreadable_is_bad_as_a_whole(edge):
    assert bytes(8) == read_memory(HERE, edge - 8, 8)
    with pytest.raises(BadAddressError):
        read_memory(HERE, edge - 8, 9)
    with pytest.raises(BadAddressError):
        write_memory(HERE, edge - 8, bytes(9))


def test_read_only_memory_is_not_written(read_only):
    assert bytes(4) == read_memory(HERE, read_only, 4)
    with pytest.raises(BadAddressError):
        write_memory(HERE, read_only, b"x")


def test_the_second_place_may_be_bad_after_the_first_is_written(memory, read_only):
    buffer, address = memory
    with pytest.raises(BadAddressError):
        write_both(HERE, address, b"kept", read_only, b"x")

    assert b"kept" == buffer.raw[:4]


@pytest.mark.parametrize("size", [(1 << 20) + 1, 2**63])
def test_more_than_a_transfer_holds_is_refused(memory, size):
    with pytest.raises(BadAddressError):
        read_memory(HERE, memory[1], size)


def test_the_memory_of_the_dead_is_gone(dead_thread, memory):
    with pytest.raises(GoneError):
        read_memory(dead_thread, memory[1], 1)
    with pytest.raises(GoneError):
        write_memory(dead_thread, memory[1], b"x")


def test_the_dead_have_no_pidfd_and_no_status(dead_thread):
    with pytest.raises(GoneError):
        open_process(dead_thread)
    with pytest.raises(GoneError):
        read_status(dead_thread)


def test_the_status_of_a_thread_is_told():
    assert str(HERE) == read_status(HERE)["Tgid"]


@pytest.mark.parametrize("upper", [0, 1 << 32, 0xFFFFFFFF << 32])
def test_a_descriptor_is_duplicated_whatever_the_upper_half_of_its_number(upper):
    pidfd = open_process(HERE)
    with socket.socket(socket.AF_UNIX) as sock:
        copy = duplicate(pidfd, sock.fileno() | upper)
        assert os.path.sameopenfile(copy, sock.fileno())
        os.close(copy)
    os.close(pidfd)


@pytest.mark.parametrize("fd", [-1, 100_000, 2**31, 2**32 - 1])
def test_a_descriptor_that_is_not_there_cannot_be_duplicated(fd):
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        Pidfds().duplicate(HERE, fd)
    assert errno.EBADF == caught.value.errno


def test_a_pidfd_is_kept_for_the_next_call():
    pidfds = Pidfds()
    copies = [pidfds.duplicate(HERE, 0) for _ in range(3)]
    for copy, _pidfd in copies:
        os.close(copy)

    assert 1 == len({pidfd for _copy, pidfd in copies}) == len(pidfds._kept)
    os.close(copies[0][1])


def test_a_number_that_is_somebody_elses_by_now_is_looked_up_anew(dead_thread):
    pidfds = Pidfds()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        stale = os.pidfd_open(process.pid)
        process.communicate()
    # As if the dead one had had our number.
    pidfds._kept[HERE] = stale

    copy, pidfd = pidfds.duplicate(HERE, 0)

    assert os.path.sameopenfile(copy, 0)
    assert {HERE: pidfd} == pidfds._kept
    with pytest.raises(GoneError):
        pidfds.duplicate(dead_thread, 0)
    os.close(copy)
    os.close(pidfd)


def test_the_path_of_a_descriptor_is_told(tmp_path):
    paths = DescriptorPaths()
    file = tmp_path / "file"
    file.write_text("")
    fd = os.open(file, os.O_RDONLY)
    for _ in range(2):
        assert str(file) == paths.path(HERE, fd) == paths.path(HERE, fd | 1 << 32)
        with pytest.raises(OSError, match="Bad file descriptor"):
            paths.path(HERE, 100_000)
    for opened in (fd, *paths._directories.values()):
        os.close(opened)


def test_the_descriptors_of_the_dead_have_no_path(dead_thread):
    with pytest.raises(OSError, match="Bad file descriptor"):
        DescriptorPaths().path(dead_thread, 0)
