"""The loop of the hypervisor: descriptors, timers, and who is called when."""

import os

import pytest

from nitrosim.hypervisor.loop import HUNG_UP, READABLE, WRITABLE, Loop


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    ends = [reader, writer]
    yield ends
    for fd in ends:
        os.close(fd)


def test_a_readable_descriptor_is_called_back_with_its_events(loop, pipe):
    reader, writer = pipe
    events = []

    def ready(what):
        events.append(what)
        loop.stop()

    loop.watch(reader, ready)
    os.write(writer, b"x")
    loop.run()

    assert [READABLE] == events


def test_a_descriptor_that_stays_ready_is_called_back_again(loop, pipe):
    reader, writer = pipe
    taken = []

    def take_one(_events):
        taken.append(os.read(reader, 1))
        if len(taken) == 3:
            loop.stop()

    loop.watch(reader, take_one)
    os.write(writer, b"abc")
    loop.run()

    assert [b"a", b"b", b"c"] == taken


def test_a_hang_up_is_reported_whatever_was_asked_for(loop, pipe):
    reader, writer = pipe
    events = []

    def ready(what):
        events.append(what)
        loop.stop()

    loop.watch(reader, ready, 0)
    os.close(writer)
    pipe.remove(writer)
    loop.run()

    assert [HUNG_UP] == events


def test_a_descriptor_is_watched_for_what_it_was_rearmed_to(loop, pipe):
    _reader, writer = pipe
    events = []

    def ready(what):
        events.append(what)
        loop.stop()

    loop.watch(writer, ready, 0)
    loop.call_later(0, lambda: loop.rearm(writer, WRITABLE))
    loop.run()

    assert [WRITABLE] == events


def test_a_forgotten_descriptor_is_not_called_back(loop, pipe):
    reader, writer = pipe
    loop.watch(reader, lambda _events: pytest.fail("was forgotten"))
    loop.forget(reader)
    os.write(writer, b"x")
    loop.call_later(0.01, loop.stop)

    loop.run()


def test_forgetting_what_is_not_watched_is_harmless(loop, pipe):
    loop.forget(pipe[0])
    loop.watch(pipe[0], lambda _events: None)
    loop.forget(pipe[0])
    loop.forget(pipe[0])


def test_a_callback_can_forget_another_one_of_the_same_round(loop, pipe):
    reader, writer = pipe
    other_reader, other_writer = os.pipe()
    called = []

    def first_of(own, other):
        def ready(_events):
            called.append(own)
            loop.forget(own)
            loop.forget(other)
            loop.call_later(0.01, loop.stop)

        return ready

    loop.watch(reader, first_of(reader, other_reader))
    loop.watch(other_reader, first_of(other_reader, reader))
    for fd in (writer, other_writer):
        os.write(fd, b"x")
    loop.run()
    for fd in (other_reader, other_writer):
        os.close(fd)

    assert len(called) == 1


def test_timers_are_called_once_in_the_order_of_their_times(loop):
    called = []
    loop.call_later(0.02, lambda: called.append("late"))
    loop.call_later(0.01, lambda: called.append("early"))
    loop.call_later(0.03, loop.stop)

    loop.run()

    assert ["early", "late"] == called


def test_timers_of_the_same_time_are_called_in_the_order_of_their_making(loop, monkeypatch):
    monkeypatch.setattr("nitrosim.hypervisor.loop.time.monotonic", lambda: 1000.0)
    called = []
    for number in range(5):
        loop.call_later(0, lambda number=number: called.append(number))
    loop.call_later(0, loop.stop)

    # Standing still, the clock makes all of them due at once.
    assert loop._run_timers() is None
    assert list(range(5)) == called


def test_a_cancelled_timer_is_not_called(loop):
    loop.call_later(0, lambda: pytest.fail("was cancelled")).cancel()
    loop.call_later(0.01, loop.stop)

    loop.run()


def test_a_timer_can_be_cancelled_by_one_that_is_due_with_it(loop):
    def cancel():
        second.cancel()

    loop.call_later(0, cancel)
    second = loop.call_later(0, lambda: pytest.fail("was cancelled"))
    loop.call_later(0.01, loop.stop)

    loop.run()


def test_a_timer_may_be_cancelled_after_it_was_called(loop):
    timer = loop.call_later(0, loop.stop)
    loop.run()

    timer.cancel()

    assert timer.callback is None


def test_a_timer_can_set_the_next_one(loop):
    called = []

    def tick():
        called.append(len(called))
        loop.call_later(0, loop.stop if len(called) == 3 else tick)

    loop.call_later(0, tick)
    loop.run()

    assert [0, 1, 2] == called


def test_the_wait_is_until_the_next_timer_that_is_not_cancelled(loop, monkeypatch):
    monkeypatch.setattr("nitrosim.hypervisor.loop.time.monotonic", lambda: 1000.0)
    soon = loop.call_later(1, lambda: None)
    loop.call_later(5, lambda: None)

    assert loop._run_timers() == 1.0
    soon.cancel()
    assert loop._run_timers() == 5.0


def test_without_timers_the_wait_is_for_ever(loop):
    assert loop._run_timers() is None


def test_an_error_in_a_callback_ends_the_loop(loop):
    def fail():
        raise RuntimeError("unknown failure")

    loop.call_later(0, fail)

    with pytest.raises(RuntimeError, match="unknown failure"):
        loop.run()
