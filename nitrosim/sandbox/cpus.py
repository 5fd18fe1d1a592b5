"""Which processors of this machine stand for the CPUs of the simulated instance."""

from __future__ import annotations

import os
from collections.abc import Sequence


def host_cpus(cpu_ids: Sequence[int], cores: Sequence[Sequence[int]]) -> list[int]:
    """Return the processors that programs with the CPUs `cpu_ids` run on, without repetition.

    `cores` are the cores that the CPUs are of. All their threads are counted through, core by
    core, and taken modulo the number of processors that this process may use: so two threads
    of one core are two processors where there are two, and every CPU is some processor on the
    smallest of machines.
    """
    ours = sorted(os.sched_getaffinity(0))
    places = {cpu: place for place, cpu in enumerate(cpu for core in cores for cpu in core)}
    # What is not in the pool counts by its own number.
    return sorted({ours[places.get(cpu, cpu) % len(ours)] for cpu in cpu_ids})
