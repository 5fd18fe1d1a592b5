"""The machine that is measured on: what it is, and which CPU the programs stay on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import cryptography

HERE = Path(__file__).resolve().parent
_BUILD = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-static", "-Wall", "-Wextra")
ANYWHERE = -1


def describe() -> str:
    """Return the line that names the machine."""
    return (
        f"{_cpu_model()}, {len(os.sched_getaffinity(0))} CPUs, Linux {platform.release()}, "
        f"Python {platform.python_version()}, cryptography {cryptography.__version__}"
    )


def load_average() -> str:
    """Return how busy the machine has been: one, five and fifteen minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        name, _colon, value = line.partition(":")
        if name.strip() in ("model name", "Processor"):
            return value.strip()
    return platform.machine()


def build(name: str, folder: Path) -> Path:
    """Compile ``c/NAME.c`` into `folder`, as a static program.

    Raises:
        SystemExit: there is no C compiler.
        subprocess.CalledProcessError: it refuses; it has said why.

    """
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        raise SystemExit("benchmark: no C compiler; apt-get install gcc libc6-dev")
    program = folder / name
    subprocess.run([compiler, *_BUILD, "-o", program, HERE / "c" / f"{name}.c"], check=True)
    return program


def one_cpu() -> int:
    """Return the CPU for pinned figures: the last one, since the first serves most interrupts."""
    return max(os.sched_getaffinity(0))


def another_cpu() -> int | None:
    """Return a second CPU, None where there is one only."""
    others = os.sched_getaffinity(0) - {one_cpu()}
    return max(others) if others else None


def stay_on(pid: int, cpu: int) -> None:
    """Keep a process (0: this one) on `cpu`, or anywhere."""
    os.sched_setaffinity(pid, range(os.cpu_count() or 1) if cpu == ANYWHERE else {cpu})
