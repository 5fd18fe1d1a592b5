"""What clients can ask of the hypervisor, one method per request.

Requests name an enclave by ``enclave``: its number (as given by ``run``), its name or
its EnclaveID. Byte strings travel as hexadecimal text, times in seconds.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from nitrosim.hypervisor.control import Client, RequestError
from nitrosim.hypervisor.enclaves import Enclave, State, describe
from nitrosim.hypervisor.identity import InstanceIdentity
from nitrosim.hypervisor.launches import Launches
from nitrosim.hypervisor.loop import Loop, Timer
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.notify import Listener
from nitrosim.hypervisor.protocol import Message
from nitrosim.hypervisor.supervisor import Supervisor
from nitrosim.vsock.addresses import Address

#: Ended enclaves that can still be asked for their status and console.
_REMEMBERED = 64


class HypervisorOperations:
    """Serves requests on the enclaves, the network and the identity of one instance."""

    def __init__(  # noqa: PLR0913 - the parts of an instance
        self,
        loop: Loop,
        network: Network,
        supervisor: Supervisor,
        identity: InstanceIdentity,
        *,
        on_idle: Callable[[], None],
        on_shutdown: Callable[[], None],
    ) -> None:
        """`on_idle` is called when the last enclave or parent program has ended."""
        self._loop = loop
        self._network = network
        self._supervisor = supervisor
        self._identity = identity
        self._on_idle = on_idle
        self._on_shutdown = on_shutdown
        self._enclaves: dict[int, Enclave] = {}
        self._ended: dict[int, Enclave] = {}
        self._parents = 0
        self._ending = False
        self._launches = Launches(
            loop,
            network,
            supervisor,
            identity,
            names=lambda: {enclave.specification.name for enclave in self._enclaves.values()},
            on_launched=self._launched,
        )
        self._by_name: dict[str, Callable[[Client, Message, list[int]], None]] = {
            "hello": self._hello,
            "reserve": self._launches.reserve,
            "lent": self._launches.lent,
            "run": self._launches.run,
            "booted": self._launches.boots.booted,
            "list": self._list,
            "wait": self._wait,
            "terminate": self._terminate,
            "console": self._console,
            "connect": self._connect,
            "listen": self._listen,
            "nsm": self._nsm,
            "attach-parent": self._attach_parent,
            "shutdown": self._shutdown,
        }

    def serve(self, client: Client, request: Message, fds: list[int]) -> None:
        """Answer `request` now or later."""
        operation = self._by_name.get(str(request.get("op")))
        if operation is None:
            raise RequestError("PROTOCOL", f"no such request: {request.get('op')!r}")
        try:
            operation(client, request, fds)
        except (LookupError, OverflowError, TypeError, ValueError) as error:
            raise RequestError("PROTOCOL", f"bad {request['op']} request: {error!r}") from error

    @property
    def busy(self) -> bool:
        """Whether anything runs that the end of the instance has to wait for."""
        # Programs of the parent go on without the instance.
        return bool(self._enclaves or (self._parents and not self._ending))

    def end_all(self, on_done: Callable[[], None]) -> None:
        """Terminate every enclave; call `on_done` when the last has ended."""
        self._on_idle = on_done
        self._ending = True
        for enclave in list(self._enclaves.values()):
            enclave.terminate()
        if not self._enclaves:
            on_done()

    # ---- requests ----

    def _hello(self, client: Client, _request: Message, _fds: list[int]) -> None:
        identity = self._identity
        client.answer(
            {
                "pid": os.getpid(),
                "instance_id": identity.instance_id,
                "region": identity.region,
                "root": identity.root.certificate_der.hex(),
            }
        )

    def _list(self, client: Client, _request: Message, _fds: list[int]) -> None:
        client.answer({"enclaves": [describe(e) for e in self._enclaves.values()]})

    def _wait(self, client: Client, request: Message, _fds: list[int]) -> None:
        enclave = self._find(request, ended_too=True)

        def answer() -> None:
            client.answer({"status": enclave.status})

        if enclave.state is State.ENDED:
            answer()
            return
        enclave.end_callbacks.append(answer)
        self._limit(
            client,
            request,
            withdraw=lambda: enclave.end_callbacks.remove(answer),
            pending=lambda: answer in enclave.end_callbacks,
            what=f"enclave {enclave.specification.name} has not ended",
        )

    def _terminate(self, client: Client, request: Message, _fds: list[int]) -> None:
        enclave = self._find(request)
        enclave.end_callbacks.append(lambda: client.answer({"status": enclave.status}))
        enclave.terminate()

    def _console(self, client: Client, request: Message, _fds: list[int]) -> None:
        enclave = self._find(request, ended_too=True)
        reader = enclave.console.follow(lossless=bool(request.get("lossless")))
        client.answer({}, reader)
        os.close(reader)

    def _connect(self, client: Client, request: Message, _fds: list[int]) -> None:
        enclave = self._find(request)
        port = int(request["port"])

        def attempt() -> None:
            if enclave.state is State.ENDED:
                client.refuse(
                    RequestError(
                        "ENCLAVE_ENDED",
                        f"enclave {enclave.specification.name} ended with status "
                        f"{enclave.status} before it listened on port {port}",
                    )
                )
                return
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                state = self._network.table.add(sock, self._network.parent)
                error = self._network.connect(sock, state, Address(enclave.side.cid, port))
                if error:
                    client.refuse(RequestError("CONNECTION_RESET", os.strerror(error)))
                    return
                assert state.local is not None
                client.answer({"port": state.local.port}, sock.fileno())

        if self._network.is_listening(enclave.side, port) or request.get("timeout") == 0:
            attempt()
            return
        waiting = True

        def wake() -> None:
            nonlocal waiting
            waiting = False
            # An enclave that ends is marked so after its side is gone.
            self._loop.call_later(0, attempt)

        def withdraw() -> None:
            nonlocal waiting
            waiting = False
            self._network.stop_waiting(enclave.side, port, wake)

        self._network.when_listening(enclave.side, port, wake)
        self._limit(
            client,
            request,
            withdraw=withdraw,
            pending=lambda: waiting,
            what=f"nobody in enclave {enclave.specification.name} listens on port {port}",
        )

    def _listen(self, client: Client, request: Message, _fds: list[int]) -> None:
        port = request.get("port")
        try:
            sock, port = self._network.listen_as_parent(None if port is None else int(port))
        except OSError as error:
            raise RequestError(
                "PORT_IN_USE", f"cannot listen on port {port} of CID 3: {error.strerror}"
            ) from error
        with sock:
            client.answer({"port": port}, sock.fileno())

    def _nsm(self, client: Client, request: Message, _fds: list[int]) -> None:
        enclave = self._find(request)
        client.answer({"response": enclave.nsm(bytes.fromhex(request["request"])).hex()})

    def _attach_parent(self, client: Client, request: Message, fds: list[int]) -> None:
        killable = bool(request["killable"])
        listener = Listener(fds.pop(), killable=killable)
        self._parents += 1
        self._supervisor.add(listener, self._network.parent, on_end=self._ended_parent)
        client.answer({})

    def _shutdown(self, client: Client, _request: Message, _fds: list[int]) -> None:
        client.answer({})
        self._on_shutdown()

    # ---- the rest ----

    def _launched(self, enclave: Enclave) -> None:
        self._enclaves[enclave.number] = enclave
        enclave.end_callbacks.append(lambda: self._ended_enclave(enclave))

    def _find(self, request: Message, *, ended_too: bool = False) -> Enclave:
        wanted = request["enclave"]
        pools = (self._enclaves, self._ended) if ended_too else (self._enclaves,)
        for enclave in (enclave for pool in pools for enclave in pool.values()):
            names = (enclave.specification.name, enclave.module_id, enclave.enclave_id)
            if wanted in (enclave.number, *names):
                return enclave
        if isinstance(wanted, int) and (ended := self._ended.get(wanted)):
            raise RequestError(
                "ENCLAVE_ENDED",
                f"enclave {ended.specification.name} has ended with status {ended.status}",
            )
        raise RequestError("NO_SUCH_ENCLAVE", f"no enclave {wanted!r} runs in this instance")

    def _limit(
        self,
        client: Client,
        request: Message,
        *,
        withdraw: Callable[[], None],
        pending: Callable[[], bool],
        what: str,
    ) -> None:
        """End a waiting request when its time is up or its client goes."""
        timer: Timer | None = None

        def left() -> None:
            if timer is not None:
                timer.cancel()
            if pending():
                withdraw()

        def expired() -> None:
            client.forget(left)
            if pending():
                withdraw()
                client.refuse(RequestError("TIMEOUT", f"{what} within {request['timeout']} s"))

        client.on_close.append(left)
        if request.get("timeout") is not None:
            timer = self._loop.call_later(float(request["timeout"]), expired)

    def _ended_enclave(self, enclave: Enclave) -> None:
        del self._enclaves[enclave.number]
        self._ended[enclave.number] = enclave
        if len(self._ended) > _REMEMBERED:
            self._ended.pop(next(iter(self._ended))).console.close()
        if not self.busy:
            self._on_idle()

    def _ended_parent(self) -> None:
        self._parents -= 1
        if not self.busy:
            self._on_idle()
