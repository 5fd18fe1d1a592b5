"""Which processors stand for which CPUs; the machine is made up."""

import os

import pytest

from nitrosim.sandbox.cpus import host_cpus

PAIRS = ((1, 5), (2, 6), (3, 7))
SINGLE = ((1,), (2,), (3,))


@pytest.fixture
def processors(monkeypatch):
    """Let this process have certain processors."""

    def have(*numbers):
        monkeypatch.setattr("nitrosim.sandbox.cpus.os.sched_getaffinity", lambda _pid: {*numbers})

    return have


@pytest.mark.parametrize(
    ("cpu_ids", "expected"),
    [((1, 5), [0, 1]), ((2, 6), [2, 3]), ((3, 7), [0, 1]), ((1, 5, 2, 6), [0, 1, 2, 3])],
)
def test_threads_of_a_core_are_neighbours(processors, cpu_ids, expected):
    processors(0, 1, 2, 3)

    assert expected == host_cpus(cpu_ids, PAIRS)


def test_two_cpus_are_both_processors_of_a_small_machine(processors):
    processors(0, 1)

    assert [[0, 1]] * 3 == [host_cpus(core, PAIRS) for core in PAIRS]


def test_cores_with_one_thread_take_turns(processors):
    processors(0, 1)

    assert [[0], [1], [0]] == [host_cpus(core, SINGLE) for core in SINGLE]


def test_every_cpu_is_the_only_processor_there_is(processors):
    processors(7)

    assert [7] == host_cpus((1, 5, 2, 6, 3, 7), PAIRS)


def test_processors_that_this_process_may_not_use_are_left_out(processors):
    processors(2, 9)

    assert [2, 9] == host_cpus((1, 5), PAIRS)


def test_what_is_not_in_the_pool_counts_by_its_number(processors):
    processors(0, 1, 2)

    assert [1, 2] == host_cpus((4, 8), PAIRS)


def test_no_cpus_are_no_processors():
    assert [] == host_cpus((), PAIRS)


def test_processors_are_those_that_this_process_may_use():
    assert set(host_cpus((1, 5, 2, 6, 3, 7), PAIRS)) <= os.sched_getaffinity(0)
