"""The programs that hold the verifiers, and how each is built."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from base64 import encodebytes
from pathlib import Path

from building import built, demand_rust, fetch, run
from verifiers.jobs import CORPUS

HERE = Path(__file__).resolve().parent
TARGET = HERE / "target"


def go(name: str, source: str = ".") -> Path:
    """Build a Go program of the module in ``go/``: its own, or a file somewhere else."""
    folder = HERE / "go"

    def build(target: Path) -> None:
        fetch("go", ("mod", "download"), folder)
        command = ("go", "build", "-trimpath", "-buildvcs=false", "-o", str(target), source)
        run(command, folder, CGO_ENABLED="0")

    files = sorted(folder.glob("*.go")) if source == "." else [folder / source]
    return built(HERE, name, [folder / "go.mod", folder / "go.sum", *files], tool="go", build=build)


def rust(name: str) -> Path:
    """Build a Rust program of the package in ``rust/``, which holds a crate with our root."""
    folder = HERE / "rust"

    def build(target: Path) -> None:
        demand_rust(folder)
        _copy_with_our_root(folder / "published")
        fetch("cargo", ("fetch", "--locked"), folder)
        command = ("cargo", "build", "--release", "--locked", "--offline", "--quiet")
        run(command, folder, CARGO_TARGET_DIR=str(TARGET / "cargo"))
        shutil.copy2(TARGET / "cargo" / "release" / name, target)

    sources = [*sorted(folder.glob("Cargo.*")), *sorted(folder.glob("src/*.rs"))]
    sources += [*sorted((HERE / "examples").glob("*.rs")), folder / "published" / "Cargo.lock"]
    sources.append(_root_of_the_corpus())
    return built(HERE, name, sources, tool="cargo", build=build, slow=True)


def java(name: str) -> Path:
    """Compile a Java class; returns the folder it is in."""
    folder = HERE / "java"

    def build(target: Path) -> None:
        target.mkdir(exist_ok=True)
        run(("javac", "-d", str(target), f"{name}.java"), folder)

    return built(HERE, name, [folder / f"{name}.java"], tool="javac", build=build)


def clock() -> Path:
    """Compile the library that tells a process another time of day."""
    source = HERE / "python" / "clock.c"

    def build(target: Path) -> None:
        run(("cc", "-shared", "-fPIC", "-O1", "-o", str(target), str(source)), source.parent)

    return built(HERE, "clock", [source], tool="cc", build=build)


def python() -> Path:
    """Install the Python verifiers into a virtual environment of their own; returns its python."""
    requirements = HERE / "python" / "requirements.txt"

    def build(target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        run((sys.executable, "-m", "venv", str(target)), HERE)
        install = ("install", "--quiet", "--only-binary", ":all:", "--requirement")
        fetch(str(target / "bin" / "pip"), (*install, str(requirements)), HERE)

    label = f"python-{platform.python_version()}"
    # A virtual environment cannot be moved, so it is built where it stays.
    made = built(HERE, label, [requirements], tool=sys.executable, build=build, move=False)
    return made / "bin" / "python"


def _root_of_the_corpus() -> Path:
    return CORPUS / "roots" / "corpus.der"


def _copy_with_our_root(published: Path) -> None:
    """Copy the downloaded crate of Evervault, and replace the root that it has in a file."""
    fetch("cargo", ("fetch", "--locked"), published)
    command = ("cargo", "metadata", "--format-version=1", "--locked", "--offline")
    metadata = json.loads(run(command, published))
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
