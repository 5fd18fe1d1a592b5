"""Rows 1 and 27: how long nitro-cli takes to start, and to start an enclave."""

from __future__ import annotations

import functools
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import machine
from method import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from method import Figure, Method

START = Target(goal=1.9, gate=2.5)
RUN_ENCLAVE = Target(goal=5.0, gate=7.0)

_PYTHON = (sys.executable, "-c", "pass")
_COMMANDS = {("--version",): b"Nitro CLI 1.5.0\n", ("describe-enclaves",): b"[]\n"}
"""Command lines and what they print."""


def nitro_cli(folder: Path, method: Method) -> Iterator[Figure]:
    """Row 1: nitro-cli, to its end / Python that does nothing."""
    program = _program("nitro-cli")
    count = method.count(20)
    environment = _environment(folder / "start")
    for words, expected in _COMMANDS.items():
        done = subprocess.run([program, *words], env=environment, capture_output=True, check=False)
        if done.stdout != expected:
            raise SystemExit(f"benchmark: nitro-cli {' '.join(words)} printed {done!r}")
        yield method.figure(
            1,
            f"nitro-cli {' '.join(words)} / python -c pass",
            START,
            functools.partial(_median_time, _PYTHON, environment, count),
            functools.partial(_median_time, (program, *words), environment, count),
        )


def run_enclave(folder: Path, method: Method) -> Iterator[Figure]:
    """Row 27: nitro-cli run-enclave of an image it has run before / Python that does nothing."""
    # Short: an AF_UNIX address has little room.
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as runtime:
        own = {"HOME": runtime, "XDG_RUNTIME_DIR": runtime, "NITROSIM_INSTANCE": "bench"}
        environment = {**_environment(folder / "run-enclave"), **own}
        image = _image(folder / "run-enclave", environment)
        settings = ("--cpu-count", "2", "--memory", "64")
        command = (_program("nitro-cli"), "run-enclave", "--eif-path", image, *settings)
        _run((*command, "--enclave-name", "first"), environment)
        try:
            yield method.figure(
                27,
                "nitro-cli run-enclave of a known image / python -c pass",
                RUN_ENCLAVE,
                functools.partial(_median_time, _PYTHON, environment, method.count(20)),
                functools.partial(_median_time, command, environment, method.count(20)),
            )
        finally:
            _run((_program("nitrosim"), "shutdown"), environment)


def _image(folder: Path, environment: Mapping[str, str]) -> Path:
    """Make an image whose program ends at once: nothing of one enclave is there for the next."""
    program, root, image = machine.build("first", folder), folder / "root", folder / "first.eif"
    root.mkdir()
    program.rename(root / "first")
    source = ("--rootfs", root, "--output", image, "--", "/first")
    _run((_program("nitrosim"), "build", *source), environment)
    return image


def _program(name: str) -> Path:
    program = Path(sysconfig.get_path("scripts")) / name
    if not program.exists():
        raise SystemExit(f"benchmark: there is no {program}; make setup")
    return program


def _run(command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    """Run a command once; if that fails its errors are shown."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"benchmark: {' '.join(map(str, command))} failed:\n{done.stderr}")


def _environment(folder: Path) -> dict[str, str]:
    """Return variables with which compiled modules are kept, and no enclave runs."""
    own = {"NITRO_CLI_LOGS_PATH": folder / "logs", "NITRO_CLI_SOCKETS_PATH": folder / "sockets"}
    for path in own.values():
        path.mkdir(parents=True)
    variables = {
        **os.environ,
        **{name: str(path) for name, path in own.items()},
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
    }
    # Whoever forbids Python to keep them does not want to know how long compiling takes.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in ("NITROSIM_NITRO_CLI_VERSION", "NITROSIM_ALLOCATOR"):
        variables.pop(name, None)
    return variables


def _median_time(
    command: Sequence[str | Path], environment: Mapping[str, str], count: int
) -> float:
    times = []
    for _repetition in range(count):
        start = time.perf_counter_ns()
        subprocess.run(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times)
