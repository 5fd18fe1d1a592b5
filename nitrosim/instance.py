"""The public API: a simulated EC2 instance, and the enclaves on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from nitrosim.backends.command import image_from_command
from nitrosim.backends.image import EnclaveImage
from nitrosim.enclave import Enclave
from nitrosim.errors import EnclaveError, HostNotSupportedError, InstanceError
from nitrosim.hypervisor.client import (
    Connection,
    connect,
    connect_or_start,
    end_hypervisor,
    start_owned,
    sweep_dead,
)
from nitrosim.hypervisor.protocol import Message
from nitrosim.parent import prepare_parent
from nitrosim.places import ephemeral_places, named_places
from nitrosim.sandbox.requirements import missing_requirements
from nitrosim.vsock.listener import Listener

_DEFAULT_MEMORY_MIB = 512
_DEFAULT_CPUS = 2
_START_FAILED = "ENCLAVE_START"


class Instance:
    """A simulated EC2 instance with enclaves: its own CIDs, ports and root CA.

    Without a name it belongs to its creator alone: it has a fresh root CA and ends, with
    all its enclaves, when it is closed or when the creator ends, however that happens.
    With a name it is the user's instance of that name, shared with the command line;
    enclaves started through this object end with it, the instance goes on.

    ::

        with Instance() as instance:
            enclave = instance.run_enclave(["python3", "/app/server.py"], app_dir="app")
            with enclave.connect(5000) as sock:
                ...

    Raises:
        InstanceError: its directories cannot be used, or the name is no name.
        HostNotSupportedError: this machine cannot run enclaves; the error says what to do.

    """

    def __init__(self, name: str | None = None) -> None:
        self._lock = threading.Lock()
        self._pid: int | None = None
        with contextlib.ExitStack() as undo:
            if name is None:
                self._places = ephemeral_places()
                undo.callback(shutil.rmtree, self._places.runtime, ignore_errors=True)
                sweep_dead(self._places.runtime.parent)
                self._owner, self._pid = start_owned(self._places)
            else:
                self._places = named_places(name)
                self._owner = connect_or_start(self._places)
            undo.callback(self.close)
            self._facts = self._greet()
            undo.pop_all()

    def _greet(self) -> Message:
        """Ask who the instance is; try once more if its hypervisor was just going away."""
        try:
            return self._owner.request("hello")
        except InstanceError as error:
            if error.code != "HYPERVISOR_GONE" or self._places.name is None:
                raise
        self._owner.close()
        self._owner = connect_or_start(self._places)
        return self._owner.request("hello")

    # ---- facts ----

    @property
    def instance_id(self) -> str:
        """The EC2 instance id, ``i-`` and 17 hexadecimal digits: PCR4 measures it."""
        return str(self._facts["instance_id"])

    @property
    def root_certificate(self) -> bytes:
        """The root certificate of the instance's documents, DER: the anchor for a verifier."""
        return bytes.fromhex(self._facts["root"])

    @property
    def root_pem(self) -> Path:
        """The file with the same root certificate, PEM."""
        return self._places.state / "ca" / "root.pem"

    # ---- enclaves ----

    def run_enclave(  # noqa: PLR0913 - these are the options of nitro-cli run-enclave
        self,
        command: Sequence[str | os.PathLike[str]] | None = None,
        *,
        eif: str | os.PathLike[str] | None = None,
        name: str | None = None,
        cid: int | None = None,
        cpu_count: int = _DEFAULT_CPUS,
        memory_mib: int = _DEFAULT_MEMORY_MIB,
        debug_mode: bool = False,
        env: Mapping[str, str] | None = None,
        app_dir: str | os.PathLike[str] | None = None,
    ) -> Enclave:
        """Start `command` in a fresh enclave; return when the program has been executed.

        The command is looked up on the caller's PATH. `app_dir` is at ``/app`` inside. `env`
        is the environment of the program, beside PATH. `cid` is 4 or more; the next free one
        from 16 by default. `memory_mib` and `cpu_count` are recorded, not enforced.

        Or start what is in the Enclave Image File `eif`: it brings its command, environment
        and files with it. They are unpacked into the user's cache the first time.

        Raises:
            EnclaveError: ``COMMAND_NOT_FOUND``, ``APP_DIR``, ``ENVIRONMENT``, ``ENCLAVE_CID``,
                ``ENCLAVE_START``; ``ENCLAVE_SOURCE`` without command and `eif`, or with `eif` and
                anything that it brings; ``EIF_FILE``, ``EIF_LAYOUT``, ``EIF_CACHE``.
            EifError, ImageError: the image is damaged, or would not boot.
            HostNotSupportedError: this machine cannot run enclaves.

        """
        if eif is not None and (command, env, app_dir) == (None, None, None):
            # Only who has an image pays for what reads it.
            from nitrosim.backends.eif import image_from_file  # noqa: PLC0415 - see above

            image = image_from_file(eif)
        elif eif is None and command is not None:
            image = image_from_command(
                [os.fspath(word) for word in command],
                app_dir=None if app_dir is None else Path(app_dir),
                environment=env,
            )
        else:
            raise EnclaveError(
                "expected either a command, with env and app_dir if need be, or an image (eif), "
                "which brings all of these",
                code="ENCLAVE_SOURCE",
            )
        return self.run_image(
            image,
            name=name,
            cid=cid,
            cpu_count=cpu_count,
            memory_mib=memory_mib,
            debug_mode=debug_mode,
        )

    def run_image(  # noqa: PLR0913 - as run_enclave
        self,
        image: EnclaveImage,
        *,
        name: str | None = None,
        cid: int | None = None,
        cpu_count: int = _DEFAULT_CPUS,
        memory_mib: int = _DEFAULT_MEMORY_MIB,
        debug_mode: bool = False,
        detach: bool = False,
        sockets: str | None = None,
        lossless: bool = False,
        interruptible: bool = False,
    ) -> Enclave:
        """Start an enclave from `image`; see :meth:`run_enclave`.

        `detach` lets it outlive this object, in an instance with a name. `sockets` is the
        directory where nitro-cli shall find it; None for one that nitro-cli does not know.
        `lossless` holds the program back when nobody reads its console. `interruptible` lets
        system calls be interrupted as on Linux before 5.19.
        """
        try:
            with self._lock:
                answer, console = self._owner.run(
                    image,
                    name=name or image.name,
                    cid=cid,
                    cpu_count=cpu_count,
                    memory_mib=memory_mib,
                    debug_mode=debug_mode,
                    detach=detach,
                    sockets=sockets,
                    lossless=lossless,
                    interruptible=interruptible,
                )
        except EnclaveError as error:
            # Whoever cannot start an enclave wants to know what the machine lacks.
            if error.code == _START_FAILED and (missing := missing_requirements()):
                raise HostNotSupportedError(missing) from error
            raise
        return Enclave(self._asking, answer["enclave"], console)

    def enclaves(self) -> list[Enclave]:
        """Return the enclaves that run now, oldest first."""
        with self._asking() as ask:
            names = [facts["number"] for facts in ask.request("list")["enclaves"]]
        found = []
        for number in names:
            with contextlib.suppress(EnclaveError):  # ended in between
                found.append(self.enclave(number))
        return found

    def enclave(self, name: str | int) -> Enclave:
        """Return the running enclave called `name` (or with that EnclaveID).

        Raises:
            EnclaveError: ``NO_SUCH_ENCLAVE``.

        """
        with self._asking() as ask:
            for facts in ask.request("list")["enclaves"]:
                names = (facts["name"], facts["module_id"], facts["enclave_id"])
                if name in (*names, facts["number"]):
                    _answer, console = ask.request_with_fd("console", enclave=facts["number"])
                    assert console is not None
                    return Enclave(self._asking, facts, console)
        raise EnclaveError(f"no enclave {name!r} runs in this instance", code="NO_SUCH_ENCLAVE")

    # ---- the parent's side of vsock ----

    def listen(self, port: int | None = None) -> Listener:
        """Listen on `port` of the parent instance (CID 3); None takes a free one.

        Raises:
            InstanceError: ``PORT_IN_USE``.

        """
        with self._asking() as ask:
            answer, fd = ask.request_with_fd("listen", port=port)
        assert fd is not None
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)
        return Listener(sock, answer["port"])

    def popen_parent(
        self, command: Sequence[str | os.PathLike[str]], **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a program of the parent instance: its AF_VSOCK calls are served, CID 3.

        `options` are those of :class:`subprocess.Popen`; ``pass_fds`` may be given too.
        """
        with prepare_parent(self._fresh_connection(), command) as prepared:
            fds = (*options.pop("pass_fds", ()), *prepared.fds)
            return subprocess.Popen(prepared.words, pass_fds=fds, **options)

    def exec_parent(self, command: Sequence[str | os.PathLike[str]]) -> NoReturn:
        """Become `command`, as a program of the parent instance; does not return.

        Raises:
            HostNotSupportedError: there is no launcher and none can be built.

        """
        with prepare_parent(self._fresh_connection(), command) as prepared:
            for fd in prepared.fds:
                os.set_inheritable(fd, True)
            # Python ignores SIGPIPE, and an ignored signal stays so.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execv(prepared.words[0], prepared.words)  # noqa: S606

    # ---- ends ----

    def close(self) -> None:
        """End what was started through this object; without a name, the whole instance."""
        self._owner.close()
        if self._pid is not None:
            os.waitpid(self._pid, 0)
            self._pid = None
            # It removes this itself, unless it was killed.
            shutil.rmtree(self._places.runtime, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Connection]:
        """Give a connection of its own for one request: requests may wait, on any thread."""
        connection = self._fresh_connection()
        try:
            yield connection
        finally:
            connection.close()

    def _fresh_connection(self) -> Connection:
        connection = connect(self._places)
        if connection is None:
            # What the owner's connection says of it is the better message.
            with self._lock:
                self._owner.request("hello")
            raise InstanceError("the hypervisor takes no connections", code="HYPERVISOR_GONE")
        return connection


def shut_down(name: str) -> bool:
    """End the instance called `name` and all its enclaves; False when it does not run."""
    return end_hypervisor(named_places(name))
