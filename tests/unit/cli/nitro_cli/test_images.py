from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from nitrosim.eif import BuildInfo, Eif, Metadata, write_eif


def pcr_of(content):
    return hashlib.sha384(bytes(48) + hashlib.sha384(content).digest()).hexdigest()


def known(fixtures):
    return json.loads((fixtures / "expected.json").read_text("utf-8"))


def test_description_of_an_image_goes_to_standard_output(nitro_cli, fixtures):
    path = fixtures / "hello-signed-es384.eif"
    status, output, errors = nitro_cli("describe-eif", "--eif-path", str(path))

    assert (0, "") == (status, errors)
    assert output.endswith("\n}\n")
    found = json.loads(output)
    with Eif.open(path) as eif:
        assert eif.measure().pcr0.hex() == found["Measurements"]["PCR0"]
    assert True is found["SignatureCheck"]


@pytest.mark.parametrize(
    ("version", "text"),
    [("1.5.0", "Sha512_48 { .. }"), ("1.4.4", "Sha384 { ... }"), (None, "Sha512_48 { .. }")],
)
def test_trap_2_hash_algorithm_is_spelled_as_by_the_version_that_is_imitated(
    nitro_cli, fixtures, version, text
):
    path = str(fixtures / "hello-unsigned.eif")
    output = nitro_cli("describe-eif", f"--eif-path={path}", NITROSIM_NITRO_CLI_VERSION=version)[1]

    assert text == json.loads(output)["Measurements"]["HashAlgorithm"]


@pytest.mark.parametrize("name", ["bad-crc", "sig-pcr0-mismatch", "trailing-bytes"])
def test_image_with_something_odd_is_described(nitro_cli, fixtures, name):
    assert 0 == nitro_cli("describe-eif", "--eif-path", str(fixtures / f"{name}.eif"))[0]


@pytest.mark.parametrize("content", [None, b"", b"not an image", bytes(700)])
def test_file_that_is_no_image_is_e35(nitro_cli, tmp_path, content):
    path = tmp_path / "x.eif"
    if content is not None:
        path.write_bytes(content)
    status, output, errors = nitro_cli("describe-eif", "--eif-path", str(path), BACKTRACE="1")

    assert (35, "") == (status, output)
    assert errors.startswith("[ E35 ] EIF file parsing error. ")
    assert str(path) in errors


def test_damaged_signature_is_e35(nitro_cli, fixtures, tmp_path):
    content = bytearray((fixtures / "hello-signed-es384.eif").read_bytes())
    content[-1] ^= 1
    path = tmp_path / "x.eif"
    path.write_bytes(content)

    assert 35 == nitro_cli("describe-eif", "--eif-path", str(path))[0]


def test_custom_metadata_that_is_no_object_is_e17(nitro_cli, tmp_path):
    build = BuildInfo(
        time="t", tool="t", tool_version="1", operating_system="Linux", kernel_version="4"
    )
    write_eif(
        tmp_path / "x.eif",
        kernel=b"k",
        cmdline="c",
        ramdisks=[b"r"],
        metadata=Metadata(image_name="n", image_version="1", build=build, custom=[1]),
    )

    assert 17 == nitro_cli("describe-eif", "--eif-path", str(tmp_path / "x.eif"))[0]


def test_pcr_of_a_file(nitro_cli, tmp_path):
    content = bytes(3 << 20) + b"end"
    (tmp_path / "f").write_bytes(content)

    assert (0, f'{{\n  "PCR": "{pcr_of(content)}"\n}}\n', "") == nitro_cli(
        "pcr", "--input", str(tmp_path / "f")
    )


def test_pcr8_is_of_the_first_certificate(nitro_cli, credentials, fixtures):
    certificate = credentials[0]
    with open(certificate, "ab") as file:  # noqa: PTH123 - the fixture gives text, as users do
        file.write((fixtures / "hello-signed-es256.cert.pem").read_bytes())
    with open(certificate, "rb") as file:  # noqa: PTH123 - see above
        der = x509.load_pem_x509_certificates(file.read())[0].public_bytes(Encoding.DER)

    assert (0, f'{{\n  "PCR8": "{pcr_of(der)}"\n}}\n', "") == nitro_cli(
        "pcr", "--signing-certificate", certificate
    )


@pytest.mark.parametrize("option", ["input", "signing-certificate"])
@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_file_that_cannot_be_measured_is_e19_and_named(nitro_cli, tmp_path, option, kind):
    (tmp_path / "folder").mkdir()
    path = tmp_path / kind
    status, output, errors = nitro_cli("pcr", f"--{option}", str(path))

    assert (19, "") == (status, output)
    assert f"\nFile: '{path}', failing operation: 'Open'.\n" in errors


def test_what_is_no_certificate_is_e57(nitro_cli, credentials):
    assert 57 == nitro_cli("pcr", "--signing-certificate", credentials[1])[0]


@pytest.fixture
def image(fixtures, tmp_path):
    """Return the path of an image that may be written to."""
    path = tmp_path / "image.eif"
    shutil.copy(fixtures / "hello-unsigned.eif", path)
    return path


def sign(nitro_cli, path, credentials, **variables):
    certificate, key = credentials
    return nitro_cli(
        *("sign-eif", "--eif-path", str(path), "--signing-certificate", certificate),
        *("--private-key", key),
        **variables,
    )


def test_image_is_signed_in_place_and_its_measurements_printed(nitro_cli, image, credentials):
    status, output, errors = sign(nitro_cli, image, credentials)

    assert (0, "Enclave Image successfully signed.\n") == (status, errors)
    described = json.loads(nitro_cli("describe-eif", "--eif-path", str(image))[1])
    assert {"Measurements": described["Measurements"]} == json.loads(output)
    assert (True, True) == (described["SignatureCheck"], described["CheckCRC"])
    assert "PCR8" in described["Measurements"]


def test_image_can_be_signed_again(nitro_cli, image, credentials):
    first = sign(nitro_cli, image, credentials)
    content = image.read_bytes()

    assert first == sign(nitro_cli, image, credentials)
    assert content == image.read_bytes()


def test_signing_without_an_image_is_e01_and_does_not_say_what_is_missing(nitro_cli, credentials):
    certificate, key = credentials
    status, _output, errors = nitro_cli(
        "sign-eif", "--signing-certificate", certificate, "--private-key", key
    )

    assert 1 == status
    assert "User did not provide the `MISSING_INFO` argument." in errors


def test_signing_without_certificate_and_key_is_e60(nitro_cli, image):
    content = image.read_bytes()

    assert 60 == nitro_cli("sign-eif", "--eif-path", str(image))[0]
    assert content == image.read_bytes()


@pytest.mark.parametrize("lacking", ["image", "certificate", "key"])
def test_file_that_signing_cannot_read_is_e60(nitro_cli, image, credentials, lacking, tmp_path):
    paths = {"image": image, "certificate": credentials[0], "key": credentials[1]}
    paths[lacking] = tmp_path / "missing"
    status, output, errors = sign(
        nitro_cli,
        paths["image"],
        (str(paths["certificate"]), str(paths["key"])),
        BACKTRACE="1",
    )

    assert (60, "") == (status, output)
    assert f"    Cannot use {tmp_path / 'missing'}: No such file or directory\n" in errors


@pytest.mark.parametrize(
    "key", ["arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", None]
)
def test_key_that_cannot_be_used_is_e60(nitro_cli, image, credentials, key):
    content = image.read_bytes()

    assert 60 == sign(nitro_cli, image, (credentials[0], key or credentials[0]))[0]
    assert content == image.read_bytes()
