"""Find the launcher, and start it. Linux only.

The launcher (native/launcher.c) is a plan followed by a loop: this module writes the
plan. What the plan may contain is in :mod:`nitrosim.sandbox.operation`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nitrosim.errors import HostNotSupportedError, Requirement
from nitrosim.sandbox.bpf import filter_program, supported_machine
from nitrosim.sandbox.calls import CALLS, calls_of_enclave
from nitrosim.sandbox.descriptors import place_descriptors
from nitrosim.sandbox.operation import Operation

_CONTROL, _STARTED, _FILTER = 3, 4, 5
#: Python ignores SIGPIPE, and a client may ignore others; a program expects defaults.
_DEFAULT_SIGNALS = tuple(
    number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)
)


@dataclass(frozen=True, slots=True)
class Launch:
    """A launcher on its way: `pid` is a child that ends by itself, `control` reports.

    `started` is readable (end of file) once the command has been executed, or holds
    the error. Both are owned by whoever has this.
    """

    pid: int
    control: socket.socket
    started: int


def launcher_path() -> Path:
    """Return the compiled launcher; compile it first if the package came without.

    Raises:
        HostNotSupportedError: there is none and it cannot be compiled.

    """
    package = Path(__file__).parent
    sources = package / "native"
    ours = package / "launcher"
    if ours.exists():
        return ours
    # Only who installed without a compiler pays for what compiles.
    from nitrosim.sandbox.compile import (  # noqa: PLC0415 - see above
        CompileError,
        compile_launcher,
    )

    compiled = _cache_directory() / f"launcher-{_fingerprint(sources)}"
    if compiled.exists():
        return compiled
    try:
        compiled.parent.mkdir(parents=True, exist_ok=True)
        compile_launcher(sources, compiled)
    except (CompileError, OSError) as error:
        raise HostNotSupportedError(
            [
                Requirement(
                    "launcher",
                    f"it was not built when nitrosim was installed, and cannot be now: {error}",
                    "install a C compiler (apt-get install gcc libc6-dev), then run the command "
                    "again",
                )
            ]
        ) from error
    return compiled


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base, "nitrosim")


def _fingerprint(sources: Path) -> str:
    """Return what changes with the sources: a launcher of other sources is another program."""
    digest = hashlib.sha256()
    for file in sorted(sources.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@cache
def filter_file(*, enclave: bool = False, own_init: bool = False) -> int:
    """Return a descriptor of a sealed file in RAM that holds the filter program.

    It is the one for programs of the parent instance, of an `enclave`, or for the init of its
    image (`own_init`).

    Raises:
        HostNotSupportedError: there is no filter for this machine.

    """
    if not supported_machine():
        raise HostNotSupportedError(
            [
                Requirement(
                    "machine",
                    f"no system call table for {os.uname().machine}",
                    "use an x86_64 or aarch64 machine",
                )
            ]
        )
    fd = os.memfd_create("nitrosim-filter", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    calls = CALLS
    if enclave:
        calls = calls_of_enclave(own_init=own_init, host_root=os.geteuid() == 0)
    os.write(fd, filter_program(calls=calls))
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK)
    return fd


def launch_enclave(  # noqa: PLR0913 - the parts of a plan
    operations: Sequence[Operation],
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    host_cpus: Sequence[int] = (),
    own_init: str | None = None,
    interruptible: bool = False,
) -> Launch:
    """Start the launcher of one enclave, as a child of this process.

    `environment` is exactly what the command gets. `host_cpus` are the processors that it may
    run on; none for those of this process. With `own_init` the command is the init of an image,
    and that is the kernel's command line for it. `interruptible` lets its calls be interrupted as
    on kernels before 5.19 (for tests).
    """
    arguments = [str(launcher_path()), "enclave"]
    if host_cpus:
        arguments += ["--cpus", ",".join(map(str, host_cpus))]
    if own_init is not None:
        arguments += ["--own-init", f"{own_init}\n"]
    if interruptible:
        arguments.append("--interruptible")
    for operation in operations:
        arguments += [f"--{operation.name}", *operation.arguments]
    arguments += ["--", *command]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    started, started_theirs = os.pipe()
    try:
        pid = os.posix_spawn(
            arguments[0],
            arguments,
            environment,
            file_actions=place_descriptors(
                {
                    theirs.fileno(): _CONTROL,
                    started_theirs: _STARTED,
                    filter_file(enclave=True, own_init=own_init is not None): _FILTER,
                }
            ),
            setsigmask=(),
            setsigdef=_DEFAULT_SIGNALS,
        )
    except (OSError, TypeError, ValueError):  # nor is a text with a NUL an argument
        ours.close()
        os.close(started)
        raise
    finally:
        theirs.close()
        os.close(started_theirs)
    return Launch(pid, ours, started)
