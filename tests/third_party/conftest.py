"""What the tests with third-party programs share: the programs, enclaves, and one instance.

The programs are built once for exactly their sources (see `building`). One that is not there and
cannot be built for lack of a tool (or of the network, or of a newer version) skips its tests
saying so, and fails them where ``NITROSIM_REQUIRE`` names the tool.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from building import UnavailableError, built, demand_rust, fetch, run
from nitrosim.attestation import Pcrs, Verifier
from nitrosim.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nitrosim.attestation import VerifiedDocument

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

_ELF_INTERPRETER = 3
_GO_BUILD = ("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s", "-o")
_C_BUILD = ("cc", "-std=gnu11", "-O1", "-static", "-Wall", "-Wextra", "-o")
_RUST_BUILD = ("cargo", "build", "--release", "--locked", "--offline", "--target")


def _unavailable(tool: str, reason: str) -> NoReturn:
    required = os.environ.get("NITROSIM_REQUIRE", "").split(",")
    if tool in (feature.strip() for feature in required):
        pytest.fail(f"{reason} ({tool} is demanded by NITROSIM_REQUIRE)", pytrace=False)
    pytest.skip(reason)


def _is_static(program: Path) -> bool:
    """Say whether no segment of an ELF file names an interpreter."""
    data = program.read_bytes()
    offset, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    kinds = [struct.unpack_from("<I", data, offset + at * size)[0] for at in range(count)]
    return _ELF_INTERPRETER not in kinds


def _built(folder: Path, name: str, sources: list[Path], **options: Any) -> Path:
    """Build a program, or skip: see `building.built`."""
    try:
        return built(folder, name, sources, **options)
    except UnavailableError as error:
        _unavailable(error.tool, str(error))


@pytest.fixture(scope="session")
def go_program() -> Path:
    """Return the static Go program, `go/main.go`."""
    folder = HERE / "go"

    def build(target: Path) -> None:
        fetch("go", ("mod", "download"), folder)
        run((*_GO_BUILD, str(target), "."), folder, CGO_ENABLED="0")
        assert _is_static(target)

    sources = [folder / name for name in ("go.mod", "go.sum", "main.go")]
    return _built(folder, "third-party", sources, tool="go", command=_GO_BUILD, build=build)


@pytest.fixture(scope="session")
def rust_program() -> Path:
    """Return the static Rust program, `rust/src`: with musl where it is installed, else glibc."""
    folder = HERE / "rust"

    def build(target: Path) -> None:
        demand_rust(folder)
        fetch("cargo", ("fetch", "--locked"), folder)
        triple, flags = _rust_target()
        run((*_RUST_BUILD, triple), folder, RUSTFLAGS=flags, CARGO_TARGET_DIR="target")
        shutil.copy2(folder / "target" / triple / "release" / "third-party", target)
        assert _is_static(target)

    sources = [folder / "Cargo.toml", folder / "Cargo.lock", *sorted(folder.glob("src/*.rs"))]
    return _built(folder, "third-party", sources, tool="cargo", command=_RUST_BUILD, build=build)


@pytest.fixture(scope="session")
def official_eif() -> Path:
    """Return the program around the official crate for Enclave Image Files, `rust_eif/src`."""
    folder = HERE / "rust_eif"
    command = (*_RUST_BUILD[:-1], "--quiet")

    def build(target: Path) -> None:
        demand_rust(folder)
        fetch("cargo", ("fetch", "--locked"), folder)
        run(command, folder, CARGO_TARGET_DIR="target")
        shutil.copy2(folder / "target" / "release" / "official-eif", target)

    sources = [folder / "Cargo.toml", folder / "Cargo.lock", folder / "src" / "main.rs"]
    return _built(
        folder, "official-eif", sources, tool="cargo", command=command, build=build, slow=True
    )


@pytest.fixture(scope="session")
def real_clap() -> Path:
    """Return the program around the library that nitro-cli reads its command line with."""
    folder = HERE / "rust_clap"
    command = ("cargo", "build", "--release", "--locked", "--offline", "--quiet")

    def build(target: Path) -> None:
        demand_rust(folder)
        fetch("cargo", ("fetch", "--locked"), folder)
        run(command, folder, CARGO_TARGET_DIR="target")
        shutil.copy2(folder / "target" / "release" / "real-clap", target)

    sources = [folder / "Cargo.toml", folder / "Cargo.lock", folder / "src" / "main.rs"]
    return _built(folder, "real-clap", sources, tool="cargo", command=command, build=build)


def _rust_target() -> tuple[str, str]:
    """Return the target triple for a static program, and the compiler flags that make it so."""
    musl, glibc = (f"{platform.machine()}-unknown-linux-{name}" for name in ("musl", "gnu"))
    if shutil.which("rustup") is not None:
        listed = subprocess.run(
            ["rustup", "target", "list", "--installed"], capture_output=True, text=True, check=True
        )
        if musl in listed.stdout.split():
            return musl, ""
    return glibc, "-C target-feature=+crt-static"


@pytest.fixture(scope="session")
def c_program() -> Callable[[str], Path]:
    """Return a function from the name of a program in `c/` to the built program."""
    folder = HERE / "c"

    def program(name: str) -> Path:
        source = folder / f"{name}.c"

        def build(target: Path) -> None:
            run((*_C_BUILD, str(target), str(source)), folder)
            assert _is_static(target)

        sources = [source, *sorted(folder.glob("*.h"))]
        return _built(folder, name, sources, tool="cc", command=_C_BUILD, build=build)

    return program


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    """Give the tests of one file a simulated instance of their own."""
    with Instance() as instance:
        yield instance


@pytest.fixture
def run_enclave(instance: Instance) -> Iterator[Callable]:
    """Start enclaves that end with the test; a failed test shows their consoles."""
    with contextlib.ExitStack() as enclaves:

        def run(*command, **options):
            enclave = instance.run_enclave([str(word) for word in command], **options)
            enclaves.callback(enclave.terminate)
            enclaves.callback(lambda: print(enclave.console.read().decode(errors="replace")))
            return enclave

        yield run


@pytest.fixture
def run_python(run_enclave) -> Callable:
    """Start enclaves that run a Python file with the interpreter of the tests."""

    def run(script: Path, *arguments, **options):
        script_inside = Path("/app", script.name)
        options.setdefault("app_dir", script.parent)
        return run_enclave(sys.executable, script_inside, *arguments, **options)

    return run


@pytest.fixture
def run_parent(instance: Instance) -> Iterator[Callable]:
    """Start programs as the parent instance, ended with the test if they did not end before."""
    with contextlib.ExitStack() as programs:

        def run(*command, **options):
            program = instance.popen_parent([str(word) for word in command], **options)
            programs.enter_context(program)
            programs.callback(program.kill)
            return program

        yield run


@pytest.fixture
def accept_document(instance: Instance) -> Callable:
    """Verify a document as a user would: our root, the enclave's own PCRs, our nonce, now."""

    def accept(document: bytes, enclave, *, nonce: bytes, **extra_pcrs: bytes) -> VerifiedDocument:
        measured = {index: enclave.pcrs[index] for index in (0, 1, 2)}
        extra = {int(name.removeprefix("pcr")): value for name, value in extra_pcrs.items()}
        verifier = Verifier(roots=[instance.root_certificate])
        verified = verifier.verify(document, Pcrs({**measured, **extra}), nonce=nonce)
        assert enclave.module_id == verified.module_id
        return verified

    return accept


@pytest.fixture(scope="session")
def sample() -> Path:
    """Return the folder of the hello_attestation sample."""
    return REPOSITORY / "sample_apps" / "hello_attestation"


@pytest.fixture(scope="session")
def python_programs() -> Path:
    """Return the folder of plain Python programs that know nothing of nitrosim."""
    return HERE / "python"
