"""What nitro-cli prints and ends with when there are enclaves, against the files in ``golden``.

A file is a session: some commands, one after the other, on an instance of its own. Identifiers,
numbers of processes and times are masked, all else is word for word as it was printed; a carriage
return is shown as \\r, because git may take it for a matter of the system.
``PYTHONPATH=.:tests/fakes python tests/linux/cli/test_nitro_cli_golden.py`` writes the files anew;
read the difference before it is committed. The golden files of tests/unit have all that nitro-cli
says without an enclave.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nitrosim.cli.nitro_cli.processes import ask
from nitrosim.eif import PemSigner
from small_images import remove_metadata, write_image

pytestmark = [
    pytest.mark.needs("userns"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: so are the images"),
]

GOLDEN = Path(__file__).resolve().parent / "golden"
REPOSITORY = GOLDEN.parents[3]
EIFS = REPOSITORY / "fixtures" / "eif"
PATIENCE = 30
TRACE = {"BACKTRACE": "1"}
OLD = {"NITROSIM_NITRO_CLI_VERSION": "1.4.4"}
OTHER = {"NITROSIM_INSTANCE": "other"}

SMALL = "run-enclave --eif-path @/small.eif --cpu-count 2 --memory 128"
AGAIN = f"{SMALL} --enclave-name again"


def run(image: str, rest: str = "--cpu-count 2 --memory 128") -> str:
    """Return the command line that runs an image."""
    return f"run-enclave --eif-path @/{image}.eif {rest}"


#: By name: command lines in which @ is a folder with files and ENCLAVE-1 the identifier of the
#: first enclave that is mentioned, or pairs of one and variables of the environment.
SESSIONS = {
    "one-enclave": (
        SMALL,
        "describe-enclaves",
        "describe-enclaves --metadata",
        "terminate-enclave --enclave-id ENCLAVE-1",
        "describe-enclaves",
        "terminate-enclave --enclave-id ENCLAVE-1",
    ),
    "debug-mode": (
        f"{SMALL} --debug-mode",
        "describe-enclaves",
        "describe-eif --eif-path @/small.eif",
        "console --enclave-name small --disconnect-timeout 1",
        "console --enclave-id ENCLAVE-1 --disconnect-timeout 0",
        "terminate-enclave --enclave-name small",
    ),
    "attach-console": (
        run("hello-unsigned", "--cpu-count 2 --memory 64 --enclave-cid 10001 --attach-console"),
    ),
    "two-enclaves": (
        f"{SMALL} --enclave-cid 0",
        run("without-metadata", "--cpu-ids 6 2 --memory 65"),
        "describe-enclaves",
        "describe-enclaves --metadata",
        "terminate-enclave --all",
        "terminate-enclave --all",
    ),
    "signed": (run("signed"), "describe-enclaves"),
    "version-1.4.4": ((SMALL, OLD), ("describe-enclaves", OLD)),
    "names": (
        f"{SMALL} --enclave-name n",
        f"{SMALL} --enclave-name n",
        "terminate-enclave --enclave-name n_1",
        "terminate-enclave --enclave-name small",
    ),
    "name-of-a-file": (run("twice.eif"),),
    "name-taken-in-another-instance": (
        SMALL,
        (SMALL, OTHER),
        "terminate-enclave --enclave-name small_1",
        "terminate-enclave --all",
    ),
    "config": ("run-enclave --config @/config.json", "describe-enclaves"),
    "config-and-attach-console": ("run-enclave --config @/config.json --attach-console",),
    "console-without-debug-mode": (SMALL, ("console --enclave-name small", TRACE)),
    "program-missing": (run("no-program", "--cpu-count 2 --memory 128 --attach-console"),),
    "cpus-taken": (
        run("small", "--cpu-count 4 --memory 128"),
        (AGAIN, TRACE),
        (run("small", "--cpu-ids 1 5 --memory 128"), TRACE),
    ),
    "cpus-half-taken": (SMALL, (run("small", "--cpu-count 4 --memory 128"), TRACE)),
    "cpus-none": ((run("small", "--cpu-count 0 --memory 128"), TRACE),),
    "cpus-half-a-core": (
        (run("small", "--cpu-count 1 --memory 128"), TRACE),
        (run("small", "--cpu-ids 1 6 --memory 128"), TRACE),
    ),
    "memory-below-the-least": ((run("small", "--cpu-count 2 --memory 62"), TRACE),),
    "memory-taken": (
        run("small", "--cpu-count 2 --memory 1000"),
        (run("small", "--cpu-count 2 --memory 64"), TRACE),
    ),
    "cid-taken": (f"{SMALL} --enclave-cid 77", (f"{AGAIN} --enclave-cid 77", TRACE)),
    "cid-of-the-parent": (("run-enclave --config @/cid.json", TRACE),),
    "image-of-nothing": ((run("no-image"), TRACE),),
    "image-with-a-wrong-checksum": ((run("bad-crc"), TRACE),),
    "image-for-another-architecture": ((run("aarch64-flag"), TRACE),),
    "image-of-another-layout": ((run("one-empty-ramdisk"), TRACE),),
    "image-signed-for-another": ((run("sig-pcr0-mismatch"), TRACE),),
    "image-with-an-expired-signature": ((run("expired"), TRACE),),
}

#: By name: the text of a file.
FILES = {
    "no-image.eif": "this is no image\n",
    "allocator.yaml": "---\nmemory_mib: 1024\ncpu_pool: 1,2,5,6\n",
    "config.json": '{"eif_path": "@/small.eif", "memory_mib": 128, "cpu_ids": [1, 5], "x": 0}',
    "cid.json": '{"eif_path": "@/small.eif", "memory_mib": 128, "cpu_count": 2, "enclave_cid": 3}',
}

#: What differs from run to run, and what stands for it.
MASKS = (
    (r'("ProcessID": )\d+', r"\1PID"),
    (r'/err[^/"]*\.log', "/errTIME.log"),
    (r"(Root error line: )\d+", r"\1N"),
    (r"(signing certificate, at byte \d+, got )[0-9-]+T[0-9:.]+", r"\1TIME"),
)


def signer(*, until: int) -> PemSigner:
    """Return who signs images, with a certificate that is valid until that year."""
    key = ec.derive_private_key(4711, ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(until, 1, 1, tzinfo=dt.UTC))
        .sign(key, hashes.SHA384(), ecdsa_deterministic=True)
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private_key = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return PemSigner(certificate.public_bytes(pem), private_key)


def fill(folder: Path) -> None:
    """Put the files there that the command lines name."""
    for name in ("logs", "sockets"):
        (folder / name).mkdir()
    for path in EIFS.glob("*.eif"):
        shutil.copy(path, folder)
    for name, text in FILES.items():
        (folder / name).write_text(text.replace("@", str(folder)))
    for name in ("small", "without-metadata", "twice.eif"):
        write_image(folder / f"{name}.eif")
    remove_metadata(folder / "without-metadata.eif")
    write_image(folder / "no-program.eif", command=("app-elsewhere", "x"))
    write_image(folder / "signed.eif", signer=signer(until=2100))
    write_image(folder / "expired.eif", signer=signer(until=2021))


class Session:
    """An instance in a folder, the commands that are run there, and what they have printed."""

    def __init__(self, folder: Path) -> None:
        self.parts: list[str] = []
        self._folder = folder
        self._enclaves: list[str] = []
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "NITRO_CLI_LOGS_PATH": str(folder / "logs"),
            "NITRO_CLI_SOCKETS_PATH": str(folder / "sockets"),
            "NITROSIM_ALLOCATOR": str(folder / "allocator.yaml"),
            "NITROSIM_INSTANCE": "golden",
            "NITROSIM_STATE": str(folder / "state"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_RUNTIME_DIR": str(folder),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for instance in ("golden", OTHER["NITROSIM_INSTANCE"]):
            if (self._folder / "nitrosim" / instance).exists():
                self._run("nitrosim.cli.main", "shutdown", NITROSIM_INSTANCE=instance)

    def _run(
        self, module: str, *words: str, **variables: str
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", module, *words],
            env={**self._environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )

    def run(self, line: str, variables: dict[str, str]) -> None:
        """Run a command, and note what comes of it."""
        full = line.replace("@", str(self._folder))
        for number, enclave in enumerate(self._enclaves):
            full = full.replace(f"ENCLAVE-{number + 1}", enclave)
        done = self._run("nitrosim.cli.nitro_cli.main", *full.split(), **variables)
        shown = [f"$ nitro-cli {line}", *(f"{k}={v}" for k, v in variables.items())]
        for title, text in (("stdout", done.stdout), ("stderr", done.stderr)):
            shown.append(f"--- {title}\n{self._masked(text.decode())}")
        self.parts.append("\n".join([*shown, f"--- exit status {done.returncode}\n"]))
        if line.endswith("--debug-mode"):
            self._await_output()

    def _masked(self, text: str) -> str:
        text = text.replace(str(self._folder), "@").replace("\r", "\\r")
        for pattern, replacement in MASKS:
            text = re.sub(pattern, replacement, text)
        return re.sub(r"i-[0-9a-f]{17}-enc[0-9a-f]+", self._enclave, text)

    def _enclave(self, found: re.Match[str]) -> str:
        if found[0] not in self._enclaves:
            self._enclaves.append(found[0])
        return f"ENCLAVE-{self._enclaves.index(found[0]) + 1}"

    def _await_output(self) -> None:
        """Return when the program of the only enclave has said something."""
        (path,) = (self._folder / "sockets").iterdir()
        descriptor = ask(str(path), "console").fd
        assert descriptor is not None
        with os.fdopen(descriptor, "rb") as console:
            console.readline()


def played(name: str) -> str:
    """Play a session; return what it printed and how its commands ended."""
    # A short path, because an AF_UNIX address has room for 107 bytes.
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as place:
        folder = Path(place)
        fill(folder)
        with Session(folder) as session:
            for step in SESSIONS[name]:
                line, variables = (step, {}) if isinstance(step, str) else step
                session.run(line, variables)
        return "\n".join(session.parts)


@pytest.mark.parametrize("name", SESSIONS)
def test_commands_print_and_end_as_they_did(name):
    assert (GOLDEN / f"{name}.txt").read_bytes().decode() == played(name)


def test_every_file_is_of_a_session():
    assert sorted(SESSIONS) == sorted(path.stem for path in GOLDEN.iterdir())


def write_all() -> None:
    """Write all files anew."""
    texts = {name: played(name) for name in SESSIONS}
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir()
    for name, text in texts.items():
        (GOLDEN / f"{name}.txt").write_bytes(text.encode())


if __name__ == "__main__":
    write_all()
