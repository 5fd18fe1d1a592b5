"""Directories as a calling thread sees them; the thread is one of this process, or of a child."""

import ctypes
import mmap
import os
import subprocess
from pathlib import Path

import pytest

from nitrosim.hypervisor.tracee import BadAddressError, GoneError
from nitrosim.hypervisor.tracee_files import magic_of, may_mount, open_directory, read_text

PAGE = mmap.PAGESIZE
PROT_NONE, PROT_READ_WRITE = 0, 3
#: Numbers of processes end far below.
NOBODY = 2**22 + 1

libc = ctypes.CDLL(None)
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


@pytest.fixture
def memory():
    """Give three pages, the last of which cannot be read; their address and a view."""
    with mmap.mmap(-1, 3 * PAGE) as pages:
        view = ctypes.c_char.from_buffer(pages)
        address = ctypes.addressof(view)
        assert 0 == libc.mprotect(address + 2 * PAGE, PAGE, PROT_NONE)
        yield pages, address
        libc.mprotect(address + 2 * PAGE, PAGE, PROT_READ_WRITE)
        del view


def read(address):
    return read_text(os.getpid(), address)


@pytest.mark.parametrize("text", [b"", b"x", b"/proc", b"y" * 4095])
def test_a_text_ends_with_its_nul(memory, text):
    pages, address = memory
    for at in (0, PAGE - 3, 2 * PAGE - len(text) - 1):
        pages[at : at + len(text) + 1] = text + b"\0"
        assert text == read(address + at)


def test_a_text_that_does_not_end_in_a_page_is_none(memory):
    pages, address = memory
    pages[: 2 * PAGE] = b"z" * (2 * PAGE)

    assert read(address) is None
    assert read(address + PAGE - 1) is None


def test_a_text_that_cannot_be_read_to_its_end_is_a_bad_address(memory):
    pages, address = memory
    pages[2 * PAGE - 3 : 2 * PAGE] = b"abc"

    with pytest.raises(BadAddressError):
        read(address + 2 * PAGE - 3)
    with pytest.raises(BadAddressError):
        read(0)


def opened(thread, path):
    """Return where a path leads, None if nowhere."""
    fd = open_directory(thread, os.fsencode(path))
    if fd is None:
        return None
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink())
    finally:
        os.close(fd)


def test_paths_are_those_of_the_thread(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"], cwd=tmp_path) as child:
        try:
            found = [opened(child.pid, path) for path in (".", "in", "in/deep/..", "/proc", "/..")]
        finally:
            child.kill()

    assert [str(tmp_path), str(tmp_path / "in"), str(tmp_path / "in"), "/proc", "/"] == found


def test_what_is_no_directory_or_leads_out_is_not_opened(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)

    for path in ("file", "missing", "", "link", "..", "loop", str(tmp_path / "file")):
        assert opened(os.getpid(), path) is None
    assert "/" == opened(os.getpid(), tmp_path / "link")


def test_links_that_are_made_by_the_kernel_are_not_followed():
    assert opened(os.getpid(), f"/proc/{os.getpid()}/cwd") is None


def test_a_thread_that_has_ended_is_gone():
    for path in (b"/", b"."):
        with pytest.raises(GoneError):
            open_directory(NOBODY, path)
    with pytest.raises(GoneError):
        may_mount(NOBODY)


def test_no_descriptor_is_left():
    before = [*Path("/proc/self/fd").iterdir()]
    for path in ("/", ".", "/missing", "missing"):
        opened(os.getpid(), path)

    assert before == [*Path("/proc/self/fd").iterdir()]


def test_the_magic_number_is_that_of_the_file_system():
    fd = open_directory(os.getpid(), b"/proc")
    try:
        assert 0x9FA0 == magic_of(fd)
    finally:
        os.close(fd)


@pytest.mark.needs("other-user")
def test_root_may_mount_and_others_may_not():
    with subprocess.Popen(["sleep", "600"], user="nobody", extra_groups=[]) as child:
        try:
            assert [True, False] == [may_mount(os.getpid()), may_mount(child.pid)]
        finally:
            child.kill()
