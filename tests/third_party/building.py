"""Builds the programs of others that tests use, once for exactly their sources.

What is built goes to ``bin/`` and ``target/`` beside the sources, where git does not look. Names in
``bin/`` carry a hash of what went in; a program that is there needs no toolchain.

Some take minutes. Those are built by ``make programs`` only (it sets ``NITROSIM_BUILD``), so that
``make test`` never surprises anybody with them; their tests are skipped until then.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

_PATIENCE_S = 900


class UnavailableError(Exception):
    """A program of others cannot be had on this machine.

    Attributes:
        tool: what is missing, too old or without a network; ``programs`` if it is not built yet.

    """

    def __init__(self, tool: str, reason: str) -> None:
        self.tool = tool
        super().__init__(reason)


def built(
    folder: Path,
    name: str,
    sources: Iterable[Path],
    *,
    tool: str,
    build: Callable[[Path], None],
    command: tuple[str, ...] = (),
    slow: bool = False,
    move: bool = True,
) -> Path:
    """Return what `build` made of `sources`, calling it with the path to write if it is not there.

    Args:
        folder: where ``bin/`` is.
        name: first part of the program's name.
        sources: files that the program is made of.
        tool: what builds it; without it the program is unavailable.
        build: makes the program, or the folder, at the path that it is given.
        command: what else decides the result, such as the compiler's flags.
        slow: whether it takes minutes.
        move: whether it can be moved when it is finished.

    Safe with several test processes at once. Raises `UnavailableError`.

    """
    digest = hashlib.sha256(repr((command, platform.machine())).encode())
    for source in sources:
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    program = folder / "bin" / f"{name}-{digest.hexdigest()[:16]}"
    finished = program.with_name(f"{program.name}.finished")
    if finished.exists():
        return program
    if shutil.which(tool) is None:
        raise UnavailableError(Path(tool).name, f"needs {tool} to build {folder.name}/{name}")
    if slow and not os.environ.get("NITROSIM_BUILD"):
        raise UnavailableError("programs", f"{folder.name}/{name} is not built yet: make programs")
    program.parent.mkdir(exist_ok=True)
    with (program.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            scratch = program.with_suffix(".new") if move else program
            build(scratch)
            if move:
                scratch.replace(program)
            finished.touch()
    return program


def run(command: tuple[str, ...], folder: Path, **environment: str) -> str:
    """Run a step of a build; return its standard output. Raises `RuntimeError` with its errors."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_S,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} in {folder}:\n{done.stderr}")
    return done.stdout


def fetch(tool: str, arguments: tuple[str, ...], folder: Path) -> None:
    """Download what a program depends on; without a network it is unavailable."""
    try:
        run((tool, *arguments), folder)
    except RuntimeError as error:
        tail = str(error).strip().splitlines()[-1]
        raise UnavailableError(Path(tool).name, f"{tool} {arguments[0]} failed: {tail}") from error


def demand_rust(folder: Path) -> None:
    """Raise `UnavailableError` if the compiler is older than what a package asks for."""
    wanted = tomllib.loads((folder / "Cargo.toml").read_text("utf-8"))["package"]["rust-version"]
    found = run(("rustc", "--version"), folder).split()[1]
    if _numbers(found) < _numbers(wanted):
        raise UnavailableError("cargo", f"needs Rust {wanted}, found {found}: rustup update")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split("."))
