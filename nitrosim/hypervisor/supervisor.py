"""Receive system calls, find who answers them, deliver the answers.

A handler takes the program and the notification and returns an answer. Three
rules hold whatever it does:

- *A program never hangs.* A handler that fails unexpectedly is answered EIO
  first and logged second.
- *A call is acted on once.* Where the kernel lets signals cancel a received call
  (before Linux 5.19), an answer can find nobody: it is kept, and given when the
  same thread makes the same call again. Go programs interrupt themselves in this
  way all the time.
- *A descriptor has one owner.* What is installed into the program is closed here.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable

from nitrosim.hypervisor.answers import (
    BAD_ADDRESS,
    SUCCESS,
    Answer,
    Fail,
    Install,
    Later,
    Native,
    Return,
)
from nitrosim.hypervisor.arguments import CallError
from nitrosim.hypervisor.device_calls import DeviceCalls
from nitrosim.hypervisor.loop import HUNG_UP, READABLE, Loop
from nitrosim.hypervisor.mount_calls import MountCalls
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.notify import Listener, Notification
from nitrosim.hypervisor.parked import ParkingLot
from nitrosim.hypervisor.programs import NsmHandler, Program, SocketLender, Undelivered
from nitrosim.hypervisor.sockets import Side
from nitrosim.hypervisor.tracee import BadAddressError, GoneError
from nitrosim.hypervisor.vsock_calls import VsockCalls
from nitrosim.hypervisor.vsock_transfers import VsockTransfers
from nitrosim.sandbox.calls import CALLS, OWN_INIT_CALLS

_log = logging.getLogger(__name__)

Handler = Callable[[Program, Notification], Answer]


# DEVIATION: A program cannot install a seccomp filter with a listener of its own (EBUSY), because a
# process tree can have one only and the simulator's is there already; this holds for programs of
# the parent instance too, which therefore cannot start another simulated instance.
# DEVIATION: When the hypervisor has ended, socket(AF_VSOCK) and the other served calls of programs
# of the parent instance fail with ENOSYS.
class Supervisor:
    """Serves the system calls of all programs of an instance."""

    def __init__(self, loop: Loop, network: Network) -> None:
        self._loop = loop
        self._programs: dict[int, Program] = {}
        self._parking = ParkingLot(loop, self._deliver_parked)
        lender = SocketLender(network.table)
        self._transfers = VsockTransfers(loop, network, lender, self._parking)
        machine = os.uname().machine
        self._not_twice = {c.numbers[machine] for c in CALLS if c.name in ("bind", "connect")}
        self._handlers = _handlers(VsockCalls(network, lender), self._transfers, DeviceCalls())

    def add(  # noqa: PLR0913 - what a program comes with
        self,
        listener: Listener,
        side: Side,
        *,
        nsm: NsmHandler | None = None,
        remark: Callable[[str], None] | None = None,
        own_init: bool = False,
        on_end: Callable[[], None] | None = None,
    ) -> Program:
        """Serve everything under the filter of `listener`, until its last process is gone.

        What the program should know is put on its console by `remark`, one line at a time.
        """
        program = Program(listener, side, nsm, remark, own_init)
        self._programs[listener.fd] = program

        def ready(events: int) -> None:
            if events & READABLE:
                self._serve(program)
            elif events & HUNG_UP:
                self.remove(program)
                if on_end is not None:
                    on_end()

        self._loop.watch(listener.fd, ready)
        return program

    def remove(self, program: Program) -> None:
        """Stop serving: from now on the calls of what is left under the filter fail, ENOSYS."""
        if self._programs.pop(program.listener.fd, None) is None:
            return
        self._parking.drop_listener(program.listener)
        for kept in program.undelivered.values():
            _discard(kept.answer)
        self._loop.forget(program.listener.fd)
        os.close(program.listener.fd)

    def _serve(self, program: Program) -> None:
        notification = program.listener.receive()
        if notification is None:
            return
        answer = None
        if program.undelivered:
            answer = self._answer_of_before(program, notification)
        if program.done and answer is None:
            answer = self._success_of_before(program, notification)
        if answer is None:
            try:
                answer = self._handlers[notification.call](program, notification)
            except BadAddressError:
                answer = BAD_ADDRESS
            except CallError as error:
                answer = Fail(error.error)
            except GoneError:
                return
            except Exception:  # noqa: BLE001 - an answer is owed whatever happened
                # Whatever it was, somebody waits for an answer: see the module's first rule.
                program.listener.send(notification, 0, errno.EIO, native=False)
                _log.exception("call %d of thread %d", notification.call, notification.thread)
                return
        if type(answer) is not Later:
            self._deliver(program, notification, answer)

    # DEVIATION: On kernels before 5.19, a thread whose call a signal has ended with EINTR gets that
    # call's answer when it next makes a call with the same arguments, whatever its buffers hold by
    # then.
    def _answer_of_before(self, program: Program, notification: Notification) -> Answer | None:
        kept = program.undelivered.pop(notification.thread, None)
        if kept is None:
            return None
        if (kept.call, kept.args) == (notification.call, notification.args):
            return kept.answer
        # The program has turned to something else.
        if not (isinstance(kept.answer, Install) and self._transfers.take_back(kept.answer.sock)):
            _discard(kept.answer)
        return None

    # DEVIATION: On kernels before 5.19, the answer of a call is lost when a signal comes in the
    # very moment in which it is given, and the call is made again: connect and bind then succeed,
    # and so does a second one with the same arguments that a program makes by itself; a request
    # to the security module is served twice.
    def _note_done(self, program: Program, notification: Notification) -> None:
        if not program.listener.killable and notification.call in self._not_twice:
            program.done[notification.thread] = (notification.call, notification.args)

    def _success_of_before(self, program: Program, notification: Notification) -> Answer | None:
        done = program.done.pop(notification.thread, None)
        return SUCCESS if done == (notification.call, notification.args) else None

    def _deliver_parked(
        self, listener: Listener, notification: Notification, answer: Answer
    ) -> None:
        program = self._programs.get(listener.fd)
        if program is not None:
            self._deliver(program, notification, answer)

    def _deliver(self, program: Program, notification: Notification, answer: Answer) -> None:
        listener = program.listener
        match answer:
            case Return(value):
                delivered = listener.send(notification, value, 0, native=False)
                self._note_done(program, notification)
            case Fail(error):
                delivered = listener.send(notification, 0, error, native=False)
            case Native():
                listener.send(notification, 0, 0, native=True)
                return
            case Install():
                delivered = self._install(listener, notification, answer)
            case Later():
                return
        if not delivered and not (isinstance(answer, Fail)):
            program.undelivered[notification.thread] = Undelivered(
                notification.call, notification.args, answer
            )

    def _install(self, listener: Listener, notification: Notification, answer: Install) -> bool:
        """Give a program a socket; False if the call is gone, and the socket to be kept."""
        try:
            delivered = listener.install(notification, answer.sock.fileno(), answer.fd_flags)
        except OSError as failure:
            # EMFILE: the program is at its limit. A connection goes back into the queue.
            if not self._transfers.take_back(answer.sock):
                answer.sock.close()
            listener.send(notification, 0, failure.errno or errno.EIO, native=False)
            return True
        if delivered:
            answer.sock.close()
        return delivered


def _discard(answer: Answer) -> None:
    if isinstance(answer, Install):
        answer.sock.close()


def _handlers(
    calls: VsockCalls, transfers: VsockTransfers, devices: DeviceCalls
) -> dict[int, Handler]:
    """Join the tables of calls with the methods that answer them."""
    machine = os.uname().machine
    by_name: dict[str, Handler] = {
        "socket": calls.socket,
        "bind": calls.bind,
        "listen": calls.listen,
        "getsockname": calls.getsockname,
        "getpeername": calls.getpeername,
        "getsockopt": calls.getsockopt,
        "setsockopt": calls.setsockopt,
        "connect": transfers.connect,
        "accept": transfers.accept,
        "accept4": transfers.accept4,
        "recvfrom": transfers.recvfrom,
        "ioctl": devices.ioctl,
        "mount": MountCalls(of_host_root=os.geteuid() == 0).mount,
    }
    return {
        call.numbers[machine]: by_name[call.name]
        for call in (*CALLS, *OWN_INIT_CALLS)
        if call.is_handed_over
    }
