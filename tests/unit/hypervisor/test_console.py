"""The console of an enclave in the hypervisor: a terminal on one side, followers on the other."""

import contextlib
import io
import os
import re
import select
import termios

import pytest

from nitrosim.hypervisor import console as console_module
from nitrosim.hypervisor.console import Console
from nitrosim.hypervisor.loop import Loop

KEPT, LAG, READ = 8192, 2048, 1024


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Keep 8 KiB instead of 4 MiB, and the other sizes in proportion."""
    monkeypatch.setattr(console_module, "_KEPT", KEPT)
    monkeypatch.setattr(console_module, "_LAG", LAG)
    monkeypatch.setattr(console_module, "_READ_SIZE", READ)


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def files():
    """Make files of descriptors, which end with the test if they did not end before."""
    with contextlib.ExitStack() as stack:
        yield lambda fd, mode: stack.enter_context(io.FileIO(fd, mode))


@pytest.fixture
def console(loop):
    console = Console(loop)
    yield console
    console.close()


@pytest.fixture
def terminal(console, files):
    """Open the enclave's side of a terminal that passes bytes as they are and never waits."""
    master, slave = os.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    os.set_blocking(slave, False)
    console.attach(master)
    return files(slave, "wb")


@pytest.fixture
def follow(console, files):
    def follow(*, lossless=False):
        reader = console.follow(lossless=lossless)
        os.set_blocking(reader, False)
        return files(reader, "rb")

    return follow


def settle(loop):
    """Call back whatever is ready, until nothing is."""
    while ready := loop._epoll.poll(0):
        for fd, events in ready:
            if fd in loop._callbacks:
                loop._callbacks[fd](events)


def write_all(terminal, loop, data):
    """Write all of `data` as a program does while the hypervisor reads."""
    poll = select.poll()
    poll.register(terminal, select.POLLOUT)
    poll.register(loop._epoll, select.POLLIN)
    while data:
        assert poll.poll(10_000), "the terminal is full and nobody reads it"
        data = data[terminal.write(data) or 0 :]
        settle(loop)


def read_all(reader):
    """Return what is there; the end of the file looks like nothing there."""
    received = bytearray()
    while part := reader.read(1 << 16):
        received += part
    return bytes(received)


def receive(loop, reader, size):
    """Wait for `size` bytes: a terminal hands over on a thread of the kernel's."""
    received = read_all(reader)
    while len(received) < size:
        assert loop._epoll.poll(10), f"nothing comes after {received!r}"
        settle(loop)
        received += read_all(reader)
    return received


def is_ended(reader):
    return reader.read(1) == b""


def test_what_the_program_writes_reaches_a_follower(loop, terminal, follow):
    reader = follow()
    terminal.write(b"hello\n")

    assert b"hello\n" == receive(loop, reader, 6)
    assert not is_ended(reader)


def test_a_terminal_turns_line_feeds_into_crlf(loop, console, follow, files):
    master, slave = os.openpty()
    console.attach(master)
    reader = follow()
    files(slave, "wb").write(b"one\ntwo\n")

    assert b"one\r\ntwo\r\n" == receive(loop, reader, 10)


def test_who_follows_late_gets_everything_from_the_start(loop, terminal, follow):
    terminal.write(b"early ")
    assert b"early " == receive(loop, follow(), 6)
    reader = follow()
    assert b"early " == read_all(reader)
    terminal.write(b"late")

    assert b"late" == receive(loop, reader, 4)


def test_every_follower_gets_everything(loop, terminal, follow):
    readers = [follow(), follow(lossless=True), follow()]
    terminal.write(b"to all")

    assert b"to all" == receive(loop, readers[0], 6)
    assert [b"to all"] * 2 == [read_all(reader) for reader in readers[1:]]


def test_followers_end_with_the_enclave_after_all_that_was_written(console, terminal, follow):
    reader = follow()
    terminal.write(b"last words")
    terminal.close()
    console.end()

    assert b"last words" == read_all(reader)
    assert is_ended(reader)


def test_the_end_takes_more_than_one_read(console, terminal, follow):
    readers = [follow(), follow(lossless=True)]
    last_words = os.urandom(3 * READ)
    assert len(last_words) == terminal.write(last_words)
    terminal.close()
    console.end()

    assert [last_words] * 2 == [read_all(reader) for reader in readers]
    assert all(is_ended(reader) for reader in readers)


def test_the_console_can_be_read_after_the_end(console, terminal, follow):
    terminal.write(b"last words")
    terminal.close()
    console.end()
    reader = follow()

    assert b"last words" == read_all(reader)
    assert is_ended(reader)


def test_the_end_does_not_wait_for_a_terminal_that_somebody_else_holds(console, terminal, follow):
    reader = follow()
    terminal.write(b"said")

    console.end()

    assert b"said" == read_all(reader)
    assert is_ended(reader)


def test_a_console_without_terminal_ends_empty(console, follow):
    reader = follow()
    console.end()

    assert b"" == read_all(reader)
    assert is_ended(reader)


def test_the_oldest_bytes_are_forgotten(loop, terminal, follow):
    data = os.urandom(3 * KEPT)
    watcher = follow()
    write_all(terminal, loop, data)
    receive(loop, watcher, len(data))

    assert data[-KEPT:] == read_all(follow())


def test_a_slow_follower_is_told_how_much_it_lost(loop, console, terminal, follow):
    reader = follow()
    data = os.urandom(1 << 17)
    write_all(terminal, loop, data)
    terminal.close()
    console.end()

    received = read_all(reader)
    settle(loop)
    received += read_all(reader)

    first, *rest = re.split(rb"\r\n\[nitrosim: (\d+) bytes of .* are gone\]\r\n", received)
    assert rest
    assert data.startswith(first)
    at = len(first)
    for lost, part in zip(rest[::2], rest[1::2], strict=True):
        at += int(lost)
        assert data[at:].startswith(part)
        at += len(part)
    assert at == len(data)


def fill(terminal, loop, console):
    """Write until the hypervisor holds the program back; return what was written."""
    filled = bytearray()
    while not console._held_back:
        block = os.urandom(512)
        write_all(terminal, loop, block)
        filled += block
    return bytes(filled)


def test_a_lossless_follower_holds_the_program_back_and_loses_nothing(
    loop, console, terminal, follow
):
    reader = follow(lossless=True)
    sent, received = bytearray(), bytearray()
    for _ in range(5):
        sent += fill(terminal, loop, console)
        received += read_all(reader)
        settle(loop)
    while len(received) < len(sent):
        received += receive(loop, reader, 1)

    assert len(sent) > 1 << 17
    assert sent == received


def test_the_program_goes_on_when_a_lossless_follower_leaves(loop, console, terminal, follow):
    reader = follow(lossless=True)
    fill(terminal, loop, console)

    reader.close()
    settle(loop)

    assert not console._held_back
    write_all(terminal, loop, os.urandom(1 << 14))


def test_a_follower_that_leaves_is_forgotten(loop, console, follow):
    follow().close()
    settle(loop)

    assert [] == console._followers


def test_closing_ends_every_follower(console, terminal, follow):
    terminal.write(b"unread")
    reader = follow()
    console.close()

    assert is_ended(reader)


def test_nothing_is_watched_after_the_end(loop, console, terminal, follow):
    reader = follow()
    terminal.write(b"x")
    console.end()
    read_all(reader)

    assert {} == loop._callbacks


# ---- remarks ----


def test_a_remark_comes_after_what_the_program_has_written_on_a_line_of_its_own(
    loop, terminal, console, follow
):
    terminal.write(b"one\r\n")
    console.remark("first")
    terminal.write(b"two")
    reader = follow()
    received = receive(loop, reader, len(b"one\r\n[nitrosim: first]\r\ntwo"))
    console.remark("second")

    assert b"one\r\n[nitrosim: first]\r\ntwo" == received
    assert b"\r\n[nitrosim: second]\r\n" == read_all(reader)


def test_a_remark_needs_no_terminal(console, follow):
    console.remark("before")

    assert b"[nitrosim: before]\r\n" == read_all(follow())


def test_a_remark_does_not_let_a_program_go_on_that_is_held_back(loop, terminal, console, follow):
    reader = follow(lossless=True)
    written = 0
    while not console._held_back:
        written += terminal.write(b"x" * READ) or 0
        settle(loop)
    before = console._start + len(console._kept)

    console.remark("late")

    after = console._start + len(console._kept)
    assert before + len(b"\r\n[nitrosim: late]\r\n") == after
    assert read_all(reader)
