"""What commands print and end with, word for word, against the files in ``golden``.

``python tests/unit/cli/nitro_cli/test_golden.py`` writes the files anew; read the difference
before it is committed. Texts about wrong command lines and helps were compared with those of a
program that is built with clap 4.6.9 and has the same options.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from nitrosim.cli.nitro_cli.commands import COMMANDS
from nitrosim.cli.nitro_cli.environment import Environment
from nitrosim.cli.nitro_cli.main import Machine, run
from nitrosim.eif import BuildInfo, Metadata, write_eif

GOLDEN = Path(__file__).resolve().parent / "golden"
FIXTURES = Path(__file__).resolve().parents[4] / "fixtures" / "eif"
NOW = 1_704_164_645_678_901_234
TRACE = {"BACKTRACE": "1"}
CONFIG = "run-enclave --config @/x"
SMALL = "run-enclave --eif-path @/hello-unsigned.eif --cpu-count 2"
RUN = "run-enclave --eif-path @/hello-unsigned.eif --memory 512"
IMAGE_MISSING = "run-enclave --eif-path @/x --memory 512 --cpu-count 2"
NOWHERE = {"NITRO_CLI_SOCKETS_PATH": "@/missing", **TRACE}
BUILD = "build-enclave --docker-uri u --output-file @/new.eif"
ARTIFACTS = {"NITRO_CLI_ARTIFACTS": "@/artifacts", **TRACE}


def with_pool(name: str) -> dict[str, str]:
    """Return variables for a pool in this file, and a folder of sockets that is empty."""
    return {"NITRO_CLI_SOCKETS_PATH": "@/sockets", "NITROSIM_ALLOCATOR": f"@/{name}", **TRACE}


HERE = with_pool("allocator.yaml")

#: By name: a command line in which @ is a folder with files, and variables of the environment.
CASES = {
    "nothing": ("", {}),
    "version": ("--version", {}),
    "version-1.4.4": ("--version", {"NITROSIM_NITRO_CLI_VERSION": "1.4.4"}),
    "version-unknown": ("--version", {"NITROSIM_NITRO_CLI_VERSION": "new"}),
    "help": ("--help", {}),
    "help-help": ("help help", {}),
    **{f"help-{command.name}": (f"{command.name} --help", {}) for command in COMMANDS},
    "unknown-command": ("start", {}),
    "unknown-command-similar": ("describe-enclave", {}),
    "unknown-flag": ("--eif-path x describe-eif", {}),
    "unknown-flag-similar": ("--versions", {}),
    "two-hyphens": ("-- pcr", {}),
    "describe-eif-nothing": ("describe-eif", {}),
    "describe-eif-similar": ("describe-eif --eif @/image.eif", {}),
    "describe-eif-repeated": ("describe-eif --eif-path @/x --eif-path @/x", {}),
    "describe-eif-without-value": ("describe-eif --eif-path", {}),
    "describe-eif-positional": ("describe-eif @/image.eif", {}),
    "run-enclave-nothing": ("run-enclave", {}),
    "run-enclave-negative": ("run-enclave --memory -10", {}),
    "run-enclave-conflict": ("run-enclave --cpu-count 2 --cpu-ids 1 3 --memory 512", {}),
    "run-enclave-conflicts": (f"{CONFIG} --memory 512 --debug-mode", {}),
    "terminate-enclave-nothing": ("terminate-enclave", {}),
    "terminate-enclave-conflict": ("terminate-enclave --all --enclave-name n", {}),
    "console-nothing": ("console", {}),
    "describe-enclaves-value": ("describe-enclaves --metadata=yes", {}),
    "build-enclave-key-alone": (
        "build-enclave --docker-uri u --output-file o --private-key k",
        {},
    ),
    "build-enclave-nothing": ("build-enclave", {}),
    "build-enclave-certificate-alone": (
        "build-enclave --docker-uri u --output-file o --signing-certificate c",
        {},
    ),
    "pcr-nothing": ("pcr", {}),
    "pcr-conflict": ("pcr --input f --signing-certificate c", {}),
    "sign-eif-certificate-alone": ("sign-eif --signing-certificate c", {}),
    "explain-nothing": ("explain", {}),
    "explain-E22": ("explain --error-code E22", {}),
    "explain-E58": ("explain --error-code E58", {}),
    "explain-unknown": ("explain --error-code E99", {}),
    "log-folder-missing": ("explain --error-code E22", {"NITRO_CLI_LOGS_PATH": "@/missing"}),
    "log-folder-missing-backtrace": (
        "explain --error-code E22",
        {"NITRO_CLI_LOGS_PATH": "@/missing", **TRACE},
    ),
    **{
        f"describe-eif-{path.stem}": (f"describe-eif --eif-path @/{path.name}", {})
        for path in sorted(FIXTURES.glob("*.eif"))
    },
    "describe-eif-1.4.4": (
        "describe-eif --eif-path @/hello-unsigned.eif",
        {"NITROSIM_NITRO_CLI_VERSION": "1.4.4"},
    ),
    "describe-eif-missing": ("describe-eif --eif-path @/x", {}),
    "describe-eif-missing-backtrace": ("describe-eif --eif-path @/x", TRACE),
    "describe-eif-no-image": ("describe-eif --eif-path @/no-image", TRACE),
    "describe-eif-custom-metadata": ("describe-eif --eif-path @/custom.eif", TRACE),
    "pcr-input": ("pcr --input @/no-image", {}),
    "pcr-certificate": ("pcr --signing-certificate @/hello-signed-es384.cert.pem", {}),
    "pcr-missing": ("pcr --input @/x", TRACE),
    "pcr-no-certificate": ("pcr --signing-certificate @/no-image", TRACE),
    "sign-eif-nothing": ("sign-eif", TRACE),
    "sign-eif-without-key": ("sign-eif --eif-path @/hello-unsigned.eif", TRACE),
    "sign-eif-missing": (
        "sign-eif --eif-path @/x --signing-certificate @/x --private-key @/x",
        TRACE,
    ),
    "sign-eif-no-key": (
        (
            "sign-eif --eif-path @/hello-unsigned.eif "
            "--signing-certificate @/hello-signed-es384.cert.pem --private-key @/no-image"
        ),
        TRACE,
    ),
    "sign-eif-kms": (
        (
            "sign-eif --eif-path @/hello-unsigned.eif "
            "--signing-certificate @/hello-signed-es384.cert.pem "
            "--private-key arn:aws:kms:us-east-1:123456789012:key/1234"
        ),
        TRACE,
    ),
    "build-enclave-no-place-for-output": (
        "build-enclave --docker-uri u --output-file @/missing/new.eif",
        ARTIFACTS,
    ),
    "build-enclave-no-place-for-artifacts": (BUILD, TRACE),
    "build-enclave-artifacts-in-a-file": (BUILD, {"NITRO_CLI_ARTIFACTS": "@/no-image/x", **TRACE}),
    "build-enclave-metadata-missing": (f"{BUILD} --metadata @/x", ARTIFACTS),
    "build-enclave-metadata-no-json": (f"{BUILD} --metadata @/no-image", ARTIFACTS),
    "build-enclave-signing": (
        f"{BUILD} --signing-certificate @/hello-signed-es384.cert.pem --private-key @/no-image",
        ARTIFACTS,
    ),
    "build-enclave-kms": (
        (
            f"{BUILD} --signing-certificate @/hello-signed-es384.cert.pem "
            "--private-key arn:aws:kms:us-east-1:123456789012:key/1234"
        ),
        ARTIFACTS,
    ),
    # What can be said of enclaves where there are none; tests/linux has the others.
    "describe-enclaves-none": ("describe-enclaves", HERE),
    "describe-enclaves-none-metadata": ("describe-enclaves --metadata", HERE),
    "describe-enclaves-without-sockets": ("describe-enclaves", NOWHERE),
    "terminate-enclave-all-none": ("terminate-enclave --all", HERE),
    "terminate-enclave-unknown-id": ("terminate-enclave --enclave-id i-0-enc1", HERE),
    "terminate-enclave-no-id": ("terminate-enclave --enclave-id one", HERE),
    "terminate-enclave-unknown-name": ("terminate-enclave --enclave-name n", HERE),
    "terminate-enclave-without-sockets": ("terminate-enclave --enclave-name n", NOWHERE),
    "console-unknown-id": ("console --enclave-id i-0-enc1", HERE),
    "console-unknown-name": ("console --enclave-name n", HERE),
    "console-time": ("console --enclave-name n --disconnect-timeout 1m", HERE),
    # What is wrong with run-enclave and keeps its number.
    "run-enclave-memory": (f"{RUN}X --cpu-count 2", HERE),
    "run-enclave-cpu-count": (f"{RUN} --cpu-count two", HERE),
    "run-enclave-cid": (f"{RUN} --cpu-count 2 --enclave-cid 3", HERE),
    "run-enclave-without-sockets": (f"{RUN} --cpu-count 2", NOWHERE),
    "run-enclave-config-missing": (CONFIG, HERE),
    "run-enclave-config-no-json": ("run-enclave --config @/no-image", HERE),
    "run-enclave-config-no-cpus": ("run-enclave --config @/no-cpus.json", HERE),
    "run-enclave-config-both-cpus": ("run-enclave --config @/both-cpus.json", HERE),
    # What is wrong with it in the process of the enclave: all of it ends with status 39.
    "run-enclave-image-missing": (IMAGE_MISSING, HERE),
    "run-enclave-image-missing-any-cid": (f"{IMAGE_MISSING} --enclave-cid 0", HERE),
    "run-enclave-image-missing-no-trace": (IMAGE_MISSING, {**HERE, "BACKTRACE": "0"}),
    "run-enclave-pool-missing": (f"{RUN} --cpu-count 2", with_pool("x")),
    "run-enclave-pool-no-cpu": (f"{RUN} --cpu-count 2", with_pool("no-cpu.yaml")),
    "run-enclave-pool-no-interval": (f"{RUN} --cpu-count 2", with_pool("no-interval.yaml")),
    "run-enclave-pool-refused": (f"{RUN} --cpu-count 2", with_pool("no-image")),
    "run-enclave-more-cpus": (f"{RUN} --cpu-count 3", HERE),
    "run-enclave-cpus-twice": (f"{RUN} --cpu-ids 1 5 5 1", HERE),
    "run-enclave-cpu-elsewhere": (f"{RUN} --cpu-ids 1 7", HERE),
    "run-enclave-little-memory": (f"{SMALL} --memory 3", HERE),
    "run-enclave-no-memory": (f"{SMALL} --memory 0", HERE),
}

#: By name: the text of a file that command lines name.
FILES = {
    "no-image": "this is no image\n",
    "allocator.yaml": "---\nmemory_mib: 512\ncpu_pool: 1,5\n",
    "no-cpu.yaml": "---\nmemory_mib: 512\ncpu_pool: 1,a\n",
    "no-interval.yaml": "---\nmemory_mib: 512\ncpu_pool: 5-1\n",
    "no-cpus.json": '{"eif_path": "x", "memory_mib": 512}',
    "both-cpus.json": '{"eif_path": "x", "memory_mib": 512, "cpu_count": 1, "cpu_ids": [1]}',
}


def fill(folder: Path) -> None:
    """Put the files there that the command lines name."""
    (folder / "logs").mkdir()
    (folder / "sockets").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for path in [*FIXTURES.glob("*.eif"), *FIXTURES.glob("*.pem")]:
        shutil.copy(path, folder)
    build = BuildInfo(
        time="t", tool="t", tool_version="1", operating_system="Linux", kernel_version="4"
    )
    write_eif(
        folder / "custom.eif",
        kernel=b"k",
        cmdline="c",
        ramdisks=[b"r"],
        metadata=Metadata(image_name="n", image_version="1", build=build, custom=[1]),
    )


def transcript(name: str, folder: Path) -> str:
    """Run a case; return what it printed and ended with, independent of where that was."""
    line, variables = CASES[name]
    places = {"NITRO_CLI_LOGS_PATH": "@/logs", **variables}
    environment = Environment(
        variables={key: value.replace("@", str(folder)) for key, value in places.items()}
    )
    machine = Machine(environment=environment, clock=lambda: NOW, process=77, guard=lambda: None)
    output, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        status = run(line.replace("@", str(folder)).split(), machine)
    parts = [f"$ nitro-cli {line}".rstrip(), *(f"{k}={v}" for k, v in variables.items())]
    for title, stream in (("stdout", output), ("stderr", errors)):
        stream.flush()
        parts.append(f"--- {title}\n{stream.buffer.getvalue().decode()}")
    text = "\n".join([*parts, f"--- exit status {status}\n"]).replace(str(folder), "@")
    return re.sub(r"(Root error line: )\d+", r"\1N", text)


@pytest.mark.parametrize("name", CASES)
def test_command_prints_and_ends_as_it_did(name, tmp_path):
    fill(tmp_path)

    assert (GOLDEN / f"{name}.txt").read_bytes().decode() == transcript(name, tmp_path)


def test_every_file_is_of_a_case():
    assert sorted(CASES) == sorted(path.stem for path in GOLDEN.iterdir())


def write_all() -> None:
    """Write all files anew."""
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir()
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder))
            (GOLDEN / f"{name}.txt").write_bytes(transcript(name, Path(folder)).encode())


if __name__ == "__main__":
    write_all()
