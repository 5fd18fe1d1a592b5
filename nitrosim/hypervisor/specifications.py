"""From the request of a client to what an enclave is started from."""

from __future__ import annotations

from collections.abc import Collection

from fake_nsm import Measurements
from nitrosim.hypervisor.control import RequestError
from nitrosim.hypervisor.enclaves import Specification
from nitrosim.hypervisor.protocol import Message
from nitrosim.sandbox.launcher import Operation

# DEVIATION: CPU ids are those of a parent with 8 vCPUs (0 and its sibling 4 stay with the parent)
# and are given out in turn, not exclusively; memory and CPUs are recorded, not enforced.
_CPU_POOL = (1, 5, 2, 6, 3, 7)
_MOST_CPUS = 1024


class Specifications:
    """Reads ``run`` requests of one instance."""

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id
        self._next_cpu = 0

    def read(self, request: Message, taken_names: Collection[str]) -> Specification:
        """Return what `request` asks for, under a name that is not among `taken_names`.

        Raises:
            RequestError: ``ENCLAVE_CPUS``.
            KeyError, TypeError, ValueError: the request is not of the protocol's form.

        """
        cpu_count = int(request["cpu_count"])
        if not 1 <= cpu_count <= _MOST_CPUS:
            raise RequestError(
                "ENCLAVE_CPUS", f"an enclave has 1 to {_MOST_CPUS} CPUs, not {cpu_count}"
            )
        return Specification(
            name=_free_name(str(request["name"]), taken_names),
            cpu_count=cpu_count,
            cpu_ids=self._next_cpus(cpu_count),
            memory_mib=int(request["memory_mib"]),
            debug_mode=bool(request["debug_mode"]),
            operations=tuple(
                Operation(name, tuple(arguments)) for name, *arguments in request["operations"]
            ),
            command=tuple(request["command"]),
            environment=dict(request["environment"]),
            pcrs=self._measured(request),
            interruptible=bool(request.get("interruptible")),
        )

    def _next_cpus(self, count: int) -> tuple[int, ...]:
        cpus = [_CPU_POOL[(self._next_cpu + n) % len(_CPU_POOL)] for n in range(count)]
        self._next_cpu += count
        return tuple(sorted(cpus))

    def _measured(self, request: Message) -> dict[int, bytes]:
        """Return the registers that the launch sets: the image's, the parent's, less debug mode."""
        image = {f"pcr{index}": bytes.fromhex(value) for index, value in request["pcrs"].items()}
        measurements = Measurements(**image).of_parent(instance_id=self._instance_id)
        if request["debug_mode"]:
            measurements = measurements.in_debug_mode()
        return measurements.by_index()


def _free_name(wanted: str, taken: Collection[str]) -> str:
    """Return `wanted`, or what nitro-cli makes of a name that is in use: with ``_1``, ``_2``."""
    name, suffix = wanted, 0
    while name in taken:
        suffix += 1
        name = f"{wanted}_{suffix}"
    return name
