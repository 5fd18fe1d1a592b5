"""What is checked of an image that shall be booted: every reason with its place."""

import pytest

from nitrosim.eif import Eif, EifError
from nitrosim.eif.signature import write_section

K, C, R, S, M = 1, 2, 3, 4, 5
OFFSETS, SIZES = 28, 284


def boot(data, architecture=None):
    return Eif.from_bytes(data, check="boot", architecture=architecture)


def refusal(data, architecture=None):
    with pytest.raises(EifError) as caught:
        boot(data, architecture)
    return caught.value.code, caught.value.offset


def ends(parts):
    """Return where each part's header begins, and where the last one ends."""
    places = [548]
    for _kind, content in parts:
        places.append(places[-1] + 12 + len(content))
    return places


def test_usual_image_boots_without_warnings(make_image):
    assert () == boot(make_image(), "x86_64").warnings


def test_wrong_magic_is_refused(make_image):
    assert ("MAGIC", 0) == refusal(make_image(magic=b".EIF"))
    assert ("MAGIC", 0) == refusal(b"\x7fELF" + b"\xff" * 1000)


@pytest.mark.parametrize("version", [0, 1, 5, 0x0400])
def test_version_that_is_dead_or_unborn_is_refused(make_image, version):
    assert ("VERSION", 4) == refusal(make_image(version=version))


@pytest.mark.parametrize("version", [2, 3])
def test_older_version_boots_without_metadata(make_image, parts, version):
    without = [part for part in parts if part[0] != M]

    assert () == boot(make_image(without, version=version)).warnings


def test_version_4_without_metadata_is_refused(make_image, parts):
    without = [part for part in parts if part[0] != M]

    assert ("NO_METADATA", ends(without)[-1]) == refusal(make_image(without))


@pytest.mark.parametrize(("flags", "other"), [(0, "aarch64"), (1, "x86_64"), (0x0240, "aarch64")])
def test_other_architecture_is_refused(make_image, flags, other):
    assert ("ARCHITECTURE", 6) == refusal(make_image(flags=flags), other)


def test_other_flags_are_ignored(make_image):
    assert () == boot(make_image(flags=0x0241), "aarch64").warnings


@pytest.mark.parametrize("count", [0, 1, 33, 0xFFFF, 4, 6])
def test_wrong_number_of_sections_is_refused(make_image, count):
    assert ("SECTION_COUNT", 26) == refusal(make_image(count=count))


def test_offset_that_is_not_a_sections_is_refused(make_image):
    assert ("OFFSET_TABLE", OFFSETS + 16) == refusal(make_image(offsets={2: 548}))


def test_size_in_the_table_that_is_not_the_sections_is_a_warning(make_image):
    (warning,) = boot(make_image(sizes={3: 9})).warnings

    assert ("SIZE_TABLE", SIZES + 24) == (warning.code, warning.offset)
    assert "4 bytes and 9 in" in warning.message


def test_bytes_after_the_last_section_are_a_warning(make_image, parts):
    (warning,) = boot(make_image(after=b"123")).warnings

    assert ("TRAILING_BYTES", ends(parts)[-1]) == (warning.code, warning.offset)


def test_section_flags_are_refused(make_image, parts):
    assert ("SECTION_FLAGS", ends(parts)[1] + 2) == refusal(make_image(section_flags=(0, 8)))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_section_that_must_be_alone_is_refused_twice(make_image, parts, number):
    repeated = (*parts, parts[number])

    assert ("SECTION_REPEATED", ends(parts)[-1]) == refusal(make_image(repeated))


def test_ramdisk_before_the_kernel_is_refused(make_image, parts):
    assert ("SECTION_ORDER", 548) == refusal(make_image((parts[3], *parts)))


@pytest.mark.parametrize(
    ("kind", "code"), [(K, "SECTION_ORDER"), (C, "NO_CMDLINE"), (R, "NO_RAMDISK")]
)
def test_missing_section_is_refused(make_image, parts, kind, code):
    assert code == refusal(make_image([part for part in parts if part[0] != kind]))[0]


def test_image_without_kernel_and_ramdisk_is_refused(make_image, parts):
    left = [part for part in parts if part[0] not in (K, R)]

    assert ("NO_KERNEL", ends(left)[-1]) == refusal(make_image(left))


def test_wrong_checksum_is_refused(make_image):
    assert ("CRC", 544) == refusal(make_image(crc=0))


def test_checksum_does_not_cover_bytes_after_the_last_section(make_image):
    assert boot(make_image(after=b"123")).checksum_is_right


def test_signature_of_the_greatest_size_boots_and_a_longer_one_is_refused(make_image, parts):
    overhead = len(write_section(b"", bytes(300))) - 300 + 2
    fits = write_section(b"\0" * (32768 - overhead - 300), bytes(300))
    longer = write_section(b"\0" * (32769 - overhead - 300), bytes(300))

    assert (32768, 32769) == (len(fits), len(longer))
    assert () == boot(make_image((*parts, (S, fits)))).warnings
    assert ("SIGNATURE_SIZE", ends(parts)[-1] + 4) == refusal(make_image((*parts, (S, longer))))


def test_two_signatures_are_refused(make_image, parts):
    signature = (S, write_section(b"c", b"s"))

    code, _offset = refusal(make_image((*parts, signature, signature)))

    assert "SECTION_REPEATED" == code


def test_integer_longer_than_a_byte_needs_is_refused_though_nitro_cli_reads_it(make_image, parts):
    narrow = write_section(b"A", b"s")
    wide = narrow.replace(b"\x18\x41", b"\x19\x00\x41")
    image = make_image((*parts, (S, wide)))
    place = ends(parts)[-1] + 12 + wide.index(b"\x19")

    assert b"A" == Eif.from_bytes(image).signature.entries[0].certificate
    assert ("SIGNATURE_INTEGER", place) == refusal(image)
