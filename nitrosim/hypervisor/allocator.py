"""CPUs and memory of the parent instance, lent to enclaves.

Facts (Linux ``drivers/virt/nitro_enclaves``, ``ne_misc_dev.c``; the documentation of
nitro-enclaves-allocator): a pool of CPUs and some memory in huge pages are set aside for enclaves.
The pool consists of whole cores, and never of the one with CPU 0. An enclave that asks for a
number of CPUs gets threads of the same core first, so ``--cpu-count 2`` is ``[1, 5]`` where 5 is
the other thread of 1. Whoever has one thread of a core keeps all others from the rest of it. An
enclave cannot start with half a core, with less than 64 MiB, or with what another enclave has.
Memory is given out in whole huge pages.

The pool comes with each request: it is what the file of the allocator says at that time, as
the client has read it. What is lent is known here, because only here are all enclaves known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from nitrosim.hypervisor.control import RequestError

PAGE_MIB: Final = 2
"""MiB of a huge page."""
# ASSUMPTION: All huge pages have 2 MiB: that is what the allocator of a real parent instance takes
# for the sizes that enclaves usually have, and only MemoryMiB shows it.

LEAST_MEMORY_MIB: Final = 64
"""What the driver asks for at least."""


@dataclass(slots=True, eq=False)
class Loan:
    """What one enclave has: its CPUs, in the order in which they were asked for, and MiB."""

    cores: tuple[tuple[int, ...], ...]
    cpu_ids: tuple[int, ...]
    memory_mib: int = 0

    def closed_to_others(self) -> set[int]:
        """Return the CPUs of all cores of which this loan has at least one."""
        of_its_cores = (core for core in self.cores if not set(self.cpu_ids).isdisjoint(core))
        return {cpu for core in of_its_cores for cpu in core}.union(self.cpu_ids)


@dataclass(slots=True)
class Allocator:
    """Knows what is lent in one instance."""

    _loans: list[Loan] = field(default_factory=list)

    @property
    def cpu_ids(self) -> list[int]:
        """The CPUs that are lent."""
        return sorted(cpu for loan in self._loans for cpu in loan.cpu_ids)

    @property
    def memory_mib(self) -> int:
        """The memory that is lent."""
        return sum(loan.memory_mib for loan in self._loans)

    def lend_cpus(
        self,
        cores: Iterable[Sequence[int]],
        *,
        count: int | None = None,
        named: Sequence[int] = (),
    ) -> Loan:
        """Lend `count` CPUs of the pool, or those `named`.

        `cores` is the pool: the CPUs of each core of it.

        Raises:
            RequestError: ``ENCLAVE_CPUS_TAKEN`` when other enclaves have them.

        """
        pool = tuple(tuple(core) for core in cores)
        taken: set[int] = set().union(*(loan.closed_to_others() for loan in self._loans))
        free = [cpu for core in pool for cpu in core if cpu not in taken]
        wanted = tuple(named) if count is None else tuple(free[:count])
        enough = set(wanted) <= set(free) and (count is None or count <= len(free))
        # The driver refuses the enclave itself when there is no CPU left for one.
        if not free or not enough:
            raise RequestError(
                "ENCLAVE_CPUS_TAKEN",
                f"the pool has the CPUs {sorted(cpu for core in pool for cpu in core)}, of which "
                f"{sorted(free)} are free; wanted are {list(named) if count is None else count}",
            )
        loan = Loan(pool, wanted)
        self._loans.append(loan)
        return loan

    def lend_memory(self, loan: Loan, wanted_mib: int, *, pool_mib: int) -> None:
        """Lend memory of a pool of `pool_mib` MiB to who has `loan`, in whole pages.

        Raises:
            RequestError: ``ENCLAVE_MEMORY`` when there is not that much left.

        """
        pages = -(-wanted_mib // PAGE_MIB)
        free = pool_mib - self.memory_mib
        if pages * PAGE_MIB > free:
            raise RequestError(
                "ENCLAVE_MEMORY",
                f"{wanted_mib} MiB are wanted, and {max(free, 0)} of {pool_mib} MiB are free",
            )
        loan.memory_mib = pages * PAGE_MIB

    def give_back(self, loan: Loan) -> None:
        """Take back what was lent; once."""
        self._loans.remove(loan)


def check_startable(loan: Loan) -> None:
    """Say whether the driver starts an enclave that has `loan`.

    Raises:
        RequestError: ``ENCLAVE_CPUS`` without any CPU, ``ENCLAVE_HALF_CORE``,
            ``ENCLAVE_MEMORY_MINIMUM``.

    """
    if loan.memory_mib < LEAST_MEMORY_MIB:
        raise RequestError(
            "ENCLAVE_MEMORY_MINIMUM",
            f"an enclave has at least {LEAST_MEMORY_MIB} MiB of memory, not {loan.memory_mib}",
        )
    if not loan.cpu_ids:
        raise RequestError("ENCLAVE_CPUS", "no CPUs have been added to the enclave")
    for core in loan.cores:
        has = [cpu for cpu in core if cpu in loan.cpu_ids]
        if has and len(has) < len(core):
            raise RequestError(
                "ENCLAVE_HALF_CORE",
                f"full CPU cores have not been set: the CPUs {list(core)} are one core, and the "
                f"enclave has {has} of it",
            )
