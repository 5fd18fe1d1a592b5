"""The ioctls of /dev/nsm and /dev/vsock.

Facts about the NSM driver (Linux drivers/misc/nsm.c):

- ``struct nsm_raw`` is four u64: address and length of the request, address and
  length of the response buffer. A request may have 4096 bytes, an answer 12288.
- The order of steps is: read the struct, check the request's length, read the
  request, ask the device, write the answer, write the struct back. So a bad
  response pointer is noticed after the request took effect.
- An answer longer than the caller's buffer is cut without a word; the length
  written back is the number of bytes copied, and every client relies on it.

The devices are other character devices bound over these names (see sandbox/native/system.c).
What tells a call apart from the same number on another file is the path the
descriptor was opened under, from the root of its mount namespace: a program that has
changed its root directory opens ``/rootfs/dev/nsm``.
"""

from __future__ import annotations

import errno
import struct

from nitrosim.hypervisor.answers import NATIVE, SUCCESS, Answer, Fail
from nitrosim.hypervisor.notify import Notification
from nitrosim.hypervisor.programs import Program
from nitrosim.hypervisor.tracee import (
    DescriptorPaths,
    read_both,
    read_memory,
    write_both,
    write_memory,
)
from nitrosim.sandbox.calls import NSM_IOCTL_RAW

_NSM_RAW = struct.Struct("=QQQQ")
_U32 = struct.Struct("=I")
_U64 = struct.Struct("=Q")
_RESPONSE_LENGTH_OFFSET = 24
_LONGEST_REQUEST = 0x1000
_MOST_GUESSES = 1024
_LONGEST_RESPONSE = 0x3000


# DEVIATION: /dev/nsm is /dev/urandom under another name: read() gives random bytes and write()
# takes them, where the driver gives EINVAL; its device number and its entries in /proc and /sys are
# not those of a real one.
# DEVIATION: Requests on a descriptor that was opened under a name that does not end in /dev/nsm,
# such as a bind mount of it elsewhere, give EINVAL.
# DEVIATION: The Nitro Secure Module is no source of /dev/hwrng inside (rng_current below
# /sys/class/misc/hw_random is not nsm-hwrng), and answers at the speed of this machine.
class DeviceCalls:
    """Answers to ioctl on the two devices of an enclave."""

    def __init__(self) -> None:
        self._paths = DescriptorPaths()
        self._last_requests: dict[int, tuple[int, int]] = {}

    def ioctl(self, program: Program, notification: Notification) -> Answer:
        """Answer ``ioctl`` with one of the two requests that the filter lets through."""
        thread, (fd, request, argument) = notification.thread, notification.args[:3]
        try:
            path = self._paths.path(thread, fd)
        except OSError:  # EBADF: natively the call says so itself
            return NATIVE
        if request & 0xFFFFFFFF == NSM_IOCTL_RAW:
            if path.endswith("/dev/nsm") and program.nsm is not None:
                return self._ask_nsm(program, thread, argument)
        elif path.endswith("/dev/vsock"):
            write_memory(thread, argument, _U32.pack(program.side.cid))
            return SUCCESS
        return NATIVE

    def _ask_nsm(self, program: Program, thread: int, argument: int) -> Answer:
        assert program.nsm is not None
        # Clients use one buffer for all their requests: what was asked last is read along.
        guess = self._last_requests.get(thread, (0, 0))
        raw, request = read_both(thread, argument, _NSM_RAW.size, *guess)
        request_at, request_length, response_at, response_room = _NSM_RAW.unpack(raw)
        if request_length > _LONGEST_REQUEST:
            return Fail(errno.EMSGSIZE)
        if request is None or guess != (request_at, request_length):
            # ASSUMPTION: an empty request is answered InvalidOperation like any other malformed
            # one.
            request = read_memory(thread, request_at, request_length)
            if len(self._last_requests) >= _MOST_GUESSES:
                self._last_requests.clear()
            self._last_requests[thread] = (request_at, request_length)
        response = program.nsm(request)[: min(response_room, _LONGEST_RESPONSE)]
        length_at = argument + _RESPONSE_LENGTH_OFFSET
        write_both(thread, response_at, response, length_at, _U64.pack(len(response)))
        return SUCCESS
