"""Enclaves: from the launcher's first message to the end of the last process.

The life of one:

1. The launcher is started. It reports, one message each: its init process (with a
   pidfd), the console (with the terminal), the filter (with the listener).
2. The *started* pipe ends: the program has been executed. The enclave runs.
3. The program ends, init reports its status and ends too, and with it every process
   of the enclave (pid namespace). Or init is killed: by :meth:`Enclave.terminate`, or by
   the kernel when the hypervisor dies.
4. The pidfd becomes readable: what is left in the console is read, sockets and CID are
   given free, and everybody who waits is told.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fake_nsm import EnclaveIdentity
from nitrosim.hypervisor.console import Console
from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.notify import Listener
from nitrosim.hypervisor.programs import NsmHandler, Program
from nitrosim.hypervisor.sockets import Side
from nitrosim.hypervisor.supervisor import Supervisor
from nitrosim.sandbox.launcher import launch_enclave
from nitrosim.sandbox.operation import Operation

_log = logging.getLogger(__name__)

_MESSAGE = 1024
#: What a status means when nobody reported one: killed from outside.
KILLED = 128 + signal.SIGKILL


# DEVIATION: An enclave has an exit status, that of its program; hardware tells only that the
# enclave has ended.
class State(enum.StrEnum):
    """Where an enclave is in its life; the names are those of describe-enclaves."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    TERMINATING = "TERMINATING"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """What an enclave is started from.

    `operations`, `command` and `environment` say what runs where; `pcrs` are the launch
    measurements as documents carry them, 48 bytes each, by index. `host_cpus` are the processors
    it is bound to; none for any. With `boot` it has started when its init runs, as for
    nitro-cli, and otherwise when its program has been executed. With `own_init`, the kernel's
    command line, the program is the init of an image; to boot, it has `boot_seconds` to report.
    """

    name: str
    cpu_count: int
    cpu_ids: tuple[int, ...]
    memory_mib: int
    debug_mode: bool
    operations: tuple[Operation, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    pcrs: Mapping[int, bytes]
    host_cpus: tuple[int, ...] = ()
    boot: bool = False
    own_init: str | None = None
    boot_seconds: float = 180
    interruptible: bool = False

    @property
    def waits_for_init(self) -> bool:
        """Whether it has booted only when an init has reported that nobody plays."""
        return self.boot and self.own_init is not None


class Enclave:
    """One enclave. `end_callbacks` are called once, after its end."""

    def __init__(  # noqa: PLR0913 - the parts of an instance, and what is new in this one
        self,
        loop: Loop,
        network: Network,
        supervisor: Supervisor,
        *,
        number: int,
        specification: Specification,
        side: Side,
        identity: EnclaveIdentity,
        nsm: NsmHandler,
    ) -> None:
        self.number = number
        self.specification = specification
        self.side = side
        self.module_id = identity.module_id
        self.enclave_id = identity.cli_enclave_id
        self.nsm = nsm
        self.state = State.STARTING
        self.console = Console(loop)
        self.pid = 0
        self.status: int | None = None
        self.end_callbacks: list[Callable[[], None]] = []
        self._loop = loop
        self._network = network
        self._supervisor = supervisor
        self._program: Program | None = None
        self._pidfd: int | None = None
        self._control: socket.socket | None = None
        self._started_pipe: int | None = None
        self._failure = ""
        self._on_started: Callable[[str], None] | None = None

    # ---- start ----

    def start(self, on_started: Callable[[str], None]) -> None:
        """Start the launcher; `on_started` gets "" when the enclave has started, else what failed.

        Raises:
            OSError: the launcher cannot be executed.
            HostNotSupportedError: there is no launcher.

        """
        specification = self.specification
        launch = launch_enclave(
            specification.operations,
            specification.command,
            specification.environment,
            host_cpus=specification.host_cpus,
            own_init=specification.own_init,
            interruptible=specification.interruptible,
        )
        self._on_started = on_started
        self._control = launch.control
        self._started_pipe = launch.started
        self._launcher_pid = launch.pid
        launch.control.setblocking(False)
        self._loop.watch(launch.control.fileno(), lambda _events: self._read_control())
        self._loop.watch(launch.started, lambda _events: self._read_started())

    def _read_control(self) -> None:
        """Take every message that has come."""
        while self._control is not None:
            try:
                message, fds, _flags, _address = socket.recv_fds(self._control, _MESSAGE, 1)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message, fds = b"", []
            if not message:
                self._close_control()
                return
            self._take(message.decode("utf-8", "replace"), fds)

    def _take(self, message: str, fds: list[int]) -> None:
        kind, _space, rest = message.partition(" ")
        if kind == "init" and fds:
            self.pid = int(rest)
            self._pidfd = fds[0]
            os.waitpid(self._launcher_pid, 0)
            self._launcher_pid = 0
            self._loop.watch(fds[0], lambda _events: self._end())
            if self.state is State.TERMINATING:
                self._kill_init()
        elif kind == "console" and fds:
            self.console.attach(fds[0])
        elif kind == "filter" and fds:
            listener = Listener(fds[0], killable=rest == "1")
            self._program = self._supervisor.add(
                listener,
                self.side,
                nsm=self.nsm,
                remark=self.console.remark,
                own_init=self.specification.own_init is not None,
            )
            if self.specification.boot:
                self._has_started()
        elif kind == "exit":
            status = os.waitstatus_to_exitcode(int(rest))
            self.status = status if status >= 0 else 128 - status
        elif kind == "error":
            self._failure = rest
        else:
            _log.error("unexpected message of the launcher: %r", message)

    def _close_control(self) -> None:
        assert self._control is not None
        self._loop.forget(self._control.fileno())
        self._control.close()
        self._control = None
        if self._launcher_pid:
            # It ended before there was an init: its message, if any, says why.
            os.waitpid(self._launcher_pid, 0)
            self._launcher_pid = 0
            self._end()

    def _read_started(self) -> None:
        assert self._started_pipe is not None
        text = os.read(self._started_pipe, _MESSAGE).decode("utf-8", "replace")
        self._loop.forget(self._started_pipe)
        os.close(self._started_pipe)
        self._started_pipe = None
        self._read_control()
        if text:
            self._failure = text.removeprefix("error ")
        elif self._program is not None and not self._failure:
            self._has_started()

    def _has_started(self) -> None:
        if self.state is State.STARTING:
            self.state = State.RUNNING
        self._report_start("")

    def _report_start(self, failure: str) -> None:
        if self._on_started is not None:
            callback, self._on_started = self._on_started, None
            callback(failure)

    # ---- end ----

    def terminate(self) -> None:
        """Kill every process of the enclave; its end is reported as any other."""
        if self.state in (State.STARTING, State.RUNNING):
            self.state = State.TERMINATING
            self._kill_init()

    def _kill_init(self) -> None:
        """Kill init, if the launcher has reported it already; it will be when it does."""
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _end(self) -> None:
        """Give free what the enclave had; called when its init is gone, or never came."""
        if self.state is State.ENDED:
            return
        if self._pidfd is not None:
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
            self._loop.forget(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        self._read_control()
        if self._started_pipe is not None:
            self._read_started()
        self.state = State.ENDED
        if self.status is None:
            self.status = KILLED
        if self._program is not None:
            self._supervisor.remove(self._program)
        self._network.remove_side(self.side)
        self.console.end()
        self._report_start(self._failure or "it ended before the program was started")
        callbacks, self.end_callbacks = self.end_callbacks, []
        for callback in callbacks:
            callback()


def describe(enclave: Enclave) -> dict[str, Any]:
    """Return what a client may know of an enclave."""
    specification = enclave.specification
    return {
        "number": enclave.number,
        "name": specification.name,
        "module_id": enclave.module_id,
        "enclave_id": enclave.enclave_id,
        "pid": enclave.pid,
        "cid": enclave.side.cid,
        "cpu_count": specification.cpu_count,
        "cpu_ids": list(specification.cpu_ids),
        "memory_mib": specification.memory_mib,
        "debug_mode": specification.debug_mode,
        "state": enclave.state.value,
        "pcrs": {index: value.hex() for index, value in specification.pcrs.items()},
    }
