"""A simulated instance with an enclave that measures from the inside, and its counterparts.

The measuring program is ``c/inside.c``, in C because an interpreter would be most of what it
measures. It takes its commands over vsock; what it compares with comes from the same program.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

import machine

from nitrosim.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_COMMAND_PORT = 5000
_INSIDE = {"NITROSIM_INSIDE": "1"}


class Laboratory:
    """Everything that is measured with; a context, made when it is first entered."""

    def __init__(self, folder: Path) -> None:
        """Build the program in `folder`."""
        self._folder = folder
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack) -> None:
        program = machine.build("inside", self._folder)
        instance = stack.enter_context(Instance())
        with instance._asking() as ask:
            self._hypervisor: int = ask.request("hello")["pid"]
        self._peer = stack.enter_context(
            instance.popen_parent(
                [program, "peer"], env={**os.environ, **_INSIDE}, stdout=subprocess.PIPE
            )
        )
        stack.callback(self._peer.kill)
        if self._peer.stdout is None or self._peer.stdout.read(1) != b"\0":
            raise SystemExit("benchmark: the peer on the parent side did not start")
        self._enclave = instance.run_enclave([program, "serve"], app_dir=self._folder, env=_INSIDE)
        stack.callback(self._enclave.console.close)
        self._commands = stack.enter_context(self._enclave.connect(_COMMAND_PORT))
        self._answers = stack.enter_context(self._commands.makefile("r"))
        self._plain = stack.enter_context(
            subprocess.Popen(
                [program, "plain"],
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(self._plain.kill)

    def inside(self, command: str) -> float:
        """Let the program in the enclave measure something; return nanoseconds."""
        self._commands.sendall(f"{command}\n".encode())
        answer = self._answers.readline()
        if not answer:
            console = self._enclave.console.read().decode("utf-8", "replace").strip()
            raise SystemExit(f"benchmark: {command!r} failed in the enclave: {console}")
        return float(answer)

    def plain(self, command: str) -> float:
        """Let the same program measure something outside, without vsock; return nanoseconds."""
        stdin, stdout = self._plain.stdin, self._plain.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{command}\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise SystemExit(f"benchmark: {command!r} failed")
        return float(answer)

    @contextlib.contextmanager
    def pinned(self, *, pin: bool = True) -> Iterator[None]:
        """Keep all programs, the hypervisor and this process on one CPU, or let them go."""
        self._stay(machine.one_cpu() if pin else machine.ANYWHERE)
        try:
            yield
        finally:
            self._stay(machine.ANYWHERE)

    def _stay(self, cpu: int) -> None:
        machine.stay_on(self._hypervisor, cpu)
        self.inside(f"pin {cpu}")
        for family in ("unix", "vsock"):
            self.inside(f"pin-peer {family} {cpu}")
        self.plain(f"pin {cpu}")
        for family in ("unix", "tcp"):
            self.plain(f"pin-peer {family} {cpu}")
        machine.stay_on(0, cpu)

    def wake_penalty(self, count: int) -> float | None:
        """Return the round trip to another CPU / to the same one; None where there is one CPU."""
        other = machine.another_cpu()
        if other is None:
            return None
        with self.pinned():
            same = self.inside(f"rtt unix 1 {count}")
            self.inside(f"pin-peer unix {other}")
            return self.inside(f"rtt unix 1 {count}") / same
