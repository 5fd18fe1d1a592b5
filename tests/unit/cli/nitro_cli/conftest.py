"""A machine for nitro-cli with folders of its own, and certificates to sign with."""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nitrosim.cli.nitro_cli.environment import Environment
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
