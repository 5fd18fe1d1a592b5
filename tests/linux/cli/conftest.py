"""The command lines as users run them: processes of their own, in a home of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from nitro_cli_runner import NITROSIM, PATIENCE, NitroCli
from nitrosim.instance import shut_down

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent


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


# ---- nitro-cli ----

# Says that it runs; with an argument ends at once, else when somebody connects. Refuses to run
# outside of the simulator, because of what a vsock socket is there.
ENCLAVE_PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

int main(int count, char **words)
{
    struct sockaddr_vm any = {
        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 5000,
    };
    int listener;

    (void)words;
    puts("up");
    fflush(stdout);
    if (count > 1)
        return 0;
    if (!getenv("NITROSIM_INSIDE"))
        return 1;
    listener = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&any, sizeof any) < 0 || listen(listener, 1) < 0)
        return 1;
    return accept(listener, NULL, NULL) < 0;
}
"""


@pytest.fixture(scope="session")
def enclave_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program of the images, compiled."""
    folder = tmp_path_factory.mktemp("enclave")
    (folder / "app.c").write_text(ENCLAVE_PROGRAM)
    subprocess.run(["cc", "-static", "-o", "app", "app.c"], cwd=folder, check=True)
    return folder / "app"


@pytest.fixture(scope="module")
def nitro_cli(home: Path, enclave_program: Path) -> Iterator[NitroCli]:
    """Give the tests of one file nitro-cli with everything it needs, and images to run."""
    cli = NitroCli(home / "parent")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in cli.variables().items():
            monkeypatch.setenv(name, value)
        cli.build(enclave_program)
        yield cli


@pytest.fixture
def parent(nitro_cli: NitroCli) -> Iterator[NitroCli]:
    """Give nitro-cli a pool for three enclaves; nothing runs before and after."""
    nitro_cli.set_pool(cpus="1-3,5-7", memory_mib=1024)
    yield nitro_cli
    shut_down(os.environ["NITROSIM_INSTANCE"])


@pytest.fixture
def run_words(parent: NitroCli) -> tuple[object, ...]:
    """Return the command line of run-enclave."""
    settings = ("--memory", 64, "--cpu-count", 2, "--debug-mode")
    return ("run-enclave", "--eif-path", parent.waiting, *settings)
