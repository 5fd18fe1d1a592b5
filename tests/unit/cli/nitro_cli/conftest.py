"""A machine for nitro-cli with folders of its own, processes of enclaves, certificates."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import os
import tempfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from enclave_process import EnclaveProcess, answers_of
from fake_hypervisor import FakeHypervisor
from nitrosim.backends.image import EnclaveImage
from nitrosim.cli.nitro_cli import allocator
from nitrosim.cli.nitro_cli import run as run_module
from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.context import Context
from nitrosim.cli.nitro_cli.environment import Environment
from nitrosim.cli.nitro_cli.log import Log
from nitrosim.cli.nitro_cli.main import Machine, run

NOW = 1_704_164_645_678_901_234


@functools.cache
def _credentials():
    key = ec.derive_private_key(4711, ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2034, 1, 1, tzinfo=dt.UTC))
        .sign(key, hashes.SHA384(), ecdsa_deterministic=True)
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


@pytest.fixture
def fixtures():
    """Return the folder of images."""
    return Path(__file__).resolve().parents[4] / "fixtures" / "eif"


@pytest.fixture
def credentials(tmp_path):
    """Return the paths of a certificate and its private key."""
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for path, content in zip(paths, _credentials(), strict=True):
        path.write_bytes(content)
    return str(paths[0]), str(paths[1])


@pytest.fixture
def logs(tmp_path):
    """Return the folder of the logs."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def make_machine(tmp_path, logs):
    """Return a function that makes a machine; its arguments are variables of the environment."""

    def make(**variables):
        places = {"NITRO_CLI_LOGS_PATH": str(logs), **variables}
        environment = Environment(
            variables={name: value for name, value in places.items() if value is not None},
            system_logs=str(tmp_path / "var-log"),
            system_sockets=str(tmp_path / "run"),
        )
        return Machine(environment=environment, clock=lambda: NOW, process=77, guard=lambda: None)

    return make


@pytest.fixture
def nitro_cli(make_machine, capsys):
    """Return a function that runs a command line: exit status, standard output and error."""

    def call(*words, **variables):
        status = run(words, make_machine(**variables))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def sockets():
    """Return the folder of the enclaves' sockets; an AF_UNIX address has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ns-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def make_context(make_machine, sockets, logs):
    """Return a function that makes what a sub-command is given."""
    with contextlib.ExitStack() as logs_open:

        def make(**variables):
            machine = make_machine(NITRO_CLI_SOCKETS_PATH=str(sockets), **variables)
            log = Log(str(logs), who="nitro-cli:77", level="INFO", clock=machine.clock)
            return Context(
                environment=machine.environment,
                log=logs_open.enter_context(log),
                clock=machine.clock,
                process=machine.process,
            )

        yield make


@pytest.fixture
def start_process(sockets):
    """Return a function that starts the process of an enclave.

    Its slot is given and what differs: its name, `facts` that describe it, the descriptor of its
    console, or all answers to some operation.
    """
    with contextlib.ExitStack() as processes:

        def start(slot, *, silent=False, answers=None, **differences):
            told = {**answers_of(slot, **differences), **(answers or {})}
            process = EnclaveProcess(sockets / f"{slot}.sock", None if silent else told)
            processes.callback(process.end)
            return process

        yield start


@pytest.fixture
def pipe():
    """Return a function that makes a pipe with this content and a reader for others to close."""
    with contextlib.ExitStack() as writers:

        def make(content=b"", *, ended=True):
            reader, writer = os.pipe()
            os.write(writer, content)
            if ended:
                os.close(writer)
            else:
                writers.callback(os.close, writer)
            return reader

        yield make


@pytest.fixture
def hypervisor(monkeypatch):
    """Return a hypervisor that nitro-cli connects to; it notes the instance."""
    fake = FakeHypervisor()

    def connect(places):
        fake.closed = False
        fake.instance = places.runtime.name
        return fake

    monkeypatch.setattr("nitrosim.hypervisor.client.connect_or_start", connect)
    return fake


@pytest.fixture
def images(monkeypatch):
    """Return the images that can be run, by path; an error is raised instead."""
    known = {}

    def image_to_run(path, *, on_signature_checked):
        image = known[path]
        if getattr(image, "reason", None) is not ErrorCode.SIGNATURE_CHECK:
            on_signature_checked()
        if isinstance(image, Exception):
            raise image
        return image

    monkeypatch.setattr(run_module, "image_to_run", image_to_run)
    return known


@pytest.fixture
def image(tmp_path, images):
    """Return the path of an image of 3 MiB and one byte."""
    path = tmp_path / "app.eif"
    path.write_bytes(bytes((3 << 20) + 1))
    images[str(path)] = EnclaveImage(
        name="app", operations=(), command=("/bin/app",), environment={}, pcrs={}
    )
    return str(path)


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """Return the path of the file of the allocator; it has CPUs 1, 2, 5 and 6."""
    monkeypatch.setattr(allocator, "_THREADS", 2)
    path = tmp_path / "allocator.yaml"
    path.write_text("---\nmemory_mib: 1024\ncpu_count: 4\n")
    return path


@pytest.fixture
def call(nitro_cli, tmp_path, pool, image, hypervisor):  # noqa: ARG001 - the hypervisor is there
    """Return a function that runs run-enclave; what is not given is in order."""

    def call(*words, eif=image, memory="512", cpus=("--cpu-count", "2"), **variables):
        (tmp_path / "sockets").mkdir(exist_ok=True)
        return nitro_cli(
            *("run-enclave", "--eif-path", eif, "--memory", memory, *cpus, *words),
            **{
                "NITRO_CLI_SOCKETS_PATH": str(tmp_path / "sockets"),
                "NITROSIM_ALLOCATOR": str(pool),
                **variables,
            },
        )

    return call


@pytest.fixture
def configured(nitro_cli, tmp_path, pool, image, hypervisor):  # noqa: ARG001 - as above
    """Return a function that runs run-enclave with ``--config``; None leaves a key out."""

    def call(*words, **differences):
        (tmp_path / "sockets").mkdir(exist_ok=True)
        settings = {"eif_path": image, "memory_mib": 512, "cpu_count": 2, **differences}
        kept = {key: value for key, value in settings.items() if value is not None}
        (tmp_path / "config.json").write_text(json.dumps(kept))
        return nitro_cli(
            *("run-enclave", "--config", str(tmp_path / "config.json"), *words),
            NITRO_CLI_SOCKETS_PATH=str(tmp_path / "sockets"),
            NITROSIM_ALLOCATOR=str(pool),
        )

    return call
