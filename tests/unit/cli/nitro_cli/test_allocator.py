"""The file of the allocator, and the pool that comes of it."""

from __future__ import annotations

import importlib.util
import os
from types import SimpleNamespace

import pytest

from nitrosim.cli.nitro_cli import allocator
from nitrosim.cli.nitro_cli.allocator import read_pool
from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.errors import NitroSimError


@pytest.fixture(autouse=True)
def two_threads_to_a_core(monkeypatch):
    """Have the instance of an x86_64 machine, wherever the tests run."""
    monkeypatch.setattr(allocator, "_THREADS", 2)


@pytest.fixture
def one_thread_to_a_core(two_threads_to_a_core, monkeypatch):  # noqa: ARG001 - this one wins
    """Have the instance of an aarch64 machine."""
    monkeypatch.setattr(allocator, "_THREADS", 1)


@pytest.fixture
def read(tmp_path):
    """Return a function that reads the pool from a file with this text."""

    def read(text):
        path = tmp_path / "allocator.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_pool(str(path))

    return read


def refusal(read, text):
    with pytest.raises(NitroSimError) as caught:
        read(text)
    assert "ALLOCATOR_FILE" == caught.value.code
    return str(caught.value)


def failure(read, text):
    with pytest.raises(CommandError) as caught:
        read(text)
    return caught.value.reason


def with_pool(cpus):
    return f"---\nmemory_mib: 512\ncpu_pool: {cpus}\n"


# ---- where the file is ----


def test_without_a_file_there_are_three_cores_and_half_of_the_memory(tmp_path):
    pool = read_pool(None, default_path=str(tmp_path / "missing"))

    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    assert ((1, 5), (2, 6), (3, 7)) == pool.cores
    assert [1, 2, 3, 5, 6, 7] == pool.cpu_ids
    assert 0 <= half / (1 << 20) - pool.memory_mib < 2
    assert (0, None) == (pool.memory_mib % 2, pool.source)


def test_file_in_the_default_place_is_read(tmp_path):
    path = tmp_path / "allocator.yaml"
    path.write_text("---\nmemory_mib: 512\ncpu_count: 2\n")

    pool = read_pool(None, default_path=str(path))

    assert (((1, 5),), 512, str(path)) == (pool.cores, pool.memory_mib, pool.source)


def test_named_file_comes_before_the_default_one(tmp_path, read):
    default = tmp_path / "default.yaml"
    default.write_text("what is not looked at")
    named = tmp_path / "allocator.yaml"
    read("---\nmemory_mib: 64\ncpu_count: 2\n")

    assert 64 == read_pool(str(named), default_path=str(default)).memory_mib


def test_named_file_that_is_missing_is_e19_and_named(tmp_path):
    path = str(tmp_path / "missing.yaml")
    with pytest.raises(CommandError) as caught:
        read_pool(path)

    assert ErrorCode.FILE_OPERATION is caught.value.reason
    assert caught.value.headline.endswith(f"\nFile: '{path}', failing operation: 'Read'.")


def test_directory_in_the_default_place_is_e19(tmp_path):
    with pytest.raises(CommandError) as caught:
        read_pool(None, default_path=str(tmp_path))

    assert ErrorCode.FILE_OPERATION is caught.value.reason


def test_file_that_is_not_utf_8_is_e19(read):
    assert ErrorCode.FILE_OPERATION is failure(read, b"---\nmemory_mib: \xff\n")


@pytest.mark.parametrize(("machine", "threads"), [("x86_64", 2), ("aarch64", 1)])
def test_cores_have_as_many_threads_as_those_of_instances_like_this_machine(
    monkeypatch, machine, threads
):
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=machine))
    spec = importlib.util.find_spec(allocator.__name__)
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)

    assert threads == fresh._THREADS


# ---- what it says ----


def test_file_as_it_is_shipped_is_read(read):
    pool = read(
        "---\n# Enclave configuration file.\n#\n# How much memory (in MiB).\nmemory_mib: 512\n#\n"
        "# How many CPUs.\ncpu_count: 2\n#\n# Alternatively, the exact CPUs.\n# cpu_pool: 2,3,6-9\n"
    )

    assert (((1, 5),), 512) == (pool.cores, pool.memory_mib)


def test_nothing_counts_before_the_line_of_hyphens(read):
    pool = read("memory_mib: 1\ncolour: red\n---\nmemory_mib: 512\ncpu_count: 4\n")

    assert (((1, 5), (2, 6)), 512) == (pool.cores, pool.memory_mib)


@pytest.mark.parametrize("text", ["", "memory_mib: 512\ncpu_count: 2\n", "--\nmemory_mib: 512\n"])
def test_file_without_the_line_of_hyphens_is_refused(read, text):
    assert "there is no line with ---" in refusal(read, text)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("colour: red", "'colour: red' is none of memory_mib, cpu_count, cpu_pool with a value"),
        ("Memory_mib: 512", "'Memory_mib: 512' is none of"),
        ("memory_mib 512", "'memory_mib 512' is none of"),
        ("- 512", "'- 512' is none of"),
    ],
)
def test_unknown_key_is_refused(read, line, shown):
    assert shown in refusal(read, f"---\nmemory_mib: 512\ncpu_count: 2\n{line}\n")


@pytest.mark.parametrize("value", ["", "   ", "# 2", '""'])
@pytest.mark.parametrize("key", ["memory_mib", "cpu_count", "cpu_pool"])
def test_key_without_a_value_is_refused(read, key, value):
    assert f"{key} has no value" in refusal(read, f"---\n{key}: {value}\n")


def test_memory_is_needed(read):
    assert "memory_mib is missing" in refusal(read, "---\ncpu_count: 2\n")


@pytest.mark.parametrize("cpus", ["", "cpu_count: 2\ncpu_pool: 1,5\n"])
def test_both_ways_to_name_cpus_or_none_are_refused(read, cpus):
    text = refusal(read, f"---\nmemory_mib: 512\n{cpus}")

    assert "expected just one of cpu_count and cpu_pool" in text


@pytest.mark.parametrize("value", ["512M", "-512", "5.5", "0x20", "٣", "9" * 13])
@pytest.mark.parametrize("key", ["memory_mib", "cpu_count"])
def test_number_that_is_none_is_refused(read, key, value):
    other = {"memory_mib": "cpu_count", "cpu_count": "memory_mib"}[key]

    text = refusal(read, f"---\n{other}: 2\n{key}: {value}\n")

    assert f"{key} is {value!r}, expected a number" in text


def test_memory_is_whole_huge_pages(read):
    assert 512 == read("---\nmemory_mib: 513\ncpu_count: 2\n").memory_mib


def test_values_may_be_quoted_and_followed_by_a_comment(read):
    pool = read("---\nmemory_mib: '512' # MiB\ncpu_pool: \"1,5\"\n")

    assert (((1, 5),), 512) == (pool.cores, pool.memory_mib)


# ---- CPUs by number ----


@pytest.mark.parametrize(
    ("count", "cores"),
    [
        (2, ((1, 5),)),
        (4, ((1, 5), (2, 6))),
        (6, ((1, 5), (2, 6), (3, 7))),
        # What does not fit beside the parent instance makes it a larger one.
        (8, ((1, 9), (2, 10), (3, 11), (4, 12))),
        (1024, tuple((core, core + 1024) for core in range(1, 513))),
    ],
)
def test_cpus_are_given_out_core_by_core_without_that_of_cpu_0(read, count, cores):
    assert cores == read(f"---\nmemory_mib: 512\ncpu_count: {count}\n").cores


@pytest.mark.parametrize("count", [1, 3, 1026])
def test_half_a_core_and_more_cpus_than_there_can_be_are_refused(read, count):
    text = refusal(read, f"---\nmemory_mib: 512\ncpu_count: {count}\n")

    assert f"cpu_count is {count}, expected whole cores of 2 and 1024 CPUs" in text


def test_count_of_0_is_a_pool_with_nothing_in_it(read):
    assert () == read("---\nmemory_mib: 512\ncpu_count: 0\n").cores


@pytest.mark.usefixtures("one_thread_to_a_core")
@pytest.mark.parametrize(
    ("count", "cores"),
    [(1, ((1,),)), (3, ((1,), (2,), (3,))), (8, tuple((cpu,) for cpu in range(1, 9)))],
)
def test_on_aarch64_every_cpu_is_a_core(read, count, cores):
    assert cores == read(f"---\nmemory_mib: 512\ncpu_count: {count}\n").cores


# ---- CPUs by name ----


@pytest.mark.parametrize(
    ("cpus", "cores"),
    [
        ("1,5", ((1, 5),)),
        ("1-3,5-7", ((1, 5), (2, 6), (3, 7))),
        (" 5 , 1 ", ((1, 5),)),
        ("1,5,5,1-1", ((1, 5),)),
        # Threads of one core on an instance with 16 vCPUs.
        ("1,9", ((1, 9),)),
        ("1,513", ((1, 513),)),
        # The file that AWS ships names these.
        ("2,3,6-9", ((2,), (3,), (6,), (7,), (8,), (9,))),
        ("3", ((3,),)),
        ("1023", ((1023,),)),
    ],
)
def test_cpus_are_paired_on_the_smallest_instance_where_they_are_whole_cores(read, cpus, cores):
    assert cores == read(with_pool(cpus)).cores


@pytest.mark.usefixtures("one_thread_to_a_core")
def test_named_cpus_on_aarch64_are_cores_of_their_own(read):
    assert ((1,), (5,)) == read(with_pool("1,5")).cores


@pytest.mark.parametrize("cpus", ["0,4", "0-3", "00"])
def test_cpu_0_stays_with_the_parent_instance(read, cpus):
    assert "CPU 0, which stays with the parent" in refusal(read, with_pool(cpus))


@pytest.mark.parametrize(
    "cpus", ["a", "1,,5", "1,", "-1", "1-", "1--2", "1;5", "0x1", "1024", "9" * 5000]
)
def test_entry_that_is_no_number_is_e23(read, cpus):
    assert ErrorCode.MALFORMED_CPU_ID is failure(read, with_pool(cpus))


@pytest.mark.parametrize("cpus", ["3-1", "1-2-3", "1,5-2"])
def test_interval_that_is_none_is_e24(read, cpus):
    assert ErrorCode.CPU is failure(read, with_pool(cpus))


def test_error_about_an_entry_names_it(read):
    with pytest.raises(CommandError) as caught:
        read(with_pool("1,x,5"))

    assert ["The CPU pool has the entry 'x'"] == caught.value.subactions
