"""The command line as users run it: processes of their own, in a home of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from nitrosim.instance import shut_down

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
NITROSIM = (sys.executable, "-m", "nitrosim.cli.main")
# How long something may take that happens at once unless it never does.
PATIENCE = 30


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Give the processes of one file, and this one, directories of their own; end what ran."""
    # Short: an AF_UNIX address has little room.
    directory = Path(tempfile.mkdtemp(prefix="n", dir="/tmp"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("HOME", str(directory))
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
        monkeypatch.setenv("NITROSIM_STATE", str(directory / "state"))
        monkeypatch.setenv("NITROSIM_INSTANCE", "cli")
        monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
        yield directory
        shut_down("cli")
    shutil.rmtree(directory)


@pytest.fixture
def nitrosim(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the command to its end."""

    def run(*words: object, env: dict[str, str] | None = None, **options: Any) -> Any:
        return subprocess.run(
            [*NITROSIM, *map(str, words)],
            cwd=home,
            env={**os.environ, **(env or {})},
            stdin=options.pop("stdin", None if "input" in options else subprocess.DEVNULL),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            **options,
        )

    return run


@pytest.fixture
def start_nitrosim(home: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a function that starts the command; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: object, **options: Any) -> subprocess.Popen[bytes]:
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **options}
        process = subprocess.Popen([*NITROSIM, *map(str, words)], cwd=home, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                _close(stream)


def _close(stream: IO[bytes]) -> None:
    if not stream.closed:
        stream.close()
