"""Root file systems, blobs and labels to build with."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nitrosim.builder import Labels
from nitrosim.eif import PemSigner
from nitrosim.images import open_directory

CONFIG = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86_64 4.14.256-209 Kernel\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a directory with a program."""
    folder = tmp_path / "rootfs"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "hello").write_bytes(b"program")
    (folder / "bin" / "hello").chmod(0o755)
    return folder


@pytest.fixture
def root(folder):
    """Return a root file system."""
    with open_directory(folder, command=("/bin/hello", "now"), environment=("A=1",), mtime=0) as it:
        yield it


@pytest.fixture
def blob_folder(tmp_path) -> Path:
    """Return a folder with real blobs, as far as anybody can tell, for x86_64."""
    folder = tmp_path / "blobs"
    folder.mkdir()
    (folder / "bzImage").write_bytes(b"a kernel" * 10_000)
    (folder / "bzImage.config").write_text(CONFIG)
    (folder / "cmdline").write_text(" reboot=k console=ttyS0 \n")
    (folder / "init").write_bytes(b"an init")
    (folder / "nsm.ko").write_bytes(b"a module")
    return folder


@pytest.fixture
def labels() -> Labels:
    """Return labels of a fixed time."""
    return Labels(
        name="hello",
        version="1",
        tool="tests",
        tool_version="2",
        time="2024-01-02T03:04:05.000000000+00:00",
        docker_info={"Id": "sha256:00"},
        custom={"b": 1, "a": [None]},
    )


class Repeating:
    """A signer that remembers what it has signed, so that it always signs the same."""

    def __init__(self, signer: PemSigner) -> None:
        self._signer = signer
        self._signed: dict[bytes, bytes] = {}
        self.certificate = signer.certificate
        self.algorithm = signer.algorithm

    def sign(self, message: bytes) -> bytes:
        if message not in self._signed:
            self._signed[message] = self._signer.sign(message)
        return self._signed[message]


@pytest.fixture
def signer() -> Repeating:
    """Return a signer that is deterministic whatever the cryptography library can do."""
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2034, 1, 1, tzinfo=dt.UTC))
        .sign(key, hashes.SHA384())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(encoding, form, serialization.NoEncryption())
    return Repeating(PemSigner(certificate.public_bytes(encoding), private))
