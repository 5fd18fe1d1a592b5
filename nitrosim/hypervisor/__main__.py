"""The hypervisor process: ``python -m nitrosim.hypervisor``, started by its first client.

Arguments: the state directory, the runtime directory, ``shared`` or ``owned``.
Descriptor 3 is the listening control socket, made by the client, so that it can
connect before this process has begun to run. For an owned instance descriptor 4 is
the owner's connection: when it closes, everything ends and the runtime directory
is removed. A shared instance ends when nothing runs and nobody has asked anything
for a while, or on request.

Single-threaded on purpose: PR_SET_PDEATHSIG of the enclaves follows the thread that
started them.
"""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import shutil
import signal
import socket
import sys
from pathlib import Path

from nitrosim.errors import NitroSimError
from nitrosim.hypervisor.control import ControlServer
from nitrosim.hypervisor.identity import load_or_create
from nitrosim.hypervisor.loop import Loop, Timer
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.operations import HypervisorOperations
from nitrosim.hypervisor.protocol import CONTROL_SOCKET, LOCK_FILE, SOCKETS_DIRECTORY
from nitrosim.hypervisor.supervisor import Supervisor

_CONTROL_FD = 3
_OWNER_FD = 4
#: A shared instance without work goes after this many seconds: long enough for the next command.
_LINGER = 10.0

_log = logging.getLogger("nitrosim.hypervisor")


class Hypervisor:
    """Everything of one instance, put together."""

    def __init__(self, state: Path, runtime: Path, *, owned: bool) -> None:
        self._runtime = runtime
        self._owned = owned
        self._linger: Timer | None = None
        self._ending = False
        sockets = runtime / SOCKETS_DIRECTORY
        # What an earlier hypervisor left that was killed.
        shutil.rmtree(sockets, ignore_errors=True)
        sockets.mkdir(mode=0o700)
        self._loop = Loop()
        network = Network(sockets, f"nitrosim-{os.getpid()}-{os.urandom(4).hex()}")
        supervisor = Supervisor(self._loop, network)
        self._operations = HypervisorOperations(
            self._loop,
            network,
            supervisor,
            load_or_create(state),
            on_idle=self._idle,
            on_shutdown=self._end,
        )
        listener = socket.socket(fileno=_CONTROL_FD)
        self._server = ControlServer(self._loop, listener, self._operations, self._idle)
        if owned:
            owner = self._server.adopt(socket.socket(fileno=_OWNER_FD))
            owner.on_close.append(self._end)

    def run(self) -> None:
        """Serve until the end of the instance, and leave nothing behind."""
        wake_up, wake_up_ours = socket.socketpair()
        wake_up.setblocking(False)
        signal.set_wakeup_fd(wake_up.fileno())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: None)
        self._loop.watch(wake_up_ours.fileno(), lambda _events: self._end())
        self._idle()
        self._loop.run()

    def _idle(self) -> None:
        """Begin to linger, if there is nothing to do."""
        if self._owned or self._ending or self._linger is not None:
            return
        self._linger = self._loop.call_later(_LINGER, self._linger_is_over)

    def _linger_is_over(self) -> None:
        self._linger = None
        if not self._operations.busy and not len(self._server):
            self._end()

    def _end(self) -> None:
        if not self._ending:
            self._ending = True
            # First the name: a client that comes now starts a new hypervisor.
            (self._runtime / CONTROL_SOCKET).unlink(missing_ok=True)
            self._operations.end_all(self._ended)

    def _ended(self) -> None:
        # First the files, then the connections: a client that sees its connection end may rely
        # on nothing being there any more.
        left = self._runtime if self._owned else self._runtime / SOCKETS_DIRECTORY
        shutil.rmtree(left, ignore_errors=True)
        self._server.close()
        self._loop.stop()


def _hold_lock(runtime: Path, *, owned: bool) -> None:
    """Lock the file that tells the living from the dead, for as long as this process lives.

    A predecessor of a shared instance on its way out may still have it. For an owned one it
    gets its name when it is locked, not before: somebody who sweeps would take it for dead.
    """
    name = runtime / LOCK_FILE
    made_as = name.with_suffix(".new") if owned else name
    lock = os.open(made_as, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    made_as.rename(name)


def main(arguments: list[str]) -> int:
    """Run the hypervisor of the instance in `arguments`."""
    state, runtime, kind = Path(arguments[0]), Path(arguments[1]), arguments[2]
    # What the first client happened to inherit (the pipe of a shell, say) must not stay open
    # for as long as this process lives, nor reach the programs in the enclaves.
    os.closerange((_OWNER_FD if kind == "owned" else _CONTROL_FD) + 1, os.sysconf("SC_OPEN_MAX"))
    logging.basicConfig(
        level=os.environ.get("NITROSIM_LOGLEVEL", "WARNING").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    _hold_lock(runtime, owned=kind == "owned")
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for fd in (_CONTROL_FD, _OWNER_FD) if kind == "owned" else (_CONTROL_FD,):
        os.set_inheritable(fd, False)
    try:
        hypervisor = Hypervisor(state, runtime, owned=kind == "owned")
    except NitroSimError as error:
        # The client, to whom this process is gone, shows the end of the log.
        print(f"{error.code}: {error}", file=sys.stderr)
        return 1
    hypervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
