"""Images made by hand, certificates, and the images in fixtures/eif with what is expected of them.

`make_image` assembles files byte by byte and shares no code with the package, so that files which
the package would never write can be made.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import struct
import zlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nitrosim.eif import BuildInfo, Metadata, PemSigner

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "eif"

KERNEL, CMDLINE, RAMDISK, SIGNATURE, METADATA = 1, 2, 3, 4, 5
METADATA_JSON = (
    b'{"ImageName":"hello","ImageVersion":"1","BuildMetadata":{"BuildTime":"2024","BuildTool":"t",'
    b'"BuildToolVersion":"1","OperatingSystem":"Linux","KernelVersion":"4.14"},'
    b'"DockerInfo":null,"CustomMetadata":null}'
)
PARTS = (
    (KERNEL, b"kernel"),
    (CMDLINE, b"console=ttyS0"),
    (METADATA, METADATA_JSON),
    (RAMDISK, b"boot"),
    (RAMDISK, b"application"),
)
BEGIN = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2034, 1, 1, tzinfo=dt.UTC)


def assemble(
    parts=PARTS,
    *,
    magic=b".eif",
    version=4,
    flags=0,
    count=None,
    offsets=None,
    sizes=None,
    section_flags=(),
    declared=None,
    crc=None,
    after=b"",
):
    """Return the bytes of an image; `declared` replaces sizes in section headers, by index."""
    right_offsets, body, at = [], b"", 548
    for number, (kind, content) in enumerate(parts):
        right_offsets.append(at)
        of_section = section_flags[number] if number < len(section_flags) else 0
        size = (declared or {}).get(number, len(content))
        body += struct.pack(">HHQ", kind, of_section, size) + content
        at += 12 + len(content)
    table = [*right_offsets, *[0] * 32][:32]
    lengths = [*(len(content) for _kind, content in parts), *[0] * 32][:32]
    for index, value in (offsets or {}).items():
        table[index] = value
    for index, value in (sizes or {}).items():
        lengths[index] = value
    number = len(parts) if count is None else count
    fields = struct.pack(">4sHHQQHH", magic, version, flags, 1 << 30, 2, 0, number)
    header = fields + struct.pack(">32Q32QI", *table, *lengths, 0)
    right = zlib.crc32(body, zlib.crc32(header))
    return header + struct.pack(">I", right if crc is None else crc) + body + after


@pytest.fixture(scope="session")
def make_image():
    """Return the function that assembles images."""
    return assemble


@pytest.fixture
def parts():
    """Return the parts of a usual image: kinds and contents."""
    return PARTS


@pytest.fixture(scope="session")
def fixtures():
    """Return the folder of images."""
    return FIXTURES


def expectations():
    """Return what is expected of the images in the folder, by their name."""
    return json.loads((FIXTURES / "expected.json").read_text("utf-8"))


@functools.cache
def _key(curve):
    return {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}[curve]


@functools.cache
def credentials(curve="P-384", number=0):
    """Return a certificate and its private key, both as PEM; another `number`, other ones."""
    key = ec.derive_private_key(12345 + number, _key(curve)())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"signer {curve}"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1 + number)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
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


@pytest.fixture(params=["P-256", "P-384", "P-521"])
def signer(request):
    """Return signers with keys on each of the curves."""
    return PemSigner(*credentials(request.param))


@pytest.fixture(scope="session")
def make_credentials():
    """Return the function that makes certificates with their keys."""
    return credentials


@pytest.fixture
def a_signer():
    """Return a signer with a key on P-384."""
    return PemSigner(*credentials())


@pytest.fixture
def metadata():
    """Return the metadata that is in the usual image."""
    build = BuildInfo(
        time="2024", tool="t", tool_version="1", operating_system="Linux", kernel_version="4.14"
    )
    return Metadata(image_name="hello", image_version="1", build=build)


def pytest_generate_tests(metafunc):
    """Give a test that asks for `vector` one after the other of the expectations."""
    if "vector" in metafunc.fixturenames:
        known = expectations()
        metafunc.parametrize("vector", known.values(), ids=known)
