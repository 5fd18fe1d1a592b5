"""Enclave Image Files and the official crate: what either writes the other reads the same.

The crate is aws-nitro-enclaves-image-format 0.5.0, which nitro-cli is made of; `rust_eif` puts its
reader, builder and signer behind a line of JSON each.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from docker_engine import make_image
from nitrosim.cli.main import main as nitrosim
from nitrosim.eif import (
    BuildInfo,
    Eif,
    EifError,
    Metadata,
    PemSigner,
    describe_as_text,
    serde,
    sign_eif,
    write_eif,
)
from nitrosim.eif.openssl_names import ATTRIBUTES
from thoroughness import examples

# The crate prints the name of its hash as nitro-cli did up to this version.
VERSION = "1.4.4"
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "eif"
IMAGES = sorted(path.name for path in FIXTURES.glob("*.eif"))
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
# The crate judges certificates by the clock of the machine.
BEGIN, END = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (2020, 2120))
NOW = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)

# One program answers many requests of a test, whose folder it only uses for files it is told of.
with_program = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class RefusalError(Exception):
    """The crate said no."""


class Crate:
    """The official crate, in a process of its own.

    The crate allocates whatever size a file names, and ends if it does not get it: that counts
    as a refusal, and the next request goes to a new process.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process = self._start()

    def ask(self, request: str, **arguments):
        print(json.dumps({"do": request, **arguments}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            self.close()
            self._process = self._start()
            raise RefusalError("the crate's process ended")
        answer = json.loads(line)
        if "ok" in answer:
            return answer["ok"]
        raise RefusalError(answer["error"])

    def _start(self):
        return subprocess.Popen(
            [self._program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )

    def describe(self, path: Path) -> str:
        return self.ask("describe", path=str(path))

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=20)


@pytest.fixture(scope="module")
def crate(official_eif):
    program = Crate(official_eif)
    yield program
    program.close()


@functools.cache
def credentials(curve: str) -> tuple[bytes, bytes]:
    return certificate_for([(x509.NameOID.COMMON_NAME, f"signer {curve}")], curve)


def certificate_for(attributes, curve="P-384", number=1) -> tuple[bytes, bytes]:
    key = ec.derive_private_key(54321 + number, CURVES[curve])
    name = x509.Name([x509.NameAttribute(oid, *value_of(value)) for oid, value in attributes])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .sign(key, hashes.SHA512())
    )
    encoding = serialization.Encoding.PEM
    form = serialization.PrivateFormat.TraditionalOpenSSL
    private = key.private_bytes(encoding, form, serialization.NoEncryption())
    return certificate.public_bytes(encoding), private


def value_of(value):
    return value if isinstance(value, tuple) else (value,)


def files_of(folder: Path, certificate: bytes, key: bytes) -> dict[str, str]:
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    return {"certificate": str(folder / "certificate.pem"), "key": str(folder / "key.pem")}


def ours(path: Path) -> str:
    with Eif.open(path) as eif:
        return describe_as_text(eif, VERSION)


def metadata(docker_info=None, custom=None, name="hello") -> Metadata:
    build = BuildInfo(
        time="2024-01-02T03:04:05.678901234+00:00",
        tool="nitro-cli",
        tool_version="1.4.4",
        operating_system="Linux",
        kernel_version="4.14.256",
    )
    return Metadata(
        image_name=name, image_version="1.0", build=build, docker_info=docker_info, custom=custom
    )


def build_with_crate(crate, folder, *, kernel, cmdline, ramdisks, about, flags=0, signer=None):
    (folder / "kernel").write_bytes(kernel)
    paths = []
    for number, ramdisk in enumerate(ramdisks):
        paths.append(str(folder / f"ramdisk-{number}"))
        Path(paths[-1]).write_bytes(ramdisk)
    output = folder / "theirs.eif"
    measured = crate.ask(
        "build",
        kernel=str(folder / "kernel"),
        cmdline=cmdline,
        ramdisks=paths,
        metadata=json.loads(about.to_bytes()),
        flags=flags,
        output=str(output),
        signer=signer,
    )
    return output, measured


DOCKER_INFO = {
    "Id": "sha256:00",
    "RepoTags": ["hello:latest"],
    "Config": {"Env": ["A=ä", 'B=\t"\\\x1f\x7f\u2028😀'], "Volumes": {}, "Empty": [], "Z": None},
    "Architecture": "amd64",
    "Size": 9_000_000_000,
    "Ratio": 0.1,
}


@pytest.mark.parametrize("name", IMAGES)
def test_crate_describes_the_fixture_with_the_same_text(crate, name):
    assert crate.describe(FIXTURES / name) == ours(FIXTURES / name)


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
@pytest.mark.parametrize(
    ("cmdline", "ramdisks"),
    [
        ("console=ttyS0", [b"boot", b"application"]),
        ("", [b""]),
        (" réboot=k\n", [b"a", b"", b"c" * 100_000]),
        ("x" * 4096, [bytes([number]) for number in range(29)]),
    ],
)
def test_image_is_written_byte_for_byte_like_the_crate_writes_it(
    crate, tmp_path, architecture, cmdline, ramdisks
):
    about = metadata(DOCKER_INFO, {"Zeta": [1, -1, 1e100], "Alpha": {}})
    flags = {"x86_64": 0, "aarch64": 1}[architecture]
    theirs, measured = build_with_crate(
        crate,
        tmp_path,
        kernel=b"kernel",
        cmdline=cmdline,
        ramdisks=ramdisks,
        about=about,
        flags=flags,
    )

    mine = write_eif(
        tmp_path / "ours.eif",
        kernel=b"kernel",
        cmdline=cmdline,
        ramdisks=ramdisks,
        metadata=about,
        architecture=architecture,
    )

    assert theirs.read_bytes() == (tmp_path / "ours.eif").read_bytes()
    assert measured == mine.as_json(VERSION)
    assert crate.describe(tmp_path / "ours.eif") == ours(theirs)


@pytest.mark.parametrize("signed", [False, True])
def test_crate_describes_what_is_built_on_the_command_line_with_the_same_text(
    crate, tmp_path, monkeypatch, capsys, signed
):
    monkeypatch.setenv("NITRO_CLI_BLOBS", str(tmp_path / "blobs"))
    (tmp_path / "image.tar").write_bytes(make_image("größe:v1").archive)
    (tmp_path / "custom.json").write_text('{"b": 1.0, "a": ["ä", null]}')
    files = files_of(tmp_path, *credentials("P-384"))
    words = ["--image", str(tmp_path / "image.tar"), "--metadata", str(tmp_path / "custom.json")]
    if signed:
        words += ["--signing-certificate", files["certificate"], "--private-key", files["key"]]
    output = tmp_path / "built.eif"

    assert 0 == nitrosim(["build", "--output", str(output), *words])
    described = crate.describe(output)
    assert described == ours(output)
    theirs = json.loads(described)["Measurements"]
    printed = json.loads(capsys.readouterr().out)["Measurements"]
    assert printed | {"HashAlgorithm": theirs["HashAlgorithm"]} == theirs


@pytest.mark.parametrize("curve", CURVES)
def test_crate_accepts_an_image_signed_when_it_was_written(crate, tmp_path, curve):
    path = tmp_path / "image.eif"

    measured = write_eif(
        path,
        kernel=b"kernel",
        cmdline="c",
        ramdisks=[b"boot", b"application"],
        metadata=metadata(),
        signer=PemSigner(*credentials(curve)),
    )

    described = crate.describe(path)
    assert described == ours(path)
    assert json.loads(described)["SignatureCheck"] is True
    assert json.loads(described)["Measurements"] == measured.as_json(VERSION)
    crate.ask("check", path=str(path))


@pytest.mark.parametrize("curve", CURVES)
def test_image_signed_by_the_crate_when_written_is_accepted(crate, tmp_path, curve):
    path, measured = build_with_crate(
        crate,
        tmp_path,
        kernel=b"kernel",
        cmdline="c",
        ramdisks=[b"boot", b"application"],
        about=metadata(),
        signer=files_of(tmp_path, *credentials(curve)),
    )

    with Eif.open(path, check="boot", architecture="x86_64") as eif:
        assert () == eif.warnings
        assert measured == eif.measure().as_json(VERSION)
        assert eif.verify_for_boot(at=NOW).is_over(eif.measure().pcr0)
    assert crate.describe(path) == ours(path)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("name", IMAGES)
def test_fixture_is_signed_again_by_either_and_read_by_both(crate, tmp_path, name, curve):
    for_us, for_crate = tmp_path / "us.eif", tmp_path / "crate.eif"
    image = (FIXTURES / name).read_bytes()
    stray = 5 if name == "trailing-bytes.eif" else 0
    for_us.write_bytes(image)
    # The crate appends to stray bytes, which ruins the file.
    for_crate.write_bytes(image[: len(image) - stray])

    measured = sign_eif(for_us, PemSigner(*credentials(curve)))
    crate.ask("sign", path=str(for_crate), signer=files_of(tmp_path, *credentials(curve)))

    for path in (for_us, for_crate):
        assert crate.describe(path) == ours(path)
        crate.ask("check", path=str(path))
        with Eif.open(path, check="boot") as eif:
            assert measured == eif.measure()
            eif.verify_for_boot(at=NOW)
    with Eif.open(for_us) as mine, Eif.open(for_crate) as theirs:
        places = [(section.type, section.offset) for section in mine.sections]
        assert places == [(section.type, section.offset) for section in theirs.sections]
        assert mine.header.offsets == theirs.header.offsets


def test_signing_without_a_signature_before_gives_the_crates_header(crate, tmp_path):
    for_us, for_crate = tmp_path / "us.eif", tmp_path / "crate.eif"
    for path in (for_us, for_crate):
        path.write_bytes((FIXTURES / "hello-unsigned.eif").read_bytes())

    sign_eif(for_us, PemSigner(*credentials("P-384")))
    crate.ask("sign", path=str(for_crate), signer=files_of(tmp_path, *credentials("P-384")))

    with Eif.open(for_us) as mine, Eif.open(for_crate) as theirs:
        last = mine.sections[-1]
        # A signature's random bytes decide about the length of its integers.
        count = len(mine.sections) - 1
        assert mine.header.sizes[:count] == theirs.header.sizes[:count]
        assert mine.header.sizes[count] == last.size
        assert mine.header.section_count == theirs.header.section_count
    assert for_us.read_bytes()[548 : last.offset] == for_crate.read_bytes()[548 : last.offset]


def test_size_that_the_crate_leaves_in_the_table_is_a_warning(crate, tmp_path):
    path = tmp_path / "image.eif"
    path.write_bytes((FIXTURES / "hello-signed-es384.eif").read_bytes())

    crate.ask("sign", path=str(path), signer=files_of(tmp_path, *credentials("P-256")))

    with Eif.open(path, check="boot") as eif:
        assert ["SIZE_TABLE"] == [warning.code for warning in eif.warnings]


NAMES = [
    [
        (x509.NameOID.COUNTRY_NAME, "US"),
        (x509.NameOID.ORGANIZATION_NAME, "Ünïcode 😀 \u202e e\u0301"),
    ],
    [
        (x509.NameOID.COMMON_NAME, "quote \" backslash \\ tick ' tab \t"),
        (x509.NameOID.TITLE, "\x7f\x01"),
    ],
    [
        (x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "first"),
        (x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "last"),
    ],
    [(x509.ObjectIdentifier("1.2.3.4"), "unknown"), (x509.NameOID.EMAIL_ADDRESS, "a@b")],
    [(x509.NameOID.COMMON_NAME, ("Ω and wide", _ASN1Type.BMPString))],
    [(x509.NameOID.X500_UNIQUE_IDENTIFIER, (b"\x00\xff", _ASN1Type.BitString))],
    [(x509.NameOID.DOMAIN_COMPONENT, "example"), (x509.NameOID.USER_ID, "me")],
    [],
]


@pytest.mark.parametrize("attributes", NAMES)
def test_issuer_is_described_with_the_same_text(crate, tmp_path, attributes):
    path = tmp_path / "image.eif"
    path.write_bytes((FIXTURES / "hello-unsigned.eif").read_bytes())
    sign_eif(path, PemSigner(*certificate_for(attributes)))

    assert crate.describe(path) == ours(path)


def test_every_name_of_an_identifier_is_openssls(crate, tmp_path):
    path = tmp_path / "image.eif"
    path.write_bytes((FIXTURES / "hello-unsigned.eif").read_bytes())
    attributes = [
        (x509.ObjectIdentifier(identifier), "US" if name.endswith("CountryName") else "x")
        for identifier, name in ATTRIBUTES.items()
        if identifier not in ("2.5.4.6", "2.5.4.45")
    ]
    sign_eif(path, PemSigner(*certificate_for(attributes)))

    assert crate.describe(path) == ours(path)


NUMBERS = [
    "0", "-0", "1", "-1", "18446744073709551615", "18446744073709551616", "-9223372036854775808",
    "-9223372036854775809", "1.0", "1.5", "0.1", "1e5", "1E+5", "1e-5", "0.00001", "0.000001",
    "0.0001", "1.5e-7", "1e15", "1e16", "1.7976931348623157e308", "5e-324",
    "2.2250738585072014e-308", "123456789012345678901234567890", "0.1234567890123456789012345",
    "1e-400", "0e999999999999", "-0.0", "1e22", "1e23", "9007199254740993.0",
    "3.141592653589793238462643383279", "1e-99999999999", "12345678901234567890.5e3",
    "100000000000000000000000", "1.0e-310",
]  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_number_is_read_and_written_like_by_the_crates_library(crate, text):
    value = serde.read(text.encode())

    assert crate.ask("json", text=text) == [serde.write(value).decode(), serde.write_pretty(value)]


REFUSED = [
    "", " ", "{", "NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "1e400", "-1e309",
    "'a'", '"\\ud800"', '"\\udc00\\ud800"', '"\n"', '"\\x"', "[1,]", "{,}",
    '{"a" 1}', "[" * 128 + "]" * 128, '{"a":' * 128 + "1" + "}" * 128, "[1] 2",
    "\ufeff1", "nul", "1 1", "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_text_that_the_crates_library_refuses_is_refused(crate, text):
    with pytest.raises(RefusalError):
        crate.ask("json", text=text)
    with pytest.raises(serde.JsonError):
        serde.read(text.encode())


ACCEPTED = [
    "[" * 127 + "]" * 127,
    ' \t\r\n{"b":1,"a":2,"b":3}\n',
    '"\\ud83d\\ude00\\u00e9\\/"',
    "[[],{}]",
]


@pytest.mark.parametrize("text", ACCEPTED, ids=range(len(ACCEPTED)))
def test_text_that_the_crates_library_reads_is_read_the_same(crate, text):
    value = serde.sort_keys(serde.read(text.encode()))

    assert crate.ask("json", text=text) == [serde.write(value).decode(), serde.write_pretty(value)]


numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)


@with_program
@given(texts=st.lists(numbers, min_size=50, max_size=50))
def test_any_number_is_read_like_by_the_crates_library(crate, texts):
    for text in texts:
        try:
            expected = crate.ask("json", text=text)
        except RefusalError:
            with pytest.raises(serde.JsonError):
                serde.read(text.encode())
        else:
            assert expected[0] == serde.write(serde.read(text.encode())).decode(), text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@with_program
@given(
    kernel=st.binary(max_size=20),
    cmdline=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
    ramdisks=st.lists(st.binary(max_size=20), min_size=1, max_size=4),
    docker_info=json_values,
    custom=st.none() | st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    name=st.text(max_size=5),
)
def test_any_image_is_written_and_described_alike(  # noqa: PLR0917 - as hypothesis calls it
    crate, tmp_path, kernel, cmdline, ramdisks, docker_info, custom, name
):
    about = metadata(docker_info, custom, name)
    theirs, _measured = build_with_crate(
        crate, tmp_path, kernel=kernel, cmdline=cmdline, ramdisks=ramdisks, about=about
    )
    mine = tmp_path / "ours.eif"
    write_eif(mine, kernel=kernel, cmdline=cmdline, ramdisks=ramdisks, metadata=about)

    assert theirs.read_bytes() == mine.read_bytes()
    assert crate.describe(theirs) == ours(mine)


def damage(data, image: bytearray, begin: int, junk: bytes) -> None:
    """Change up to three bytes and cut the end off, both at places of hypothesis's choice."""
    for _change in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(begin, len(image) - 1))
        image[at] = data.draw(st.integers(0, 255) | st.sampled_from(junk))
    del image[data.draw(st.integers(begin, len(image)) | st.just(len(image))) :]


@settings(with_program, max_examples=examples(300))
@given(data=st.data(), begin=st.sampled_from([0, 548]))
def test_damaged_image_is_read_the_same_or_refused_by_both(crate, tmp_path, data, begin):
    image = bytearray((FIXTURES / "one-empty-ramdisk.eif").read_bytes())
    damage(data, image, begin, b'{}[]",:0\\n ')
    path = tmp_path / "damaged.eif"
    path.write_bytes(image)

    try:
        expected = crate.describe(path)
    except RefusalError:
        with pytest.raises(EifError):
            ours(path)
    else:
        assert expected == ours(path)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@settings(with_program, max_examples=examples(300))
@given(data=st.data())
def test_damaged_signature_that_is_read_is_read_the_same(crate, tmp_path, data):
    # Other libraries read the certificate: they agree about what is good, not about all that is
    # bad.
    image = bytearray((FIXTURES / "hello-signed-es256.eif").read_bytes())
    with Eif.from_bytes(bytes(image)) as eif:
        begin = eif.sections[-1].offset
    damage(data, image, begin, b"\x17\x18\x19\x80\xa0")
    path = tmp_path / "damaged.eif"
    path.write_bytes(image)

    try:
        described = ours(path)
    except EifError:
        return
    assert crate.describe(path) == described
