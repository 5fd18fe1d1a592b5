"""Ramdisks are read as the kernel reads them, and what it would skip silently is an error."""

import bz2
import gzip
import io
import lzma
import pickle

import pytest

from nitrosim.eif.cpio import BytesContent, Entry, Kind, read_content
from nitrosim.eif.cpio_errors import CpioCode, CpioError
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.eif.cpio_writer import write_cpio

MODE_FILE = 0o100644


def header(**fields):
    """Return a header as text, every field of which can be something else than a number."""
    numbers = {
        "inode": 1,
        "mode": MODE_FILE,
        "uid": 0,
        "gid": 0,
        "links": 1,
        "mtime": 0,
        "size": 0,
        "major": 0,
        "minor": 0,
        "special_major": 0,
        "special_minor": 0,
        "name_length": 2,
        "check": 0,
    }
    magic = fields.pop("magic", b"070701")
    numbers |= fields
    return magic + b"".join(
        number if isinstance(number, bytes) else b"%08x" % number for number in numbers.values()
    )


def padded(data):
    return data + bytes(-len(data) % 4)


def raw(name=b"f", data=b"", **fields):
    fields = {"size": len(data), "name_length": len(name) + 1} | fields
    return padded(header(**fields) + name + b"\0") + padded(data)


TRAILER = raw(b"TRAILER!!!", mode=0)


def names(data):
    return [entry.name for entry in read_cpio(data)]


def refusal(data, size=None):
    with pytest.raises(CpioError) as caught:
        [read_content(entry) for entry in read_cpio(data, size)]
    return caught.value.code, caught.value.offset


def test_all_of_a_header_is_reported():
    archive = (
        raw(
            b"./dev/null",
            mode=0o020666,
            uid=1,
            gid=2,
            mtime=3,
            special_major=4,
            special_minor=5,
        )
        + TRAILER
    )

    assert [
        Entry(
            name=b"./dev/null",
            kind=Kind.CHARACTER_DEVICE,
            mode=0o666,
            uid=1,
            gid=2,
            mtime=3,
            device=(4, 5),
        )
    ] == list(read_cpio(archive))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (0o010600, Kind.FIFO),
        (0o020600, Kind.CHARACTER_DEVICE),
        (0o040755, Kind.DIRECTORY),
        (0o060600, Kind.BLOCK_DEVICE),
        (0o100644, Kind.FILE),
        (0o140600, Kind.SOCKET),
    ],
)
def test_every_kind_of_file_is_told_from_its_mode(mode, kind):
    assert [kind] == [entry.kind for entry in read_cpio(raw(mode=mode) + TRAILER)]


def test_the_target_of_a_symbolic_link_is_its_data():
    (entry,) = read_cpio(raw(b"etc/mtab", b"/proc/mounts", mode=0o120777) + TRAILER)

    assert (Kind.SYMLINK, b"/proc/mounts") == (entry.kind, entry.target)


def test_names_are_reported_as_they_stand():
    odd = [b"/etc/passwd", b"./a", b"../b", b"c/", b"a//b", b"a", b"a", b".", b"\xff\n"]

    assert odd == names(b"".join(raw(name) for name in odd) + TRAILER)


def test_upper_case_digits_are_read():
    (entry,) = read_cpio(raw(mtime=b"5EADBEEF") + TRAILER)

    assert 0x5EADBEEF == entry.mtime


def test_an_empty_ramdisk_has_no_entries():
    assert [] == names(b"")
    assert [] == names(bytes(512))


def test_archives_follow_one_another_with_padding_between_them():
    one, two = raw(b"1") + TRAILER, raw(b"2") + TRAILER

    assert [b"1", b"2"] == names(one + two)
    assert [b"1", b"2"] == names(bytes(4) + one + bytes(512) + two + bytes(3))


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, lzma.compress, lambda d: lzma.compress(d, lzma.FORMAT_ALONE)],
    ids=["gzip", "bzip2", "xz", "lzma"],
)
def test_every_archive_can_be_compressed_in_its_own_way(compress):
    plain = raw(b"plain", b"x" * 5) + TRAILER
    packed = compress(raw(b"1", b"one" * 100_000) + TRAILER + bytes(100) + raw(b"2") + TRAILER)
    packed = packed + bytes(-len(packed) % 4)
    found = [(entry.name, read_content(entry)) for entry in read_cpio(packed + plain + packed)]

    assert [
        (b"1", b"one" * 100_000),
        (b"2", b""),
        (b"plain", b"xxxxx"),
        (b"1", b"one" * 100_000),
        (b"2", b""),
    ] == found


def test_compressed_streams_can_follow_directly():
    one, two = (gzip.compress(raw(name) + TRAILER) for name in (b"1", b"2"))

    assert [b"1", b"2"] == names(one + two)


def test_a_small_stream_does_not_fill_the_memory():
    size = 50 << 20
    bomb = gzip.compress(padded(header(size=size) + b"f\0") + bytes(size) + TRAILER)
    entry = next(read_cpio(bomb))
    sizes = [len(piece) for piece in entry.content.chunks()]

    assert size == sum(sizes)
    assert 1 << 20 > max(sizes)


def test_a_stream_that_asks_for_more_memory_than_anybody_needs_is_refused():
    stream = bytearray(lzma.compress(raw() + TRAILER, lzma.FORMAT_ALONE))
    # The size of the dictionary, little-endian: 3 GiB.
    stream[1:5] = b"\x00\x00\x00\xc0"

    assert ("CPIO_COMPRESSED_DATA", 0) == refusal(bytes(stream))


def test_a_ramdisk_is_read_from_a_file_up_to_its_size():
    archive = raw(b"1", b"data") + TRAILER
    file = io.BytesIO(b"before" + archive + b"behind")
    file.seek(6)

    assert [(b"1", b"data")] == [
        (entry.name, read_content(entry)) for entry in read_cpio(file, len(archive))
    ]


def test_a_view_is_read_without_copying_it():
    archive = raw(b"1", b"data") + TRAILER
    (entry,) = read_cpio(memoryview(archive))

    assert b"1" == entry.name


def test_contents_that_nobody_reads_are_passed_over():
    archive = b"".join(raw(b"%d" % n, b"x" * n) for n in range(9)) + TRAILER

    assert [b"%d" % n for n in range(9)] == names(archive)


def test_a_content_that_is_read_in_part_does_not_disturb_the_next_entry():
    entries = read_cpio(raw(b"1", b"x" * 1_000_001) + raw(b"2", b"yes") + TRAILER)
    assert next(next(entries).content.chunks())

    assert b"yes" == read_content(next(entries))


def test_a_content_cannot_be_read_later_or_twice():
    entries = read_cpio(raw(b"1", b"one") + raw(b"2", b"two") + TRAILER)
    first = next(entries)
    second = next(entries)
    assert b"two" == read_content(second)

    for entry in (first, second):
        with pytest.raises(CpioError) as caught:
            read_content(entry)
        assert "CPIO_CONTENT_PASSED" == caught.value.code


def test_names_of_one_inode_are_one_group_within_one_archive():
    linked = [raw(name, inode=7, links=2) for name in (b"a", b"b")]
    other = raw(b"c", inode=8, links=2)
    single = raw(b"d", inode=7, links=1)
    folder = raw(b"e", inode=7, links=2, mode=0o040755)
    archive = b"".join([*linked, other, single, folder]) + TRAILER
    a, b, c, d, e, again, *_ = read_cpio(archive * 2)

    assert a.group is not None
    assert a.group == b.group
    assert len({a.group, c.group, again.group}) == 3
    assert d.group is e.group is None


def test_a_checksum_is_that_of_the_bytes():
    fine = raw(b"f", b"\xff\x01", magic=b"070702", check=0x100)
    wrong = raw(b"f", b"\xff\x01", magic=b"070702", check=0x101)

    assert [b"\xff\x01"] == [read_content(entry) for entry in read_cpio(fine + TRAILER)]
    assert ("CPIO_CHECKSUM", 112) == refusal(wrong + TRAILER)


@pytest.mark.parametrize(
    ("data", "code", "offset"),
    [
        (b"not a cpio archive", "CPIO_MAGIC", 0),
        (raw(magic=b"070707") + TRAILER, "CPIO_MAGIC", 0),
        (b"\xc7\x71" + bytes(200), "CPIO_MAGIC", 0),
        (raw() + b"x" * 200, "CPIO_MAGIC", 112),
        (bytes(2) + raw() + TRAILER, "CPIO_ALIGNMENT", 2),
        (raw(uid=b"+0000001") + TRAILER, "CPIO_HEADER", 0),
        (raw(uid=b" 0000001") + TRAILER, "CPIO_HEADER", 0),
        (raw(uid=b"0x000001") + TRAILER, "CPIO_HEADER", 0),
        (raw(uid=b"000_0001") + TRAILER, "CPIO_HEADER", 0),
        (raw(mtime=b"-0000001") + TRAILER, "CPIO_HEADER", 0),
        (raw(name_length=0) + TRAILER, "CPIO_NAME_LENGTH", 110),
        (raw(b"") + TRAILER, "CPIO_NAME_LENGTH", 110),
        (raw(b"n" * 4096) + TRAILER, "CPIO_NAME_LENGTH", 110),
        (raw(name_length=0xFFFFFFFF) + TRAILER, "CPIO_NAME_LENGTH", 110),
        (raw(b"ab", name_length=2) + TRAILER, "CPIO_NAME_TERMINATOR", 110),
        (raw(b"a\0b") + TRAILER, "CPIO_NAME_TERMINATOR", 110),
        (raw(mode=0o000644) + TRAILER, "CPIO_KIND", 0),
        (raw(mode=0o170644) + TRAILER, "CPIO_KIND", 0),
        (raw(mode=0xFFFFFFFF) + TRAILER, "CPIO_KIND", 0),
        (raw(size=0xFFFFFFFF) + TRAILER, "CPIO_SIZE", 112),
        (raw(b"TRAILER!!!", mode=0, size=5), "CPIO_SIZE", 124),
        (raw(b"l", b"", mode=0o120777) + TRAILER, "CPIO_LINK_LENGTH", 112),
        (raw(b"l", b"x" * 4096, mode=0o120777) + TRAILER, "CPIO_LINK_LENGTH", 112),
        (raw(b"l", b"a\0b", mode=0o120777) + TRAILER, "CPIO_LINK_LENGTH", 112),
        (raw(), "CPIO_TRUNCATED", 112),
        (raw()[:5], "CPIO_MAGIC", 0),
        (raw()[:60], "CPIO_TRUNCATED", 0),
        (raw(b"long name")[:115], "CPIO_TRUNCATED", 110),
        (b"\x02\x21\x4c\x18" + bytes(20), "CPIO_COMPRESSION", 0),
        (b"\x89LZO\x00" + bytes(20), "CPIO_COMPRESSION", 0),
    ],
)
def test_a_malformed_archive_is_refused_with_its_place(data, code, offset):
    assert (code, offset) == refusal(data)


@pytest.mark.parametrize("cut", range(4, len(raw(b"name", b"data") + TRAILER), 4))
def test_an_archive_that_ends_early_is_refused(cut):
    data = (raw(b"name", b"data") + TRAILER)[:cut]
    code, offset = refusal(io.BytesIO(data))

    assert offset <= cut
    assert code in ("CPIO_TRUNCATED", "CPIO_MAGIC")


def test_sizes_are_held_against_a_section_before_anything_is_read():
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size=-1):
            type(self).given += size
            return (raw(size=1 << 31) + bytes(size))[:size]

    assert ("CPIO_SIZE", 112) == refusal(Endless(), 1 << 20)
    assert Endless.given <= 1 << 20


@pytest.mark.parametrize(
    ("inside", "code", "offset"),
    [
        (raw() + TRAILER + b"junk", "CPIO_JUNK", 236),
        (raw(), "CPIO_TRUNCATED", 112),
        (raw(uid=b"________") + TRAILER, "CPIO_HEADER", 0),
        (raw() + TRAILER + bytes(2) + raw() + TRAILER, "CPIO_ALIGNMENT", 238),
    ],
)
def test_an_error_in_a_compressed_stream_names_both_places(inside, code, offset):
    with pytest.raises(CpioError) as caught:
        list(read_cpio(bytes(8) + gzip.compress(inside)))

    assert (code, offset, 8) == (caught.value.code, caught.value.offset, caught.value.stream)
    assert "in the compressed stream that begins at 8" in str(caught.value)


def test_a_damaged_or_cut_stream_is_refused():
    whole = gzip.compress(raw(b"f", bytes(range(256)) * 400) + TRAILER)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF

    assert "CPIO_COMPRESSED_DATA" == refusal(bytes(damaged))[0]
    assert ("CPIO_TRUNCATED", len(whole) - 9) == refusal(whole[:-9])


def test_a_damaged_stream_is_named_by_where_it_begins():
    damaged = bytearray(gzip.compress(raw(b"f", bytes(range(256)) * 400) + TRAILER))
    damaged[-1] ^= 0xFF

    assert ("CPIO_COMPRESSED_DATA", 8) == refusal(bytes(8) + damaged)


def test_errors_survive_pickling():
    error = CpioCode.CPIO_SIZE("a size", offset=1, stream=2, got=b"g\xff", expected="e")

    again = pickle.loads(pickle.dumps(error))
    assert (error.code, str(error), error.stream) == (again.code, str(again), again.stream)
    assert r"a size in the compressed stream that begins at 2, at byte 1" in str(error)


def test_what_is_written_is_read():
    entries = [
        Entry(name=b"d/", kind=Kind.DIRECTORY, mode=0o1777, mtime=5),
        Entry(name=b"d/f", kind=Kind.FILE, mode=0o4755, uid=7, content=BytesContent(b"content")),
        Entry(name=b"d/l", kind=Kind.SYMLINK, mode=0o777, target=b"f"),
    ]
    found = [(entry, read_content(entry)) for entry in read_cpio(write_cpio(entries))]

    assert entries == [entry for entry, _ in found]
    assert [b"", b"content", b""] == [content for _, content in found]
