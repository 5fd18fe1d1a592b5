"""What the tests with real namespaces share: an instance, enclaves and parent programs in it.

The programs that run inside are in ``programs/``: plain Python on the standard library, one file
per topic, one function per case. They refuse to run outside of the simulator.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import shutil
import socket
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from nitrosim.backends.command import image_from_command
from nitrosim.enclave import Enclave
from nitrosim.hypervisor.client import Connection
from nitrosim.hypervisor.control import Client, ControlServer
from nitrosim.hypervisor.identity import load_or_create
from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.notify import Listener, Notification
from nitrosim.hypervisor.operations import HypervisorOperations
from nitrosim.hypervisor.protocol import CONTROL_SOCKET, SOCKETS_DIRECTORY
from nitrosim.hypervisor.supervisor import Supervisor
from nitrosim.instance import Instance
from nitrosim.sandbox.calls import CALLS, OWN_INIT_CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nitrosim.backends.image import EnclaveImage

PROGRAMS = Path(__file__).resolve().parent / "programs"
# Without site-packages: the programs need the standard library only, and start faster.
PYTHON = (sys.executable, "-S", "-E")
# How long something may take that happens at once unless it never does.
PATIENCE = 20


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    """Give the tests of one file a simulated instance of their own."""
    with Instance() as instance:
        yield instance


@pytest.fixture
def keep_enclave() -> Iterator[Callable]:
    """Let enclaves end with the test; a failed test shows their consoles."""
    with contextlib.ExitStack() as enclaves:

        def keep(enclave):
            enclaves.callback(enclave.console.close)
            enclaves.callback(enclave.terminate)
            enclaves.callback(lambda: print(enclave.console.read().decode(errors="replace")))
            return enclave

        yield keep


@pytest.fixture
def run_enclave(instance: Instance, keep_enclave: Callable) -> Callable:
    """Start enclaves that end with the test."""

    def run(*command, **options):
        return keep_enclave(instance.run_enclave([str(word) for word in command], **options))

    return run


@pytest.fixture
def run_program(instance: Instance, keep_enclave: Callable) -> Callable:
    """Start an enclave with one case of a program in ``programs/``."""

    def run(program, case, *arguments, interruptible=False, **options):
        image = image_of(program, case, *arguments)
        return keep_enclave(instance.run_image(image, interruptible=interruptible, **options))

    return run


def image_of(program: str, case: str, *arguments: object) -> EnclaveImage:
    """Return the image of one case of a program in ``programs/``."""
    command = [*PYTHON, f"/app/{program}.py", case, *map(str, arguments)]
    return image_from_command(command, app_dir=PROGRAMS, environment={"NITROSIM_INSIDE": "1"})


@pytest.fixture
def program_image() -> Callable:
    """Return the function that makes the image of one case of a program in ``programs/``."""
    return image_of


@pytest.fixture
def run_parent(instance: Instance) -> Iterator[Callable]:
    """Start one case of a program in ``programs/`` as the parent instance."""
    with contextlib.ExitStack() as programs:

        def run(program, case, *arguments, **options):
            command = [*PYTHON, PROGRAMS / f"{program}.py", case, *map(str, arguments)]
            environment = {**os.environ, "NITROSIM_INSIDE": "1"}
            options.setdefault("text", True)
            started = instance.popen_parent(command, env=environment, **options)
            programs.enter_context(started)
            programs.callback(started.kill)
            return started

        yield run


@pytest.fixture
def sockets() -> Iterator[Path]:
    """Give a directory for sockets as nitro-cli has one: everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def boot(instance: Instance, sockets: Path, keep_enclave: Callable) -> Callable:
    """Start enclaves as nitro-cli does: CPUs are lent, and it is enough that init runs."""

    def boot(image, *, on=instance, cores=((1, 5), (2, 6), (3, 7)), **fields):
        asked_for = {"cpu_count": 2} if "cpu_ids" not in fields else {}
        asked_for |= {key: fields.pop(key) for key in ("cpu_count", "cpu_ids") if key in fields}
        request = {
            "name": image.name,
            "cid": None,
            "memory_mib": 64,
            "memory_pool_mib": 4096,
            "debug_mode": False,
            "detach": True,
            "boot": True,
            "sockets": str(sockets),
        }
        with on._asking() as ask:
            ask.request("reserve", cores=cores, **asked_for)
            answer, console = ask.run(image, **(request | fields))
        enclave = Enclave(on._asking, answer["enclave"], console)
        # Those of other instances end with these.
        return keep_enclave(enclave) if on is instance else enclave

    return boot


@pytest.fixture
def lent(instance: Instance) -> Callable:
    """Return the function that says what is lent, when all has been seen that has happened."""

    def lent():
        # The end of a connection may be found in the same round as a request, and after it.
        answer = [instance._owner.request("lent") for _ in range(2)][-1]
        return {name: answer[name] for name in ("cpu_ids", "memory_mib")}

    return lent


@pytest.fixture
def result() -> Callable:
    """Wait until an enclave has ended well, and return what its last line says in JSON."""

    def result(enclave):
        status = enclave.wait(timeout=PATIENCE)
        text = enclave.console.read_all(timeout=PATIENCE).decode()
        assert status == 0, text
        return json.loads(text.splitlines()[-1])

    return result


@pytest.fixture
def await_death() -> Callable:
    """Wait until a process has ended that is given as a pidfd."""

    def wait(pidfd):
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(PATIENCE * 1000), "the process goes on"

    return wait


class CountingListener(Listener):
    """A filter's listener that notes which calls come in."""

    calls: ClassVar[Counter[int]] = Counter()

    def receive(self) -> Notification | None:
        notification = super().receive()
        if notification is not None:
            self.calls[notification.call] += 1
        return notification


@dataclasses.dataclass
class Glass:
    """An instance whose hypervisor runs on a thread of this process, to be looked into."""

    loop: Loop
    network: Network
    supervisor: Supervisor
    operations: HypervisorOperations
    server: ControlServer
    owner: Client
    instance: Instance | None = None

    def settle(self) -> None:
        """Return when the hypervisor has taken note of all that has happened."""
        # The end of a connection may be found in the same round as a request, and after it.
        for _ in range(2):
            self.instance._owner.request("hello")

    def kept_pidfds(self) -> dict[int, int]:
        """Return the pidfds of threads that have made calls."""
        return self.supervisor._transfers._lender._pidfds._kept

    def calls(self) -> dict[str, int]:
        """Return how many calls came in since the last time, by name."""
        names = {call.numbers[os.uname().machine]: call.name for call in (*CALLS, *OWN_INIT_CALLS)}
        counted = {names[number]: count for number, count in CountingListener.calls.items()}
        CountingListener.calls.clear()
        return counted


@pytest.fixture
def glass(monkeypatch) -> Iterator[Glass]:
    """Give an instance that can be looked into."""
    started = []

    def start_here(places):
        sockets = places.runtime / SOCKETS_DIRECTORY
        sockets.mkdir()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(places.runtime / CONTROL_SOCKET))
        listener.listen()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        loop = Loop()
        network = Network(sockets, f"glass-{os.getpid()}")
        supervisor = Supervisor(loop, network)
        operations = HypervisorOperations(
            loop,
            network,
            supervisor,
            load_or_create(places.state),
            on_idle=lambda: None,
            on_shutdown=lambda: None,
        )
        server = ControlServer(loop, listener, operations, lambda: None)
        owner = server.adopt(theirs)

        def ended():
            server.close()
            loop.stop()

        owner.on_close.append(lambda: operations.end_all(ended))
        started.append((Glass(loop, network, supervisor, operations, server, owner), places))
        return Connection(ours, places), None

    monkeypatch.setattr("nitrosim.instance.start_owned", start_here)
    monkeypatch.setattr("nitrosim.hypervisor.enclaves.Listener", CountingListener)
    monkeypatch.setattr(Instance, "_greet", lambda _instance: {})
    instance = Instance()
    ((glass, places),) = started
    glass.instance = instance
    thread = threading.Thread(target=glass.loop.run)
    thread.start()
    CountingListener.calls.clear()
    yield glass
    instance.close()
    thread.join()
    shutil.rmtree(places.runtime)
