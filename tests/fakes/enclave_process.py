"""The process that run-enclave leaves behind, at its socket, as the other sub-commands see it."""

from __future__ import annotations

import json
import socket
import threading


class EnclaveProcess:
    """The process of an enclave: it answers as it was told to, and notes what it was asked.

    `answers` has by operation what to send, with a descriptor or without; b"" is a connection that
    ends without an answer. A process without answers never says anything.
    """

    def __init__(self, path, answers):
        self.asked = []
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        if answers is not None:
            self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            with connection:
                operation, *arguments = connection.recv(4096).decode().split("\0")
                self.asked.append((operation, *arguments))
                answer, *fds = self._answers.get(operation, (b"PROTOCOL\0no such request",))
                if answer:
                    socket.send_fds(connection, [answer], fds)

    def end(self):
        """Answer no more; the file of the socket stays."""
        if self._thread.is_alive():
            self._listener.shutdown(socket.SHUT_RDWR)
            self._thread.join()
        self._listener.close()


def answers_of(slot, *, name=None, facts=None, console=None):
    """Return what the process of an enclave in good order answers."""
    name, enclave_id = name or f"e{slot}", f"i-0-enc{slot}"
    facts = facts or {"EnclaveName": name, "CPUIDs": [1, 5]}
    answers = {
        "name": (f"ok\0{enclave_id}\0{name}".encode(),),
        "describe": (b"ok\0" + json.dumps(facts, indent=2, ensure_ascii=False).encode(),),
        "terminate": (f"ok\0{enclave_id}\0{name}".encode(),),
        "console": (b"NO_CONSOLE\0the enclave does not run in debug mode",),
    }
    if console is not None:
        answers["console"] = (b"ok\x0016", console)
    return answers
