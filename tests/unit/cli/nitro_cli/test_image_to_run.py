"""What run-enclave says of an image that it cannot start."""

from __future__ import annotations

import io
import sys

import pytest

from nitrosim.cli.nitro_cli import image_to_run as module
from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.image_to_run import image_to_run
from nitrosim.eif.errors import Code
from nitrosim.errors import EnclaveError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep what is unpacked out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def refused_with(monkeypatch):
    """Return a function that has every image refused with an error."""

    def refuse(error):
        def image_from_file(_path, *, on_unpacking):
            del on_unpacking
            raise error

        monkeypatch.setattr(module, "image_from_file", image_from_file)

    return refuse


SIGNED_WELL = "what comes when the signature has been looked at\n"


def to_run(path):
    return image_to_run(
        str(path), on_signature_checked=lambda: print(SIGNED_WELL, end="", file=sys.stderr)
    )


def failure(path):
    with pytest.raises(CommandError) as caught:
        to_run(path)
    assert "Run Enclave" == caught.value.action
    return caught.value


def test_file_that_is_missing_is_e19(tmp_path):
    error = failure(tmp_path / "x.eif")

    assert ErrorCode.FILE_OPERATION is error.reason
    assert error.headline.endswith(f"\nFile: '{tmp_path}/x.eif', failing operation: 'Read'.")


@pytest.mark.parametrize("content", [b"", b"not an image", bytes(700)])
def test_file_that_describe_eif_cannot_read_is_e35(tmp_path, capsys, content):
    (tmp_path / "x.eif").write_bytes(content)

    assert ErrorCode.EIF_PARSING is failure(tmp_path / "x.eif").reason
    assert ("", SIGNED_WELL) == capsys.readouterr()


@pytest.mark.parametrize(
    ("old", "new"), [(b"\x81\xa2ssigning", b"\xff\xa2ssigning"), (b"ImageName", b"YmageName")]
)
def test_wrong_signature_section_or_metadata_is_e35_before_anything_else(
    fixtures, tmp_path, old, new
):
    content = (fixtures / "hello-signed-es384.eif").read_bytes()
    (tmp_path / "x.eif").write_bytes(content.replace(old, new, 1))

    # The checksum is wrong as well, which would be E36.
    assert ErrorCode.EIF_PARSING is failure(tmp_path / "x.eif").reason


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("bad-crc", "CRC"),
        ("sig-pcr0-mismatch", "PCR0_MISMATCH"),
        ("one-empty-ramdisk", "EIF_LAYOUT"),
    ],
)
def test_image_that_describe_eif_reads_and_no_hypervisor_boots_is_e36_with_the_reason(
    fixtures, capsys, name, code
):
    path = fixtures / f"{name}.eif"
    error = failure(path)

    assert ErrorCode.ENCLAVE_BOOT is error.reason
    output, errors = capsys.readouterr()
    assert ("", 2) == (output, errors.count("\n"))
    assert errors.startswith(f"{SIGNED_WELL}nitrosim: {path} does not boot: {code}: ")
    assert error.subactions[0].startswith(f"{code}: ")


def test_image_for_another_architecture_is_e36(fixtures, capsys, monkeypatch):
    monkeypatch.setattr("os.uname", lambda: type("Machine", (), {"machine": "x86_64"}))
    assert ErrorCode.ENCLAVE_BOOT is failure(fixtures / "aarch64-flag.eif").reason

    assert " does not boot: ARCHITECTURE: " in capsys.readouterr().err


@pytest.mark.parametrize("code", sorted(module._SIGNATURE_CODES))
def test_signature_that_does_not_hold_is_e59(fixtures, refused_with, capsys, code):
    refused_with(Code[code]("it does not hold"))

    error = failure(fixtures / "hello-signed-es384.eif")

    assert ErrorCode.SIGNATURE_CHECK is error.reason
    assert ("", "") == capsys.readouterr()


def test_image_without_a_place_to_unpack_it_to_is_no_error_of_nitro_cli(refused_with):
    refused_with(EnclaveError("no room", code="EIF_CACHE"))

    with pytest.raises(EnclaveError, match="no room"):
        to_run("x.eif")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("terminal", [True, False])
def test_unpacking_is_said_on_a_terminal_only(monkeypatch, terminal):
    def unpacks(_path, *, on_unpacking):
        on_unpacking()
        return "the image"

    monkeypatch.setattr(module, "image_from_file", unpacks)
    errors = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)

    assert "the image" == to_run("/images/app.eif")
    said = "nitrosim: unpacking /images/app.eif, this once\n" if terminal else ""
    assert f"{said}{SIGNED_WELL}" == errors.getvalue()
