"""Starting enclaves: what is asked for, what it is lent, and what comes with it.

A client that starts enclaves as nitro-cli does asks twice: ``reserve`` lends it CPUs of the pool,
then it looks at the image, and ``run`` lends memory and starts. So what is wrong is found in the
order in which nitro-cli finds it, and of two clients that want the same CPUs one gets them. What is
lent goes back when the enclave ends or does not start, or when the client leaves before ``run``.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from nitrosim.errors import NitroSimError
from nitrosim.hypervisor.allocator import Allocator, Loan, check_startable
from nitrosim.hypervisor.boots import Boots
from nitrosim.hypervisor.cli_description import Description, run_facts
from nitrosim.hypervisor.cli_sockets import CliSockets
from nitrosim.hypervisor.control import Client, RequestError
from nitrosim.hypervisor.enclaves import Enclave, Specification, describe
from nitrosim.hypervisor.identity import InstanceIdentity
from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.protocol import Message
from nitrosim.hypervisor.sockets import Side
from nitrosim.hypervisor.specifications import Specifications, image_pcrs
from nitrosim.hypervisor.supervisor import Supervisor
from nitrosim.vsock.addresses import CID_ANY

#: Smallest and largest CID that an enclave may ask for.
_CIDS: Final = range(4, CID_ANY)


class Launches:
    """Serves the requests that lead to enclaves of one instance."""

    def __init__(  # noqa: PLR0913 - the parts of an instance
        self,
        loop: Loop,
        network: Network,
        supervisor: Supervisor,
        identity: InstanceIdentity,
        *,
        names: Callable[[], Collection[str]],
        on_launched: Callable[[Enclave], None],
    ) -> None:
        """`names` gives those in use; `on_launched` gets each enclave when it has been launched."""
        self._loop = loop
        self._network = network
        self._supervisor = supervisor
        self._identity = identity
        self._names = names
        self._on_launched = on_launched
        self._allocator = Allocator()
        self._sockets = CliSockets(loop)
        self.boots = Boots(loop, network)
        self._specifications = Specifications(identity.instance_id)
        self._reserved: dict[Client, tuple[Loan, Callable[[], None]]] = {}
        self._next_number = 1

    # ---- what is lent ----

    def reserve(self, client: Client, request: Message, _fds: list[int]) -> None:
        """Lend CPUs to a client; they are its next enclave's."""
        if client in self._reserved:
            raise RequestError("PROTOCOL", "this client has reserved CPUs already")
        count = request.get("cpu_count")
        loan = self._allocator.lend_cpus(
            [[int(cpu) for cpu in core] for core in request["cores"]],
            count=None if count is None else int(count),
            named=[int(cpu) for cpu in request.get("cpu_ids") or ()],
        )

        def give_back() -> None:
            self._reserved.pop(client, None)
            self._allocator.give_back(loan)

        self._reserved[client] = loan, give_back
        client.on_close.append(give_back)
        client.answer({"cpu_ids": list(loan.cpu_ids)})

    def lent(self, client: Client, _request: Message, _fds: list[int]) -> None:
        """Say what enclaves have of the pool."""
        client.answer(
            {"cpu_ids": self._allocator.cpu_ids, "memory_mib": self._allocator.memory_mib}
        )

    def _take_reserved(self, client: Client) -> Loan | None:
        """Return what the client has reserved, no longer reserved; None for one that has not."""
        if client not in self._reserved:
            return None
        loan, give_back = self._reserved.pop(client)
        client.forget(give_back)
        return loan

    # ---- starting ----

    def run(self, client: Client, request: Message, fds: list[int]) -> None:
        """Start an enclave; answered when its program runs, or when its init does (``boot``).

        If ``booting`` is in the answer, the init is that of an image, and ``booted`` asks for
        the rest. A descriptor that comes with it is the file with the metadata of the image.
        """
        with contextlib.ExitStack() as undo:
            loan = self._take_reserved(client)
            if loan is not None:
                undo.callback(self._allocator.give_back, loan)
                self._allocator.lend_memory(
                    loan, int(request["memory_mib"]), pool_mib=int(request["memory_pool_mib"])
                )
                check_startable(loan)
            _check_paths(request)
            description = Description(pcrs=image_pcrs(request), metadata=_read_and_close(fds))
            # A client may know of enclaves that are not ours.
            names = {*self._names(), *(str(name) for name in request.get("taken_names") or ())}
            specification = self._specifications.read(request, names, loan)
            booting = undo.enter_context(contextlib.ExitStack())
            if specification.boot:
                self.boots.port.hold()
                booting.callback(self.boots.port.let_go)
            side = self._new_side(request.get("cid"))
            undo.callback(self._network.remove_side, side)
            enclave = self._new_enclave(specification, side)

            def started(failure: str) -> None:
                # While an init is waited for, its port stays held.
                if failure or not specification.waits_for_init:
                    booting.close()
                self._started(client, request, enclave, description, failure)

            if specification.own_init is not None and not specification.boot:
                self.boots.answer_heartbeat(enclave)
                undo.callback(self.boots.port.forget, side)
            try:
                enclave.start(started)
            except (OSError, NitroSimError) as error:
                raise RequestError("ENCLAVE_START", str(error)) from error
            undo.pop_all()
        if loan is not None:
            enclave.end_callbacks.append(lambda: self._allocator.give_back(loan))
        self._on_launched(enclave)
        if not request.get("detach"):
            client.on_close.append(enclave.terminate)
            enclave.end_callbacks.append(lambda: client.forget(enclave.terminate))

    def _new_side(self, cid: object) -> Side:
        if cid is not None and not (isinstance(cid, int) and cid in _CIDS):
            raise RequestError(
                "ENCLAVE_CID", f"an enclave cannot have CID {cid}: expected 4 to {_CIDS[-1]}"
            )
        side = self._network.add_side(cid)
        if side is None:
            raise RequestError("ENCLAVE_CID", f"CID {cid} is taken by another enclave")
        return side

    def _new_enclave(self, specification: Specification, side: Side) -> Enclave:
        identity = self._identity.new_enclave()
        number = self._next_number
        self._next_number += 1
        return Enclave(
            self._loop,
            self._network,
            self._supervisor,
            number=number,
            specification=specification,
            side=side,
            identity=identity,
            nsm=self._identity.new_nsm(identity, dict(specification.pcrs)).handle,
        )

    def _started(
        self,
        client: Client,
        request: Message,
        enclave: Enclave,
        description: Description,
        failure: str,
    ) -> None:
        if failure:
            client.refuse(RequestError("ENCLAVE_START", failure))
            return

        def show() -> None:
            if request.get("sockets") is not None:
                self._sockets.add(
                    enclave, Path(request["sockets"]), description, log=request.get("log")
                )

        answer: Message = {}
        if enclave.specification.waits_for_init:
            answer["booting"] = True
            self.boots.begin(client, enclave, show)
        else:
            try:
                show()
            except RequestError as error:
                refusal = error
                enclave.end_callbacks.append(lambda: client.refuse(refusal))
                enclave.terminate()
                return
        console = enclave.console.follow(lossless=bool(request.get("lossless")))
        answer |= {"enclave": describe(enclave), "run_enclave": run_facts(enclave)}
        client.answer(answer, console)
        os.close(console)


def _check_paths(request: Message) -> None:
    """Raise ValueError or TypeError for what is no path: it is used when the enclave runs."""
    for name in ("sockets", "log"):
        path = request.get(name)
        if path is not None and b"\0" in os.fsencode(path):
            raise ValueError(f"{name} has a NUL: {path!r}")


def _read_and_close(fds: list[int]) -> str:
    """Return the text of the file that came with a request; "" if none did."""
    if not fds:
        return ""
    # Nobody may make us wait, as a pipe would.
    if not stat.S_ISREG(os.fstat(fds[0]).st_mode):
        raise RequestError("PROTOCOL", "a run request comes with a file of metadata or nothing")
    with os.fdopen(fds.pop(), "rb") as file:
        try:
            return file.read().decode("utf-8", "replace")
        except OSError as error:
            raise RequestError("PROTOCOL", f"cannot read the metadata: {error}") from error
