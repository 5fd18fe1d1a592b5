"""Row 1: how long nitro-cli takes to start."""

from __future__ import annotations

import functools
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

from method import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from method import Figure, Method

START = Target(goal=1.9, gate=2.5)

_PYTHON = (sys.executable, "-c", "pass")
_COMMANDS = {("--version",): b"Nitro CLI 1.5.0\n", ("describe-enclaves",): b"[]\n"}
"""Command lines and what they print."""


def nitro_cli(folder: Path, method: Method) -> Iterator[Figure]:
    """Row 1: nitro-cli, to its end / Python that does nothing."""
    program = Path(sysconfig.get_path("scripts")) / "nitro-cli"
    if not program.exists():
        raise SystemExit(f"benchmark: there is no {program}; make setup")
    count = method.count(20)
    environment = _environment(folder)
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


def _environment(folder: Path) -> dict[str, str]:
    """Return variables with which compiled modules are kept, and no enclave runs."""
    own = {"NITRO_CLI_LOGS_PATH": folder / "logs", "NITRO_CLI_SOCKETS_PATH": folder / "sockets"}
    for path in own.values():
        path.mkdir()
    variables = {
        **os.environ,
        **{name: str(path) for name, path in own.items()},
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
    }
    # Whoever forbids Python to keep them does not want to know how long compiling takes.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    variables.pop("NITROSIM_NITRO_CLI_VERSION", None)
    return variables


def _median_time(
    command: Sequence[str | Path], environment: Mapping[str, str], count: int
) -> float:
    times = []
    for _repetition in range(count):
        start = time.perf_counter_ns()
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times)
