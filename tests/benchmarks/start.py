"""Rows 3 and 4: how long until a program runs in a fresh enclave."""

from __future__ import annotations

import contextlib
import functools
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

import machine
from method import Target

from nitrosim.backends.command import image_from_command
from nitrosim.instance import Instance
from nitrosim.sandbox.launcher import filter_file, launcher_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from method import Figure, Method

LAUNCHER = Target(goal=4.0, gate=6.0)
PYTHON_API = Target(goal=5.0, gate=10.0)


def launcher(folder: Path, method: Method) -> Iterator[Figure]:
    """Row 3: the launcher, until the program's first byte / fork and exec of the same program."""
    count = method.count(10)
    first, spawner = machine.build("first", folder), machine.build("spawner", folder)
    image = image_from_command([str(first)])
    operations = [
        word
        for operation in image.operations
        for word in (f"--{operation.name}", *operation.arguments)
    ]
    fd = filter_file()
    with subprocess.Popen(
        [spawner, first, launcher_path(), str(fd), *operations],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(fd,),
    ) as process:

        def ask(command: str) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{command}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                raise SystemExit(f"benchmark: the spawner failed at {command!r}")
            return float(answer)

        yield method.figure(
            3,
            "cold start to the first instruction / fork + exec",
            LAUNCHER,
            functools.partial(ask, f"bare {count}"),
            functools.partial(ask, f"enclave {count}"),
        )


def python_api(_folder: Path, method: Method) -> Iterator[Figure]:
    """Row 4: a fresh enclave through the Python API / subprocess.run, both with ``true``."""
    count = method.count(10)

    def baseline() -> None:
        subprocess.run(["true"], check=True)

    with Instance() as instance:

        def to_the_end() -> None:
            enclave = instance.run_enclave(["true"])
            with contextlib.closing(enclave.console):
                enclave.wait()

        def until_it_runs() -> float:
            times = []
            for _repetition in range(count):
                start = time.perf_counter_ns()
                enclave = instance.run_enclave(["true"])
                times.append(time.perf_counter_ns() - start)
                with contextlib.closing(enclave.console):
                    enclave.wait()
            return statistics.median(times)

        yield method.figure(
            4,
            "fresh enclave through the Python API / subprocess.run, both to the end",
            PYTHON_API,
            lambda: _median_time(baseline, count),
            lambda: _median_time(to_the_end, count),
        )
        yield method.figure(
            4,
            "the same, the enclave until its program has been executed",
            PYTHON_API,
            lambda: _median_time(baseline, count),
            until_it_runs,
            gated=False,
        )


def _median_time(function: Callable[[], object], count: int) -> float:
    times = []
    for _repetition in range(count):
        start = time.perf_counter_ns()
        function()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times)
