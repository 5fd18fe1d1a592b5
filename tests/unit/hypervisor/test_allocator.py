"""What enclaves get of the pool: which CPUs, how much memory, and what is refused."""

import pytest

from nitrosim.hypervisor.allocator import Allocator, Loan, check_startable
from nitrosim.hypervisor.control import RequestError

CORES = ((1, 5), (2, 6), (3, 7))


@pytest.fixture
def allocator():
    return Allocator()


# ---- CPUs ----


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, ()),
        (1, (1,)),
        (2, (1, 5)),
        (3, (1, 5, 2)),
        (4, (1, 5, 2, 6)),
        (6, (1, 5, 2, 6, 3, 7)),
    ],
)
def test_a_number_of_cpus_is_made_of_whole_cores_first(allocator, count, expected):
    assert expected == allocator.lend_cpus(CORES, count=count).cpu_ids


def test_named_cpus_are_lent_in_the_order_in_which_they_are_named(allocator):
    assert (6, 1, 2, 5) == allocator.lend_cpus(CORES, named=[6, 1, 2, 5]).cpu_ids
    assert [1, 2, 5, 6] == allocator.cpu_ids


def test_the_next_one_gets_what_is_left(allocator):
    loans = [allocator.lend_cpus(CORES, count=2) for _ in range(3)]

    assert [(1, 5), (2, 6), (3, 7)] == [loan.cpu_ids for loan in loans]


def test_what_is_given_back_is_lent_again(allocator):
    first = allocator.lend_cpus(CORES, count=2)
    allocator.lend_cpus(CORES, count=2)
    allocator.give_back(first)

    assert [2, 6] == allocator.cpu_ids
    assert (1, 5, 3, 7) == allocator.lend_cpus(CORES, count=4).cpu_ids


def test_equal_loans_are_not_mistaken_for_each_other(allocator):
    allocator.lend_cpus(CORES, named=[])
    second = allocator.lend_cpus(CORES, named=[])
    allocator.lend_memory(second, 64, pool_mib=128)
    allocator.give_back(second)

    assert 0 == allocator.memory_mib


def test_half_a_core_keeps_others_from_the_other_half(allocator):
    """The driver moves whole cores out of the pool, whatever of them is asked for."""
    allocator.lend_cpus(CORES, count=1)

    with pytest.raises(RequestError):
        allocator.lend_cpus(CORES, named=[5])
    assert (2, 6) == allocator.lend_cpus(CORES, count=2).cpu_ids


@pytest.mark.parametrize("wanted", [{"count": 5}, {"named": [1, 4]}, {"named": [3, 7]}])
def test_cpus_that_are_not_free_are_refused_with_what_is(allocator, wanted):
    allocator.lend_cpus(CORES, named=[3, 7])

    with pytest.raises(RequestError, match=r"of which \[1, 2, 5, 6\] are free") as caught:
        allocator.lend_cpus(CORES, **wanted)

    assert "ENCLAVE_CPUS_TAKEN" == caught.value.code
    assert [3, 7] == allocator.cpu_ids


@pytest.mark.parametrize("wanted", [{"count": 0}, {"count": 2}, {"named": []}])
def test_without_a_free_cpu_there_is_no_enclave(allocator, wanted):
    allocator.lend_cpus(CORES, count=6)

    with pytest.raises(RequestError, match=r"of which \[\] are free"):
        allocator.lend_cpus(CORES, **wanted)


def test_the_pool_may_change_while_something_is_lent(allocator):
    allocator.lend_cpus(CORES, count=2)
    smaller = ((1, 3),)

    with pytest.raises(RequestError):
        allocator.lend_cpus(smaller, named=[1])
    assert (3,) == allocator.lend_cpus(smaller, named=[3]).cpu_ids


# ---- memory ----


@pytest.mark.parametrize(
    ("wanted", "expected"), [(0, 0), (1, 2), (2, 2), (63, 64), (64, 64), (65, 66), (511, 512)]
)
def test_memory_is_lent_in_whole_huge_pages(allocator, wanted, expected):
    loan = allocator.lend_cpus(CORES, count=2)
    allocator.lend_memory(loan, wanted, pool_mib=512)

    assert expected == loan.memory_mib == allocator.memory_mib


def test_all_of_the_pool_may_be_lent(allocator):
    loans = [allocator.lend_cpus(CORES, count=2) for _ in range(2)]
    for loan in loans:
        allocator.lend_memory(loan, 256, pool_mib=512)

    assert 512 == allocator.memory_mib


@pytest.mark.parametrize(("wanted", "pool"), [(257, 512), (512, 512), (2, 256), (2, 100)])
def test_memory_that_is_not_there_is_refused_with_what_is(allocator, wanted, pool):
    allocator.lend_memory(allocator.lend_cpus(CORES, count=2), 256, pool_mib=512)
    loan = allocator.lend_cpus(CORES, count=2)
    free = max(pool - 256, 0)

    with pytest.raises(RequestError, match=f"{free} of {pool} MiB are free") as caught:
        allocator.lend_memory(loan, wanted, pool_mib=pool)

    assert "ENCLAVE_MEMORY" == caught.value.code
    assert 256 == allocator.memory_mib


def test_a_page_is_not_lent_in_parts(allocator):
    loan = allocator.lend_cpus(CORES, count=2)

    with pytest.raises(RequestError):
        allocator.lend_memory(loan, 101, pool_mib=101)


def test_memory_goes_back_with_the_cpus(allocator):
    loan = allocator.lend_cpus(CORES, count=2)
    allocator.lend_memory(loan, 100, pool_mib=512)
    allocator.give_back(loan)

    assert ([], 0) == (allocator.cpu_ids, allocator.memory_mib)


# ---- what starts ----


@pytest.mark.parametrize(
    "cpu_ids", [(1, 5), (5, 1), (1, 2, 5, 6), (3, 7)], ids=lambda ids: "-".join(map(str, ids))
)
def test_whole_cores_and_64_mib_start(cpu_ids):
    assert check_startable(Loan(CORES, cpu_ids, 64)) is None


def test_cores_with_one_thread_start_one_by_one():
    assert check_startable(Loan(((1,), (2,), (3,)), (2,), 64)) is None


@pytest.mark.parametrize(
    ("cpu_ids", "memory_mib", "code"),
    [
        ((), 64, "ENCLAVE_CPUS"),
        ((1,), 64, "ENCLAVE_HALF_CORE"),
        ((1, 2), 64, "ENCLAVE_HALF_CORE"),
        ((1, 5, 2), 64, "ENCLAVE_HALF_CORE"),
        ((1, 5), 62, "ENCLAVE_MEMORY_MINIMUM"),
        ((1, 5), 0, "ENCLAVE_MEMORY_MINIMUM"),
        # Memory is given to the driver before CPUs are.
        ((), 0, "ENCLAVE_MEMORY_MINIMUM"),
    ],
)
def test_anything_less_does_not_start(cpu_ids, memory_mib, code):
    with pytest.raises(RequestError) as caught:
        check_startable(Loan(CORES, cpu_ids, memory_mib))

    assert code == caught.value.code


def test_a_refusal_for_half_a_core_says_which_cpus_are_one_core():
    with pytest.raises(RequestError, match=r"the CPUs \[2, 6\] are one core.* has \[6\] of it"):
        check_startable(Loan(CORES, (1, 5, 6), 64))
