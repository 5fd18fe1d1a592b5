"""From the request of a client to what an enclave is started from."""

from __future__ import annotations

from collections.abc import Collection

from fake_nsm import Measurements
from nitrosim.hypervisor.allocator import Loan
from nitrosim.hypervisor.control import RequestError
from nitrosim.hypervisor.enclaves import Specification
from nitrosim.hypervisor.protocol import Message
from nitrosim.sandbox.cpus import host_cpus
from nitrosim.sandbox.operation import Operation

# DEVIATION: Enclaves that are started in another way than by nitro-cli run-enclave take nothing out
# of the pool: their CPU ids are those of a parent with 8 vCPUs (0 and its sibling 4 stay with the
# parent), given out in turn, not exclusively, and their memory is recorded.
_CPU_POOL = (1, 5, 2, 6, 3, 7)
_MOST_CPUS = 1024
#: How long nitro-cli waits for the init of an enclave of usual size.
_BOOT_SECONDS = 180
_MOST_SECONDS = 1_000_000


class Specifications:
    """Reads ``run`` requests of one instance."""

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id
        self._next_cpu = 0

    def read(
        self, request: Message, taken_names: Collection[str], loan: Loan | None
    ) -> Specification:
        """Return what `request` asks for, under a name that is not among `taken_names`.

        CPUs and memory are those of the `loan`; without one they are what the request says.

        Raises:
            RequestError: ``ENCLAVE_CPUS``.
            KeyError, TypeError, ValueError: the request is not of the protocol's form.

        """
        if loan is None:
            cpu_ids, memory_mib = self._next_cpus(int(request["cpu_count"])), request["memory_mib"]
        else:
            cpu_ids, memory_mib = loan.cpu_ids, loan.memory_mib
        return Specification(
            name=_free_name(str(request["name"]), taken_names),
            cpu_count=len(cpu_ids),
            cpu_ids=cpu_ids,
            memory_mib=int(memory_mib),
            debug_mode=bool(request["debug_mode"]),
            operations=tuple(
                Operation(name, tuple(arguments)) for name, *arguments in request["operations"]
            ),
            command=tuple(request["command"]),
            environment=dict(request["environment"]),
            pcrs=self._measured(request),
            host_cpus=() if loan is None else tuple(host_cpus(cpu_ids, loan.cores)),
            boot=bool(request.get("boot")),
            own_init=_own_init(request),
            boot_seconds=_boot_seconds(request),
            interruptible=bool(request.get("interruptible")),
        )

    def _next_cpus(self, count: int) -> tuple[int, ...]:
        if not 1 <= count <= _MOST_CPUS:
            raise RequestError(
                "ENCLAVE_CPUS", f"an enclave has 1 to {_MOST_CPUS} CPUs, not {count}"
            )
        cpus = [_CPU_POOL[(self._next_cpu + n) % len(_CPU_POOL)] for n in range(count)]
        self._next_cpu += count
        return tuple(sorted(cpus))

    def _measured(self, request: Message) -> dict[int, bytes]:
        """Return the registers that the launch sets: the image's, the parent's, less debug mode."""
        image = {f"pcr{index}": value for index, value in image_pcrs(request).items()}
        measurements = Measurements(**image).of_parent(instance_id=self._instance_id)
        if request["debug_mode"]:
            measurements = measurements.in_debug_mode()
        return measurements.by_index()


def _own_init(request: Message) -> str | None:
    command_line = request.get("own_init")
    return None if command_line is None else str(command_line)


def _boot_seconds(request: Message) -> float:
    seconds = float(request.get("boot_seconds", _BOOT_SECONDS))
    if not 0 < seconds <= _MOST_SECONDS:
        raise ValueError(f"boot_seconds is {seconds}, expected up to {_MOST_SECONDS}")
    return seconds


def image_pcrs(request: Message) -> dict[int, bytes]:
    """Return the registers of the image that a ``run`` request is about."""
    return {int(index): bytes.fromhex(value) for index, value in request["pcrs"].items()}


def _free_name(wanted: str, taken: Collection[str]) -> str:
    """Return `wanted`, or what nitro-cli makes of a name that is in use: with ``_1``, ``_2``."""
    name, suffix = wanted, 0
    while name in taken:
        suffix += 1
        name = f"{wanted}_{suffix}"
    return name
