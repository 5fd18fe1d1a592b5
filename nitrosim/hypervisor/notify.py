"""The kernel's side of a served system call: seccomp user notification. Linux only.

Some facts about seccomp user notification, from seccomp_unotify(2), the kernel
source, and measurements:

- A filter with a listener turns chosen calls into *notifications*. The thread
  that made the call sleeps in the kernel; whoever holds the listener receives
  the notification (RECV) and answers it (SEND), with a value, an error, or the
  order to run the call natively after all (CONTINUE).
- A notification has a 64-bit id that is never reused for its listener. It dies
  with the thread, and it dies when a signal interrupts the sleep: the call then
  ends with EINTR or is made again, depending on SA_RESTART. ID_VALID says
  whether it lives; SEND to a dead one fails with ENOENT.
- With ``WAIT_KILLABLE_RECV`` (Linux 5.19), a notification that has been received
  can only be interrupted by a fatal signal. Other signals wait.
- ADDFD puts a copy of one of our file descriptors into the thread's process;
  with the SEND flag (5.14) the same ioctl answers the call with its number.
- After the last process under a filter is gone, its listener polls HUP for ever.
- ``SYNC_WAKE_UP`` (6.6) wakes the other side on the same CPU: an idle virtual
  machine otherwise pays some 50 us per direction for waking another one.

What this means for us:

- A call must never be acted on twice because its answer got lost. Without
  WAIT_KILLABLE_RECV the hypervisor remembers answers that could not be
  delivered (see :mod:`nitrosim.hypervisor.supervisor`); with it, they cannot be.
- A call that waits for the outside world (a blocking accept) must be interrupted
  by signals although WAIT_KILLABLE_RECV holds them back: see
  :mod:`nitrosim.hypervisor.parked`.
- Memory of the calling thread is only to be trusted while its notification is
  alive. The kernel hands out thread numbers in turn, so for the length of a call that
  is answered at once the number cannot become another thread's; a parked call, which
  may be minutes old, is checked with ID_VALID before anything is read or written.
- ``fcntl.ioctl`` is the fastest way from Python: 1.7 times as fast as ctypes.
"""

from __future__ import annotations

import errno
import fcntl
import struct
from typing import NamedTuple

_RECV = 0xC0502100
_SEND = 0xC0182101
_ID_VALID = 0x40082102
_ADDFD = 0xC0182103
_SET_FLAGS = 0x40082104

_SYNC_WAKE_UP = 1
_FLAG_CONTINUE = 1
_ADDFD_FLAG_SEND = 2

_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_ADDFD_REQUEST = struct.Struct("=QIIII")
_ID = struct.Struct("=Q")
_EMPTY = bytes(_NOTIFICATION.size)


class Notification(NamedTuple):
    """A system call that waits for its answer.

    `thread` is the number of the calling thread as this process sees it, `call` the
    number of the system call on this machine.
    """

    id: int
    thread: int
    call: int
    args: tuple[int, int, int, int, int, int]


class Listener:
    """The receiving end of a filter."""

    __slots__ = ("_add", "_response", "fd", "killable")

    def __init__(self, fd: int, *, killable: bool) -> None:
        """Take over `fd`; `killable` says whether the filter has WAIT_KILLABLE_RECV."""
        self.fd = fd
        self.killable = killable
        self._response = bytearray(_RESPONSE.size)
        self._add = bytearray(_ADDFD_REQUEST.size)
        try:
            fcntl.ioctl(fd, _SET_FLAGS, _SYNC_WAKE_UP)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTTY):  # before Linux 6.6
                raise

    def receive(self) -> Notification | None:
        """Return the next notification, None when it died before we came.

        To be called when the listener polls readable: it would wait otherwise.
        """
        try:
            # The kernel wants zeros; given immutable bytes, ioctl returns what became of a copy.
            received = fcntl.ioctl(self.fd, _RECV, _EMPTY)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        fields = _NOTIFICATION.unpack(received)
        return Notification(fields[0], fields[1], fields[3], fields[6:])

    def is_valid(self, notification: Notification) -> bool:
        """Say whether the call still waits for its answer."""
        try:
            fcntl.ioctl(self.fd, _ID_VALID, _ID.pack(notification.id))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return True

    def send(self, notification: Notification, value: int, error: int, *, native: bool) -> bool:
        """Answer with `value`, or with `error` (positive), or let the call run natively.

        Returns False when the notification is dead.
        """
        flags = _FLAG_CONTINUE if native else 0
        _RESPONSE.pack_into(self._response, 0, notification.id, value, -error, flags)
        return self._deliver(_SEND, self._response)

    def install(self, notification: Notification, fd: int, fd_flags: int) -> bool:
        """Put a copy of `fd` into the caller and answer with its number there.

        `fd_flags` is 0 or O_CLOEXEC. Returns False when the notification is dead.

        Raises:
            OSError: EMFILE when the caller has no descriptor left.

        """
        _ADDFD_REQUEST.pack_into(self._add, 0, notification.id, _ADDFD_FLAG_SEND, fd, 0, fd_flags)
        return self._deliver(_ADDFD, self._add)

    def _deliver(self, request: int, buffer: bytearray) -> bool:
        try:
            fcntl.ioctl(self.fd, request, buffer)
        except OSError as error:
            # EINPROGRESS: answered already, which only a dying caller can look like.
            if error.errno in (errno.ENOENT, errno.EINPROGRESS):
                return False
            raise
        return True
