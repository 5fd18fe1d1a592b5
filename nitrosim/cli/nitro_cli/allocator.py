"""The pool that enclaves get CPUs and memory from, as nitro-enclaves-allocator sets it up.

Its file is ``/etc/nitro_enclaves/allocator.yaml``, or the one that ``NITROSIM_ALLOCATOR`` names::

    ---
    memory_mib: 512
    cpu_count: 2
    # or instead: cpu_pool: 2,3,6-9

Nothing counts before the line of hyphens. There are no other keys, and just one of ``cpu_count``
and ``cpu_pool``. The pool has whole cores and never CPU 0 or a thread of its core. Source: the
documentation and the behaviour of the allocator that comes with nitro-cli 1.5.0.

Without such a file the instance is of a size that is useful on a laptop.
"""

from __future__ import annotations

import os

from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.record import Record
from nitrosim.errors import NitroSimError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from nitrosim.cli.nitro_cli.codes import ErrorCode

DEFAULT_PATH: Final = "/etc/nitro_enclaves/allocator.yaml"

# DEVIATION: The simulated parent instance has 8 vCPUs, two threads to a core (one on an aarch64
# machine, as Graviton instances have it), or as many as the pool of allocator.yaml names.
_VCPUS: Final = 8
_THREADS: Final = 1 if os.uname().machine == "aarch64" else 2
_DEFAULT_COUNT: Final = 6
_MOST_CPUS: Final = 1024
_PAGE_MIB: Final = 2

_KEYS: Final = ("memory_mib", "cpu_count", "cpu_pool")
_ACTION: Final = "Run Enclave"


class Pool(Record):
    """What enclaves may have.

    Attributes:
        cores: the CPUs of each core, in the order in which they are given out.
        memory_mib: MiB.
        source: the file that says so; None for the default.

    """

    __slots__ = ("cores", "memory_mib", "source")

    def __init__(
        self, *, cores: tuple[tuple[int, ...], ...], memory_mib: int, source: str | None
    ) -> None:
        self.cores: Final = cores
        self.memory_mib: Final = memory_mib
        self.source: Final = source

    @property
    def cpu_ids(self) -> list[int]:
        """All CPUs, ascending."""
        return sorted(cpu for core in self.cores for cpu in core)


def read_pool(named: str | None, *, default_path: str = DEFAULT_PATH) -> Pool:
    """Return the pool of the parent instance.

    `named` is a file that must be there; without one it is `default_path`, which need not.

    Raises:
        CommandError: E19 if the file cannot be read, E23 for an entry of ``cpu_pool`` that is no
            number, E24 for one that is no interval.
        NitroSimError: ``ALLOCATOR_FILE`` for what the allocator refuses.

    """
    path = named or default_path
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError as error:
        if named is None:
            return Pool(cores=_cores(_DEFAULT_COUNT, path), memory_mib=_half(), source=None)
        raise _unreadable(path, error) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    values = _values(text, path)
    memory = _number(values["memory_mib"], "memory_mib", path)
    if "cpu_count" in values:
        cores = _cores(_number(values["cpu_count"], "cpu_count", path), path)
    else:
        cores = _grouped(_listed(values["cpu_pool"]), path)
    return Pool(cores=cores, memory_mib=memory - memory % _PAGE_MIB, source=path)


def _values(text: str, path: str) -> dict[str, str]:
    """Return the keys with their values."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    if "---" not in lines:
        raise _refused(path, "there is no line with ---, and nothing counts before it")
    found: dict[str, str] = {}
    for line in lines[lines.index("---") + 1 :]:
        if not line:
            continue
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip().strip("'\"")
        if not colon or key not in _KEYS:
            raise _refused(path, f"{line!r} is none of {', '.join(_KEYS)} with a value")
        if not value:
            raise _refused(path, f"{key} has no value")
        found[key] = value
    if "memory_mib" not in found:
        raise _refused(path, "memory_mib is missing")
    if ("cpu_count" in found) == ("cpu_pool" in found):
        raise _refused(path, "expected just one of cpu_count and cpu_pool")
    return found


def _number(text: str, key: str, path: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < len("1000000000000"):
        return int(text)
    raise _refused(path, f"{key} is {text!r}, expected a number")


def _listed(text: str) -> list[int]:
    """Return the CPUs of a list such as ``2,3,6-9``."""
    return [cpu for entry in text.split(",") for cpu in _interval(entry.strip())]


def _interval(entry: str) -> Iterator[int]:
    from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

    ends = entry.split("-")
    if not all(map(_is_cpu, ends)):
        raise _malformed(ErrorCode.MALFORMED_CPU_ID, entry)
    if len(ends) > len("ab") or int(ends[0]) > int(ends[-1]):
        raise _malformed(ErrorCode.CPU, entry)
    yield from range(int(ends[0]), int(ends[-1]) + 1)


def _is_cpu(text: str) -> bool:
    # Python converts no number of thousands of digits.
    short = len(text) <= len(str(_MOST_CPUS))
    return text.isascii() and text.isdigit() and short and int(text) < _MOST_CPUS


def _cores(count: int, path: str) -> tuple[tuple[int, ...], ...]:
    """Return the first cores with `count` CPUs, without the core of CPU 0."""
    vcpus = _VCPUS
    while vcpus - _THREADS < count:
        vcpus *= 2
    if count > _MOST_CPUS or count % _THREADS:
        raise _refused(
            path, f"cpu_count is {count}, expected whole cores of {_THREADS} and {_MOST_CPUS} CPUs"
        )
    per_thread = vcpus // _THREADS
    chosen = range(1, count // _THREADS + 1)
    return tuple(tuple(core + per_thread * n for n in range(_THREADS)) for core in chosen)


def _grouped(cpus: list[int], path: str) -> tuple[tuple[int, ...], ...]:
    """Return the cores that these CPUs are, on the smallest instance where they are whole ones."""
    wanted = set(cpus)
    if 0 in wanted:
        raise _refused(path, "cpu_pool has CPU 0, which stays with the parent instance")
    vcpus = _VCPUS
    while vcpus <= _MOST_CPUS and _THREADS > 1:
        half = vcpus // 2
        first = sorted(cpu for cpu in wanted if cpu < half)
        if {*first, *(cpu + half for cpu in first)} == wanted and half not in wanted:
            return tuple((cpu, cpu + half) for cpu in first)
        vcpus *= 2
    # An instance without hyper-threading.
    return tuple((cpu,) for cpu in sorted(wanted))


def _half() -> int:
    """Return half of this machine's memory in MiB, in whole huge pages."""
    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 >> 20
    return half - half % _PAGE_MIB


def _malformed(reason: ErrorCode, entry: str) -> CommandError:
    return CommandError(reason, f"The CPU pool has the entry {entry!r}", action=_ACTION)


def _unreadable(path: str, error: Exception) -> CommandError:
    from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

    cause = error.strerror if isinstance(error, OSError) else error
    return CommandError(
        ErrorCode.FILE_OPERATION,
        f"Cannot read the CPU pool: {cause}",
        action=_ACTION,
        info=(path, "Read"),
    )


def _refused(path: str, reason: str) -> NitroSimError:
    # DEVIATION: What is wrong with allocator.yaml is found by nitro-cli run-enclave, which ends
    # with status 125; on hardware the service fails that sets up the pool.
    return NitroSimError(f"the allocator cannot use {path}: {reason}", code="ALLOCATOR_FILE")
