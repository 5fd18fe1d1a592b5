"""The BPF program that sends the calls of a table to the hypervisor.

Some facts about seccomp filters:

- A filter sees ``struct seccomp_data``: the call's number, the architecture of
  the call, and six 64-bit arguments. It cannot follow a pointer.
- The architecture must be looked at first, since a number means another call
  under another ABI (32-bit programs, x32). A program that changed its ABI would
  go round the filter, so foreign ones are answered ENOSYS.
- The verdict of highest precedence wins over all filters of a process;
  ``RET_USER_NOTIF`` without a listener makes the call fail with ENOSYS. That is
  what keeps ``socket(AF_VSOCK)`` away from the host when the hypervisor is gone:
  there is no path on which it reaches the kernel.
- Classic BPF jumps forward only, by at most 255 instructions for a conditional.
  The program is one small block per call, each entered by a test of the number,
  so no jump is ever long.

See seccomp(2), Linux include/uapi/linux/seccomp.h and filter.h.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from nitrosim.sandbox.calls import CALLS, Argument, Call

# DEVIATION: Programs of another ABI than the machine's own (32-bit x86, x32) get ENOSYS for every
# system call.
_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_IF_GREATER_OR_EQUAL = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_ALLOW = 0x7FFF0000
_NOTIFY = 0x7FC00000
_ERRNO = 0x00050000

_NUMBER_OFFSET = 0
_ARCHITECTURE_OFFSET = 4
_ARGUMENTS_OFFSET = 16

_ENOSYS = 38
_X32_BIT = 0x40000000
_AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

#: One instruction: code, jump if true, jump if false, constant.
Instruction = tuple[int, int, int, int]


def supported_machine(machine: str | None = None) -> bool:
    """Say whether there is a filter for `machine` (default: this one)."""
    return (machine or os.uname().machine) in _AUDIT_ARCHITECTURE


def filter_program(machine: str | None = None, calls: Iterable[Call] = CALLS) -> bytes:
    """Return the filter as an array of ``struct sock_filter``, 8 bytes each.

    `machine` is a name as in ``os.uname().machine``; KeyError for one without a
    table (ask :func:`supported_machine` before).
    """
    machine = machine or os.uname().machine
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_JUMP_IF_EQUAL, 1, 0, _AUDIT_ARCHITECTURE[machine]),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
    ]
    if machine == "x86_64":
        program += [
            (_JUMP_IF_GREATER_OR_EQUAL, 0, 1, _X32_BIT),
            (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        ]
    for call in calls:
        block = _block(call)
        program.append((_JUMP_IF_EQUAL, 0, len(block), call.numbers[machine]))
        program += block
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _block(call: Call) -> list[Instruction]:
    """Return what follows a matching number; falls out of its end when a condition fails."""
    # A call that fails with error 0 returns 0, and has not been made.
    verdict = _NOTIFY if call.is_handed_over else _ERRNO | call.error
    block: list[Instruction] = [(_RETURN, 0, 0, verdict)]
    for condition in reversed(call.when):
        block = _test(condition, skip=len(block)) + block
    if call.when:
        # A failed condition leaves an argument in the accumulator: the next block
        # compares the number.
        block.append((_LOAD, 0, 0, _NUMBER_OFFSET))
    return block


def _test(condition: Argument, *, skip: int) -> list[Instruction]:
    """Return the test of one condition: falls through if true, else passes over `skip` more."""
    low = _ARGUMENTS_OFFSET + 8 * condition.index
    if not condition.values:
        return [
            (_LOAD, 0, 0, low),
            (_JUMP_IF_EQUAL, 0, 2, 0),
            (_LOAD, 0, 0, low + 4),
            (_JUMP_IF_EQUAL, skip, 0, 0),
        ]
    last = len(condition.values) - 1
    return [
        (_LOAD, 0, 0, low),
        *(
            (_JUMP_IF_EQUAL, last - n, skip if n == last else 0, value)
            for n, value in enumerate(condition.values)
        ),
    ]
