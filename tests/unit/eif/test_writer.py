"""Writing and signing: the bytes, streams, what stays of the old file, and what is refused."""

import os
import stat
import threading
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nitrosim.eif import Eif, EifError, PemSigner, SectionType, sign_eif, write_eif

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNATURE = SectionType.SIGNATURE

posix = pytest.mark.skipif(os.name != "posix", reason="needs the files of a POSIX system")


@pytest.fixture
def write(tmp_path, metadata):
    """Write the usual image, with changes; returns its path and the measurements."""

    def write(path=None, **changes):
        path = path or tmp_path / "image.eif"
        usual = {
            "kernel": b"kernel",
            "cmdline": "console=ttyS0",
            "ramdisks": [b"boot", b"application"],
            "metadata": metadata,
        }
        return path, write_eif(path, **{**usual, **changes})

    return write


def code_of(function, *arguments, **options):
    with pytest.raises(EifError) as caught:
        function(*arguments, **options)
    return caught.value.code


def contents(path, without=()):
    with Eif.open(path) as eif:
        return [
            (section.type, bytes(eif.payload(section)))
            for section in eif.sections
            if section.type not in without
        ]


def test_image_is_made_of_its_parts(write, make_image):
    path, _measured = write()

    assert make_image() == path.read_bytes()


def test_other_header_fields_are_written(write):
    path, _measured = write(architecture="aarch64", default_memory=5, default_cpus=7)

    with Eif.open(path, check="boot", architecture="aarch64") as eif:
        assert (1, 5, 7) == (
            eif.header.flags,
            eif.header.default_memory,
            eif.header.default_cpus,
        )


def test_measurements_are_those_of_the_file(write, a_signer):
    for signer in (None, a_signer):
        path, measured = write(signer=signer)
        with Eif.open(path, check="boot") as eif:
            assert measured == eif.measure()


def test_parts_are_bytes_files_or_streams(write, tmp_path, make_image):
    (tmp_path / "kernel").write_bytes(b"kernel")
    stream = (piece for piece in (b"bo", memoryview(b"o"), b"", b"t"))

    path, _measured = write(kernel=tmp_path / "kernel", ramdisks=[stream, iter([b"application"])])

    assert make_image() == path.read_bytes()


def test_large_stream_takes_little_memory(write):
    piece = bytes(1 << 20)
    tracemalloc.start()

    path, _measured = write(ramdisks=[b"boot", (piece for _piece in range(32))])

    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    with Eif.open(path, check="boot") as eif:
        assert 32 << 20 == eif.sections[-1].size


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kernel=st.binary(max_size=30),
    cmdline=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30),
    ramdisks=st.lists(st.binary(max_size=30), min_size=1, max_size=5),
    signed=st.booleans(),
)
def test_any_parts_are_found_again(  # noqa: PLR0917 - as hypothesis calls it
    write, a_signer, kernel, cmdline, ramdisks, signed
):
    path, measured = write(
        kernel=kernel, cmdline=cmdline, ramdisks=ramdisks, signer=a_signer if signed else None
    )

    with Eif.open(path, check="boot") as eif:
        assert measured == eif.measure()
        assert () == eif.warnings
        assert signed == eif.is_signed
        if signed:
            eif.verify_for_boot(at=NOW)
    found = contents(path, without=(SectionType.METADATA, SIGNATURE))
    assert found == [
        (SectionType.KERNEL, kernel),
        (SectionType.CMDLINE, cmdline.encode()),
        *((SectionType.RAMDISK, ramdisk) for ramdisk in ramdisks),
    ]


def test_same_parts_give_the_same_bytes_signed_or_not(write, tmp_path, a_signer):
    for signer in (None, a_signer):
        first, _measured = write(tmp_path / "first.eif", signer=signer)
        second, _measured = write(tmp_path / "second.eif", signer=signer)
        assert first.read_bytes() == second.read_bytes()


def test_image_without_ramdisk_is_refused(write):
    assert "NO_RAMDISK" == code_of(write, ramdisks=[])


@pytest.mark.parametrize("cmdline", ["a\0b", "\0", "\udc80"])
def test_command_line_that_cannot_be_written_is_refused(write, cmdline):
    assert "CMDLINE" == code_of(write, cmdline=cmdline)


@pytest.mark.parametrize("field", ["default_memory", "default_cpus"])
@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_number_that_does_not_fit_the_header_is_refused(write, tmp_path, field, value):
    assert "HEADER_FIELD" == code_of(write, **{field: value})
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("ramdisks", "signed"), [(30, False), (29, True)])
def test_more_sections_than_the_header_can_name_are_refused(write, a_signer, ramdisks, signed):
    signer = a_signer if signed else None

    write(ramdisks=[b""] * (ramdisks - 1), signer=signer)
    assert "SECTION_COUNT" == code_of(write, ramdisks=[b""] * ramdisks, signer=signer)


def test_certificate_too_long_for_the_signature_section_is_refused(write, make_credentials):
    certificate, key = make_credentials()
    signer = PemSigner(certificate + b"#" * 20_000, key)

    assert "SIGNATURE_SIZE" == code_of(write, signer=signer)


class ReadError(Exception):
    pass


def failing():
    yield b"some"
    raise ReadError


def test_failure_leaves_the_old_file_and_nothing_else(write, tmp_path):
    path, _measured = write()
    before = path.read_bytes()

    with pytest.raises(ReadError):
        write(ramdisks=[failing()])
    code_of(write, cmdline="\0")

    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_new_file_has_the_permissions_of_any_new_file(write, tmp_path):
    path, _measured = write()
    (tmp_path / "other").touch()

    assert (tmp_path / "other").stat().st_mode == path.stat().st_mode


@posix
def test_old_file_keeps_its_permissions(write):
    path, _measured = write()
    path.chmod(0o640)

    write()

    assert 0o640 == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.needs("root")
def test_old_file_keeps_its_owner(write):
    path, _measured = write()
    os.chown(path, 12345, 54321)

    write()

    assert (12345, 54321) == (path.stat().st_uid, path.stat().st_gid)


@posix
def test_symbolic_link_stays_one(write, tmp_path):
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link.eif"
    link.symlink_to("folder/image.eif")

    write(link)

    assert link.is_symlink()
    with Eif.open(tmp_path / "folder" / "image.eif", check="boot") as eif:
        assert 5 == len(eif.sections)


@posix
def test_device_is_written_to_and_not_replaced(write):
    _path, measured = write(Path("/dev/null"))

    assert Path("/dev/null").is_char_device()
    assert measured == write()[1]


@posix
def test_pipe_gets_the_finished_image(write, tmp_path, make_image):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()

    write(pipe)
    reader.join()

    assert [make_image()] == received


def test_readers_see_the_old_file_until_the_new_one_is_complete(write):
    path, _measured = write()
    before = path.read_bytes()
    seen = []

    def watching():
        yield b"other"
        seen.append(path.read_bytes())

    write(ramdisks=[watching()])

    assert [before] == seen
    assert before != path.read_bytes()


def test_signed_image_verifies_at_boot(write, signer):
    path, measured = write()

    signed = sign_eif(path, signer)

    with Eif.open(path, check="boot") as eif:
        assert () == eif.warnings
        assert signed == eif.measure()
        assert eif.verify_for_boot(at=NOW).is_over(measured.pcr0)
    assert measured == replace(signed, pcr8=None)


def test_signing_adds_the_section_that_writing_adds(write, tmp_path, a_signer):
    at_once, _measured = write(tmp_path / "at-once.eif", signer=a_signer)
    later, _measured = write(tmp_path / "later.eif")

    sign_eif(later, a_signer)

    assert at_once.read_bytes() == later.read_bytes()


def test_signing_again_replaces_the_signature(write, make_credentials):
    path, _measured = write(signer=PemSigner(*make_credentials("P-521")))
    before = contents(path, without=(SIGNATURE,))

    for curve in ("P-256", "P-384", "P-384"):
        sign_eif(path, PemSigner(*make_credentials(curve)))

        assert before == contents(path, without=(SIGNATURE,))
        with Eif.open(path, check="boot") as eif:
            assert () == eif.warnings
            assert make_credentials(curve)[0] == eif.signature.entries[0].certificate
            eif.verify_for_boot(at=NOW)


def test_signature_keeps_its_place_among_the_sections(make_image, parts, tmp_path, a_signer):
    path = tmp_path / "image.eif"
    path.write_bytes(make_image())
    sign_eif(path, a_signer)
    signature = contents(path)[-1]
    path.write_bytes(make_image((*parts[:2], signature, *parts[2:])))

    sign_eif(path, a_signer)

    assert [1, 2, 4, 5, 3, 3] == [kind for kind, _content in contents(path)]


def test_several_signatures_become_one(make_image, parts, tmp_path, a_signer):
    path = tmp_path / "image.eif"
    path.write_bytes(make_image())
    sign_eif(path, a_signer)
    signature = contents(path)[-1]
    path.write_bytes(make_image((*parts, signature, signature)))

    sign_eif(path, a_signer)

    with Eif.open(path, check="boot") as eif:
        eif.verify_for_boot(at=NOW)


def test_signing_keeps_the_header_and_section_flags(make_image, tmp_path, a_signer):
    path = tmp_path / "image.eif"
    path.write_bytes(make_image(version=3, flags=0x0241, section_flags=(0, 7)))

    sign_eif(path, a_signer)

    with Eif.open(path) as eif:
        assert (3, 0x0241) == (eif.header.version, eif.header.flags)
        assert [0, 7, 0, 0, 0, 0] == [section.flags for section in eif.sections]
        assert eif.checksum_is_right


def test_signing_drops_stray_bytes_and_repairs_the_tables(make_image, tmp_path, a_signer):
    path = tmp_path / "image.eif"
    path.write_bytes(make_image(after=b"stray", sizes={0: 1}, offsets={1: 1}, crc=0, count=31))

    sign_eif(path, a_signer)

    with Eif.open(path, check="boot") as eif:
        assert () == eif.warnings


def test_signing_into_another_file_leaves_the_image_alone(write, tmp_path, a_signer):
    path, _measured = write()
    before = path.read_bytes()

    sign_eif(path, a_signer, output=tmp_path / "signed.eif")

    assert before == path.read_bytes()
    with Eif.open(tmp_path / "signed.eif", check="boot") as eif:
        assert eif.is_signed


def test_image_that_is_full_cannot_be_signed_but_signed_again(write, tmp_path, a_signer):
    full, _measured = write(tmp_path / "full.eif", ramdisks=[b""] * 29)
    signed, _measured = write(tmp_path / "signed.eif", ramdisks=[b""] * 28, signer=a_signer)

    assert "SECTION_COUNT" == code_of(sign_eif, full, a_signer)
    sign_eif(signed, a_signer)


def test_broken_image_is_not_signed(tmp_path, a_signer):
    path = tmp_path / "broken.eif"
    path.write_bytes(b".eif")

    assert "HEADER_TRUNCATED" == code_of(sign_eif, path, a_signer)
    assert b".eif" == path.read_bytes()
