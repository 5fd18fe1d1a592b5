"""A model of a parent instance: what nitro-cli run-enclave does, worked out from what runs.

Nothing is started: the model says what a command must print and end with. Source: the behaviour of
nitro-cli 1.5.0 and of the driver, with a pool of whole cores of two CPUs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CORES = ((1, 5), (2, 6), (3, 7))
CPU_POOL = "1-3,5-7"
MEMORY_POOL_MIB = 300

_PAGE_MIB = 2
_LEAST_MIB = 64  # what the driver asks for
_TIMES_THE_IMAGE_MIB = 4  # for images of at most 1 MiB
_FIRST_CID = 16
_RESERVED_CIDS = (1, 2, 3, (1 << 32) - 1)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What run-enclave is asked for; `cpus` are a number of CPUs or their ids, 0 is no CID.

    With `config` it is asked by a file with settings.
    """

    cpus: int | list[int] = 2
    memory_mib: int = 64
    cid: int | None = None
    name: str | None = None
    debug: bool = False
    config: bool = False

    def words(self, image: str) -> list[str]:
        """Return the options of run-enclave."""
        numbers = self.cpus if isinstance(self.cpus, list) else [self.cpus]
        return [
            *("--eif-path", image, "--memory", str(self.memory_mib)),
            *("--cpu-ids" if isinstance(self.cpus, list) else "--cpu-count", *map(str, numbers)),
            *(() if self.cid is None else ("--enclave-cid", str(self.cid))),
            *(() if self.name is None else ("--enclave-name", self.name)),
            *(("--debug-mode",) if self.debug else ()),
        ]

    def settings(self, image: str) -> dict[str, Any]:
        """Return the object that a file with settings holds."""
        return {
            "eif_path": image,
            "memory_mib": self.memory_mib,
            "cpu_ids" if isinstance(self.cpus, list) else "cpu_count": self.cpus,
            "enclave_cid": self.cid or None,
            "debug_mode": self.debug,
            "enclave_name": self.name,
        }


@dataclass
class ParentModel:
    """What runs on a parent instance.

    Attributes:
        running: what describe-enclaves prints, by EnclaveID, the oldest first.
        ended: EnclaveIDs of enclaves that do not run any more.
        next_cid: what an enclave gets that does not ask for a CID.

    """

    running: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    next_cid: int = _FIRST_CID

    @property
    def lent_cpus(self) -> list[int]:
        """The CPUs of all enclaves, ascending."""
        return sorted(cpu for enclave in self.running.values() for cpu in enclave["CPUIDs"])

    @property
    def lent_mib(self) -> int:
        """The memory of all enclaves."""
        return sum(enclave["MemoryMiB"] for enclave in self.running.values())

    def refusal(self, wanted: Wanted) -> tuple[int, list[str]] | None:
        """Return the status with which run-enclave refuses, and its codes; None if it does not."""
        if wanted.cid in _RESERVED_CIDS and not wanted.config:
            return 3, ["E03"]
        code = self._refusal_of_the_process(wanted)
        return None if code is None else (39, [code, "E39"])

    def _refusal_of_the_process(self, wanted: Wanted) -> str | None:
        pool = {cpu for core in CORES for cpu in core}
        free = pool - set(self.lent_cpus)
        count = wanted.cpus if isinstance(wanted.cpus, int) else 0
        chosen = self._chosen(wanted)
        memory = _in_pages(wanted.memory_mib)
        whole_cores = all(len({*core} & {*chosen}) in (0, len(core)) for core in CORES)
        cids = {*_RESERVED_CIDS, *(enclave["EnclaveCID"] for enclave in self.running.values())}
        reasons = [
            (count > len(pool), "E22"),
            (len(set(chosen)) < len(chosen), "E20"),
            (not set(chosen) <= pool, "E21"),
            (wanted.memory_mib < _TIMES_THE_IMAGE_MIB, "E26"),
            (not free or count > len(free) or not set(chosen) <= free, "E29"),
            (memory > MEMORY_POOL_MIB - self.lent_mib, "E27"),
            (memory < _LEAST_MIB or not chosen or not whole_cores, "E29"),
            (wanted.cid in cids, "E29"),
        ]
        return next((code for holds, code in reasons if holds), None)

    def _chosen(self, wanted: Wanted) -> list[int]:
        if isinstance(wanted.cpus, list):
            return wanted.cpus
        lent = self.lent_cpus
        return [cpu for core in CORES for cpu in core if cpu not in lent][: wanted.cpus]

    def start(self, wanted: Wanted, image_name: str) -> dict[str, Any]:
        """Return what run-enclave prints, but for EnclaveID and ProcessID, of what it starts."""
        cpus = self._chosen(wanted)
        return {
            "EnclaveName": self._free_name(wanted.name or image_name),
            "EnclaveID": None,
            "ProcessID": None,
            "EnclaveCID": wanted.cid or self._free_cid(),
            "NumberOfCPUs": len(cpus),
            "CPUIDs": cpus,
            "MemoryMiB": _in_pages(wanted.memory_mib),
        }

    def _free_name(self, wanted: str) -> str:
        names = {enclave["EnclaveName"] for enclave in self.running.values()}
        numbered = (f"{wanted}_{number}" for number in range(1, len(names) + 1))
        return next(name for name in (wanted, *numbered) if name not in names)

    def _free_cid(self) -> int:
        cids = {enclave["EnclaveCID"] for enclave in self.running.values()}
        while self.next_cid in cids:
            self.next_cid += 1
        self.next_cid += 1
        return self.next_cid - 1

    def keep(self, printed: dict[str, Any], wanted: Wanted, measurements: dict[str, str]) -> None:
        """Take note of an enclave that runs."""
        flag = "DEBUG_MODE" if wanted.debug else "NONE"
        more = {"State": "RUNNING", "Flags": flag, "Measurements": measurements}
        self.running[printed["EnclaveID"]] = printed | more

    def end(self, enclave: dict[str, Any]) -> None:
        """Take note that an enclave has ended."""
        self.running.pop(enclave["EnclaveID"], None)
        self.ended.append(enclave["EnclaveID"])

    def end_all(self) -> None:
        """Take note that the hypervisor has ended, and begins anew."""
        for enclave in list(self.running.values()):
            self.end(enclave)
        self.next_cid = _FIRST_CID


def _in_pages(mib: int) -> int:
    return mib + mib % _PAGE_MIB
