"""Runs nitro-cli with files of its own, in this process or in one of its own.

In this process a command takes milliseconds. It runs in the instance that the environment names.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nitrosim.cli.nitro_cli.environment import Environment
from nitrosim.cli.nitro_cli.main import Machine, run
from nitrosim.hypervisor.client import Connection, connect
from nitrosim.places import named_places

NITROSIM = (sys.executable, "-m", "nitrosim.cli.main")
NITRO_CLI = (sys.executable, "-m", "nitrosim.cli.nitro_cli.main")
# How long something may take that happens at once unless it never does.
PATIENCE = 30


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    status: int
    output: str
    errors: str

    @property
    def codes(self) -> list[str]:
        """The codes of the errors that it printed."""
        return re.findall(r"^\[ (E\d\d) \]", self.errors, re.MULTILINE)


class NitroCli:
    """nitro-cli with folders, a pool and images of its own.

    Attributes:
        folder: where everything is.
        sockets: the directory of the enclaves' sockets.
        waiting: an image whose program ends when somebody connects to its port 5000.
        ending: an image whose program ends at once.

    """

    port = 5000

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.sockets = folder / "sockets"
        self.allocator = folder / "allocator.yaml"
        self.waiting = folder / "waiting.eif"
        self.ending = folder / "ending.eif"
        for directory in (self.sockets, folder / "logs"):
            directory.mkdir()

    def variables(self) -> dict[str, str]:
        """Return the variables that lead nitro-cli here."""
        return {
            "NITRO_CLI_LOGS_PATH": str(self.folder / "logs"),
            "NITRO_CLI_SOCKETS_PATH": str(self.sockets),
            "NITROSIM_ALLOCATOR": str(self.allocator),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    def build(self, program: Path) -> None:
        """Make the images."""
        root = self.folder / "root"
        (root / "bin").mkdir(parents=True)
        shutil.copy2(program, root / "bin" / "app")
        for image, words in ((self.waiting, ()), (self.ending, ("end",))):
            source = ("--rootfs", str(root), "--env", "NITROSIM_INSIDE=1", "-o", str(image))
            build = [*NITROSIM, "build", *source, "--", "/bin/app", *words]
            subprocess.run(build, capture_output=True, check=True)

    def set_pool(self, *, cpus: str, memory_mib: int) -> None:
        """Write the file of the allocator."""
        text = f"---\nmemory_mib: {memory_mib}\ncpu_pool: {cpus}\n"
        self.allocator.write_text(text, "ascii")

    def call(self, *words: object) -> Done:
        """Run a command in this process."""
        machine = Machine(environment=Environment(variables=os.environ), process=os.getpid())
        output, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            status = run([str(word) for word in words], machine)
        return Done(status, *(_written(stream) for stream in (output, errors)))

    def start(self, *words: object, **options: Any) -> subprocess.Popen[str]:
        """Start a command as a process of its own; the caller ends it."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        command = [*NITRO_CLI, *map(str, words)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)

    def run(self, *words: object, **options: Any) -> Done:
        """Run a command as a process of its own."""
        return self.result(self.start(*words, **options))

    def result(self, process: subprocess.Popen[str]) -> Done:
        """Wait until a command has ended."""
        output, errors = process.communicate(timeout=PATIENCE)
        return Done(process.returncode, output, errors)

    def described(self, *words: str) -> Any:
        """Return what describe-enclaves prints, which ends well."""
        done = self.call("describe-enclaves", *words)
        assert (0, "") == (done.status, done.errors)
        return json.loads(done.output)

    def hypervisor(self) -> Connection | None:
        """Connect to the hypervisor; None if it does not run."""
        return connect(named_places(os.environ["NITROSIM_INSTANCE"]))

    def hypervisor_runs(self) -> bool:
        """Say whether somebody can be asked."""
        connection = self.hypervisor()
        if connection is not None:
            connection.close()
        return connection is not None

    def ask(self, operation: str, **fields: Any) -> Any:
        """Ask the hypervisor, which runs."""
        answer, fd = self.ask_for_fd(operation, **fields)
        assert fd is None
        return answer

    def ask_for_fd(self, operation: str, **fields: Any) -> tuple[Any, int | None]:
        """Ask the hypervisor, which runs; return the descriptor that comes with the answer too."""
        connection = self.hypervisor()
        assert connection is not None
        with contextlib.closing(connection):
            return connection.request_with_fd(operation, **fields)

    def kill_hypervisor(self) -> None:
        """Let the hypervisor end without a chance to tidy up; return when it is gone."""
        hypervisor = self.ask("hello")["pid"]
        pidfd = os.pidfd_open(hypervisor)
        os.kill(hypervisor, signal.SIGKILL)
        ended, _, _ = select.select([pidfd], [], [], PATIENCE)
        os.close(pidfd)
        assert ended

    def assert_nothing_is_left(self) -> None:
        """Say whether no enclave is there, and nothing of one."""
        assert [] == self.described()
        assert [] == list(self.sockets.iterdir())
        assert [] == self.ask("list")["enclaves"]
        assert {"ok": True, "cpu_ids": [], "memory_mib": 0} == self.ask("lent")

    def socket_of(self, enclave_id: str) -> Path:
        """Return the path of the socket of an enclave."""
        return self.sockets / f"{enclave_id.rpartition('-enc')[2]}.sock"

    def await_end(self, enclave_id: str) -> None:
        """Return when an enclave has ended and its socket is gone."""
        instance, _enc, slot = enclave_id.rpartition("-enc")
        self.ask("wait", enclave=f"{instance}-enc{slot:0>16}", timeout=PATIENCE)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.detach().getvalue().decode()
