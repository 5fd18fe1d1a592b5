"""Builds the programs that hold the verifiers, once for exactly their sources.

Everything that is made goes to ``target/`` and ``bin/`` beside this file, where git does not look.
The names in ``bin/`` carry a hash of what went in; a program that is there needs no toolchain.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from base64 import encodebytes
from collections.abc import Callable
from pathlib import Path

from verifiers.jobs import CORPUS

HERE = Path(__file__).resolve().parent
TARGET = HERE / "target"

_PATIENCE_S = 540


class UnavailableError(Exception):
    """A verifier cannot be had on this machine.

    Attributes:
        tool: the program that is missing, too old or without a network.

    """

    def __init__(self, tool: str, reason: str) -> None:
        self.tool = tool
        super().__init__(reason)


def go(name: str, source: str = ".") -> Path:
    """Build a Go program of the module in ``go/``: its own, or a file somewhere else."""
    folder = HERE / "go"

    def build(target: Path) -> None:
        _fetch("go", ("mod", "download"), folder)
        command = ("go", "build", "-trimpath", "-buildvcs=false", "-o", str(target), source)
        _run(command, folder, CGO_ENABLED="0")

    files = sorted(folder.glob("*.go")) if source == "." else [folder / source]
    return _built(name, [folder / "go.mod", folder / "go.sum", *files], tool="go", build=build)


def rust(name: str) -> Path:
    """Build a Rust program of the package in ``rust/``, which holds a crate with our root."""
    folder = HERE / "rust"

    def build(target: Path) -> None:
        _demand_rust(folder)
        _copy_with_our_root(folder / "published")
        _fetch("cargo", ("fetch", "--locked"), folder)
        command = ("cargo", "build", "--release", "--locked", "--offline", "--quiet")
        _run(command, folder, CARGO_TARGET_DIR=str(TARGET / "cargo"))
        shutil.copy2(TARGET / "cargo" / "release" / name, target)

    sources = [*sorted(folder.glob("Cargo.*")), *sorted(folder.glob("src/*.rs"))]
    sources += [*sorted((HERE / "examples").glob("*.rs")), folder / "published" / "Cargo.lock"]
    return _built(name, [*sources, _root_of_the_corpus()], tool="cargo", build=build)


def _demand_rust(folder: Path) -> None:
    wanted = tomllib.loads((folder / "Cargo.toml").read_text("utf-8"))["package"]["rust-version"]
    found = _run(("rustc", "--version"), folder).split()[1]
    if _numbers(found) < _numbers(wanted):
        raise UnavailableError("cargo", f"needs Rust {wanted}, found {found}: rustup update")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split("."))


def java(name: str) -> Path:
    """Compile a Java class; returns the folder it is in."""
    folder = HERE / "java"

    def build(target: Path) -> None:
        target.mkdir(exist_ok=True)
        _run(("javac", "-d", str(target), f"{name}.java"), folder)

    return _built(name, [folder / f"{name}.java"], tool="javac", build=build)


def clock() -> Path:
    """Compile the library that tells a process another time of day."""
    source = HERE / "python" / "clock.c"

    def build(target: Path) -> None:
        _run(("cc", "-shared", "-fPIC", "-O1", "-o", str(target), str(source)), source.parent)

    return _built("clock", [source], tool="cc", build=build)


def python() -> Path:
    """Install the Python verifiers into a virtual environment of their own; returns its python."""
    requirements = HERE / "python" / "requirements.txt"

    def build(target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        _run((sys.executable, "-m", "venv", str(target)), HERE)
        install = ("install", "--quiet", "--only-binary", ":all:", "--requirement")
        _fetch(str(target / "bin" / "pip"), (*install, str(requirements)), HERE)

    label = f"python-{platform.python_version()}"
    # A virtual environment cannot be moved, so it is built where it stays.
    made = _built(label, [requirements], tool=sys.executable, build=build, move=False)
    return made / "bin" / "python"


def _root_of_the_corpus() -> Path:
    return CORPUS / "roots" / "corpus.der"


def _copy_with_our_root(published: Path) -> None:
    """Copy the downloaded crate of Evervault, and replace the root that it has in a file."""
    _fetch("cargo", ("fetch", "--locked"), published)
    command = ("cargo", "metadata", "--format-version=1", "--locked", "--offline")
    metadata = json.loads(_run(command, published))
    (manifest,) = (
        Path(package["manifest_path"])
        for package in metadata["packages"]
        if package["name"] == "attestation-doc-validation"
    )
    copy = TARGET / "attestation-doc-validation"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(manifest.parent, copy)
    der = _root_of_the_corpus().read_bytes()
    begin, end = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
    (copy / "src" / "nitro.pem").write_bytes(begin + encodebytes(der) + end)
    (copy / "src" / "nitro.der").write_bytes(der)


def _built(
    name: str,
    sources: list[Path],
    *,
    tool: str,
    build: Callable[[Path], None],
    move: bool = True,
) -> Path:
    """Return what `build` made of the sources, calling it if that is not there."""
    digest = hashlib.sha256(platform.machine().encode())
    for source in sources:
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    program = HERE / "bin" / f"{name}-{digest.hexdigest()[:16]}"
    finished = program.with_name(f"{program.name}.finished")
    if finished.exists():
        return program
    if shutil.which(tool) is None:
        raise UnavailableError(tool, f"needs {tool} to build tests/third_party/verifiers")
    program.parent.mkdir(exist_ok=True)
    TARGET.mkdir(exist_ok=True)
    with (program.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            scratch = program.with_suffix(".new") if move else program
            build(scratch)
            if move:
                scratch.replace(program)
            finished.touch()
    return program


def _run(command: tuple[str, ...], folder: Path, **environment: str) -> str:
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


def _fetch(tool: str, arguments: tuple[str, ...], folder: Path) -> None:
    """Download what a program depends on; without a network it cannot be built."""
    try:
        _run((tool, *arguments), folder)
    except RuntimeError as error:
        tail = str(error).strip().splitlines()[-1]
        raise UnavailableError(Path(tool).name, f"{tool} {arguments[0]} failed: {tail}") from error
