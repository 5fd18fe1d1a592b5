"""What the tests with real namespaces share: an instance, enclaves and parent programs in it.

The programs that run inside are in ``programs/``: plain Python on the standard library, one file
per topic, one function per case. They refuse to run outside of the simulator.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nitrosim.backends.command import image_from_command
from nitrosim.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        command = [*PYTHON, f"/app/{program}.py", case, *map(str, arguments)]
        environment = {"NITROSIM_INSIDE": "1"}
        image = image_from_command(command, app_dir=PROGRAMS, environment=environment)
        return keep_enclave(instance.run_image(image, interruptible=interruptible, **options))

    return run


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
