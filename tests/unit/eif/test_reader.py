"""Opening files as nitro-cli reads them: what is refused, where, and what is not looked at."""

import pickle
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrosim.eif import Eif, EifError, SectionType
from nitrosim.eif.sections import MAX_WALKED
from nitrosim.errors import NitroSimError

KERNEL, CMDLINE, RAMDISK, METADATA = (
    SectionType.KERNEL,
    SectionType.CMDLINE,
    SectionType.RAMDISK,
    SectionType.METADATA,
)


def refusal(data, **options):
    with pytest.raises(EifError) as caught:
        Eif.from_bytes(data, **options)
    return caught.value


def test_sections_are_found_where_they_are(make_image, parts):
    eif = Eif.from_bytes(make_image())

    assert [content for _kind, content in parts] == [
        bytes(eif.payload(section)) for section in eif.sections
    ]
    assert [kind for kind, _content in parts] == [section.type for section in eif.sections]
    assert 548 == eif.sections[0].offset
    assert 560 == eif.sections[0].start


def test_sections_of_a_type_are_in_order(make_image):
    ramdisks = Eif.from_bytes(make_image()).sections_of(RAMDISK)

    assert [4, 11] == [section.size for section in ramdisks]


@pytest.mark.parametrize("size", [0, 1, 547])
def test_file_shorter_than_a_header_is_refused(make_image, tmp_path, size):
    path = tmp_path / "short.eif"
    path.write_bytes(make_image()[:size])

    with pytest.raises(EifError) as caught:
        Eif.open(path)

    assert ("HEADER_TRUNCATED", size) == (caught.value.code, caught.value.offset)
    assert "548 bytes" == caught.value.expected


def test_header_alone_is_a_file_without_sections(make_image):
    eif = Eif.from_bytes(make_image(parts=()))

    assert () == eif.sections
    assert eif.metadata is None
    assert not eif.is_signed
    assert eif.checksum_is_right


def test_nothing_in_the_header_is_checked(make_image):
    header = {"magic": b"ELF!", "version": 99, "flags": 0xFFFF, "count": 0, "crc": 1}

    eif = Eif.from_bytes(make_image(**header, offsets={0: 1 << 63}, sizes={1: 1 << 63}))

    assert 5 == len(eif.sections)
    assert (b"ELF!", 99, 0) == (eif.header.magic, eif.header.version, eif.header.section_count)
    assert not eif.checksum_is_right


@pytest.mark.parametrize("kind", [0, 6, 7, 0xFFFF])
def test_section_of_an_unknown_type_is_refused(make_image, kind):
    error = refusal(make_image(parts=((1, b"kernel"), (kind, b"?"))))

    assert ("SECTION_TYPE", 548 + 12 + 6) == (error.code, error.offset)
    assert (str(kind), "1 to 5") == (error.got, error.expected)


@pytest.mark.parametrize("size", [12, 13, 1 << 40, (1 << 64) - 1])
def test_section_longer_than_the_file_is_refused(make_image, size):
    error = refusal(make_image(parts=((1, b"kernel"), (3, b"elevenbytes")), declared={1: size}))

    assert ("SECTION_TRUNCATED", 548 + 12 + 6 + 4) == (error.code, error.offset)
    assert str(size) == error.got
    assert error.expected.startswith("at most 11,")


def test_size_beyond_the_file_takes_no_memory(make_image):
    data = make_image(parts=((3, b""),), declared={0: 1 << 40})
    tracemalloc.start()

    refusal(data)

    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("count", range(1, 12))
def test_up_to_eleven_bytes_after_the_last_section_belong_to_nothing(make_image, count):
    plain, longer = Eif.from_bytes(make_image()), Eif.from_bytes(make_image(after=b"\xff" * count))

    assert plain.sections == longer.sections
    assert longer.checksum_is_right
    assert plain.measure() == longer.measure()


def test_twelve_bytes_after_the_last_section_are_a_section(make_image):
    assert "SECTION_TYPE" == refusal(make_image(after=b"\xff" * 12)).code


def test_more_sections_than_any_tool_writes_are_refused(make_image):
    empty = struct.pack(">HHQ", 3, 0, 0)
    error = refusal(make_image(parts=()) + empty * (MAX_WALKED + 1))

    assert ("SECTION_COUNT", 548 + 12 * MAX_WALKED) == (error.code, error.offset)


def test_last_metadata_counts(make_image, parts):
    second = dict(parts)[METADATA].replace(b"hello", b"again")

    assert "again" == Eif.from_bytes(make_image((*parts, (5, second)))).metadata.image_name


def test_error_names_the_place_of_broken_metadata(make_image):
    error = refusal(make_image(parts=((1, b"kernel"), (5, b'{"a": tru}'))))

    assert ("METADATA_JSON", 548 + 12 + 6 + 12 + 6) == (error.code, error.offset)


def test_error_names_the_place_of_a_broken_signature(make_image):
    error = refusal(make_image(parts=((1, b"kernel"), (4, b"\x81\xa0"))))

    assert ("SIGNATURE_CBOR", 548 + 12 + 6 + 12 + 1) == (error.code, error.offset)


def test_view_of_a_closed_file_is_refused(fixtures):
    eif = Eif.open(fixtures / "hello-unsigned.eif")
    eif.close()
    eif.close()

    for use in (lambda: eif.payload(eif.sections[0]), eif.measure, lambda: eif.checksum):
        with pytest.raises(EifError) as caught:
            use()
        assert "CLOSED" == caught.value.code


def test_measurements_outlive_the_file(fixtures):
    with Eif.open(fixtures / "hello-unsigned.eif") as eif:
        measured = eif.measure()

    assert measured == eif.measure()


def test_view_outlives_the_file(fixtures):
    with Eif.open(fixtures / "hello-unsigned.eif") as eif:
        view = eif.payload(eif.sections_of(CMDLINE)[0])

    assert bytes(view).startswith(b"reboot=k")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_content_in_memory_is_read(make_image, kind):
    assert Eif.from_bytes(kind(make_image())).checksum_is_right


def test_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        Eif.open(tmp_path / "none.eif")


def test_unknown_check_is_refused(make_image):
    assert "CHECK" == refusal(make_image(), check="hypervisor").code


def test_error_is_one_of_ours_and_travels_between_processes(make_image):
    error = refusal(make_image()[:640])
    copy = pickle.loads(pickle.dumps(error))

    assert isinstance(error, NitroSimError)
    assert str(error) == str(copy)
    assert (error.code, error.offset, error.got) == (copy.code, copy.offset, copy.got)


def test_message_is_one_printable_line(make_image):
    error = refusal(make_image(magic=b"\n\x1b[2"), check="boot")

    assert error.code == "MAGIC"
    assert str(error).isprintable()


def places_of_refusals(content):
    for check in ("cli", "boot"):
        try:
            Eif.from_bytes(content, check=check).measure()
        except EifError as error:
            yield error.offset


@given(data=st.binary(max_size=700), change=st.integers(0, 600))
def test_any_bytes_are_read_or_refused_somewhere_in_them(make_image, data, change):
    image = make_image()

    for content in (data, image[:change] + data, image[: 548 + change] + data):
        assert all(0 <= place <= len(content) for place in places_of_refusals(content))
