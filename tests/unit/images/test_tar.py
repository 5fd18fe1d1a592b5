"""Tar archives of Python, GNU tar and nobody at all."""

import io
import subprocess
import tarfile

import pytest

from nitrosim.images.errors import ImageError
from nitrosim.images.layer import MemberContent
from nitrosim.images.tar import read_tar

BLOCK = 512


def members(data):
    file = io.BytesIO(data)
    return [
        (member, b"".join(MemberContent(file, member).chunks()))
        for member in read_tar(file, 0, len(data))
    ]


def archive(*infos, tar_format=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as tar:
        for info, data in infos:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def info(name, **fields):
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def header(**fields):
    """Return a block whose fields are as given and whose checksum is right."""
    at = {
        "name": (0, 100),
        "mode": (100, 8),
        "uid": (108, 8),
        "gid": (116, 8),
        "size": (124, 12),
        "mtime": (136, 12),
        "flag": (156, 1),
        "target": (157, 100),
        "magic": (257, 8),
        "prefix": (345, 155),
    }
    block = bytearray(BLOCK)
    standard = {"name": b"f", "flag": b"0", "magic": b"ustar\x0000", "mode": b"0000644\0"}
    for field, value in (standard | fields).items():
        start, size = at[field]
        block[start : start + size] = value.ljust(size, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def extended(records, flag=b"x"):
    return header(flag=flag, size=b"%011o" % len(records)) + records + bytes(-len(records) % BLOCK)


def record(key, value):
    for length in range(len(key) + len(value) + 4, len(key) + len(value) + 12):
        text = b"%d %s=%s\n" % (length, key, value)
        if len(text) == length:
            return text
    raise AssertionError(key)


def refusal(data):
    with pytest.raises(ImageError) as caught:
        members(data)
    return caught.value.code


@pytest.mark.parametrize(
    "tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]
)
def test_every_kind_of_entry_is_read(tar_format):
    given = [
        (info("d", type=tarfile.DIRTYPE, mode=0o1777), b""),
        (info("d/f", uid=1000, gid=2000, mtime=1234567890, mode=0o4755), b"content" * 100),
        (info("d/l", type=tarfile.SYMTYPE, linkname="../f"), b""),
        (info("d/h", type=tarfile.LNKTYPE, linkname="d/f"), b""),
        (info("d/c", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        (info("d/b", type=tarfile.BLKTYPE, devmajor=8, devminor=300), b""),
        (info("d/p", type=tarfile.FIFOTYPE), b""),
    ]
    found = members(archive(*given, tar_format=tar_format))

    assert [
        (b"d", b"5", 0o1777, b""),
        (b"d/f", b"0", 0o4755, b""),
        (b"d/l", b"2", 0o644, b"../f"),
        (b"d/h", b"1", 0o644, b"d/f"),
        (b"d/c", b"3", 0o644, b""),
        (b"d/b", b"4", 0o644, b""),
        (b"d/p", b"6", 0o644, b""),
    ] == [(m.name.rstrip(b"/"), m.kind, m.mode, m.target) for m, _ in found]
    file, content = found[1]
    assert (1000, 2000, 1234567890, 700) == (file.uid, file.gid, file.mtime, file.size)
    assert b"content" * 100 == content
    assert [(1, 3), (8, 300)] == [m.device for m, _ in found[4:6]]


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_odd_names_are_whole(tar_format):
    long = "d" * 90 + "/" + "é" * 200
    found = members(
        archive(
            (info(long), b"x"),
            (info("l", type=tarfile.SYMTYPE, linkname=long), b""),
            (info("\udcff\n"), b""),
            tar_format=tar_format,
        )
    )

    assert [long.encode(), b"l", b"\xff\n"] == [member.name for member, _ in found]
    assert long.encode() == found[1][0].target


def test_the_prefix_of_posix_names_is_joined():
    (found,) = members(header(name=b"name", prefix=b"some/folder"))

    assert b"some/folder/name" == found[0].name


def test_large_numbers_are_read():
    large = info("f", uid=1 << 31, gid=1 << 40, mtime=1 << 34)
    for tar_format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        ((found, _),) = members(archive((large, b""), tar_format=tar_format))

        assert (1 << 31, 1 << 40, 1 << 34) == (found.uid, found.gid, found.mtime)


@pytest.mark.parametrize(("text", "seconds"), [(b"1.9", 1), (b"-0.5", -1), (b"7", 7)])
def test_parts_of_a_second_are_rounded_down(text, seconds):
    ((found, _),) = members(extended(record(b"mtime", text)) + header())

    assert seconds == found.mtime


def test_global_records_hold_until_they_are_replaced():
    data = b"".join(
        [
            extended(record(b"uid", b"7") + record(b"mtime", b"5"), b"g"),
            header(name=b"a"),
            extended(record(b"uid", b"8")),
            header(name=b"b"),
            header(name=b"c"),
        ]
    )

    assert [(7, 5), (8, 5), (7, 5)] == [(m.uid, m.mtime) for m, _ in members(data)]


def test_an_archive_may_end_at_any_block():
    assert [b"f"] == [member.name for member, _ in members(header())]
    assert [b"f"] == [member.name for member, _ in members(header() + bytes(BLOCK))]
    assert [] == members(b"")


def test_a_name_with_a_slash_is_a_directory_and_has_no_content():
    assert b"5" == members(header(name=b"d/"))[0][0].kind
    found = members(header(name=b"l", flag=b"2", target=b"x", size=b"%011o" % 5000) + header())
    assert [b"2", b"0"] == [member.kind for member, _ in found]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (header()[:300], "TAR_TRUNCATED"),
        (header(size=b"%011o" % 1), "TAR_TRUNCATED"),
        (header(size=b"%011o" % (1 << 32)) + bytes(BLOCK), "TAR_TRUNCATED"),
        (header(size=b"\x80" + b"\xff" * 11), "TAR_TRUNCATED"),
        (header(size=b"\xff" * 12), "TAR_HEADER"),
        (header(size=b"\xff" * 10 + b"\xfe\x00"), "TAR_HEADER"),
        (header(size=b"12x"), "TAR_HEADER"),
        (header(uid=b"-1"), "TAR_HEADER"),
        (header(mode=b"0o644"), "TAR_HEADER"),
        (header()[:-1] + b"x", "TAR_HEADER"),
        (b"not a tar archive".ljust(BLOCK), "TAR_HEADER"),
        (header(flag=b"V"), "TAR_KIND"),
        (header(flag=b"M"), "TAR_KIND"),
        (header(flag=b"x", size=b"%011o" % (2 << 20)), "TAR_EXTENSION"),
        (extended(b"nonsense\n") + header(), "TAR_EXTENSION"),
        (extended(b"11 path=x\n") + header(), "TAR_EXTENSION"),
        (extended(b"99 path=x\n") + header(), "TAR_EXTENSION"),
        (extended(b"0 path=x\n") + header(), "TAR_EXTENSION"),
        (extended(b"-9 path=x\n") + header(), "TAR_EXTENSION"),
        (extended(b"8 path\n\n") + header(), "TAR_EXTENSION"),
        (extended(record(b"path", b"a\0b")) + header(), "TAR_EXTENSION"),
        (extended(record(b"size", b"-1")) + header(), "TAR_EXTENSION"),
        (extended(record(b"size", b"9" * 5000)) + header(), "TAR_EXTENSION"),
        (extended(record(b"uid", b"1e3")) + header(), "TAR_EXTENSION"),
        (extended(record(b"mtime", b"nan")) + header(), "TAR_EXTENSION"),
        (extended(record(b"mtime", b"inf")) + header(), "TAR_EXTENSION"),
        (extended(record(b"mtime", b"now")) + header(), "TAR_EXTENSION"),
    ],
)
def test_a_damaged_archive_is_refused(data, code):
    assert code == refusal(data)


SPARSE = record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0")


def sparse_archive(size, table, data):
    body = table.ljust(-(-len(table) // BLOCK) * BLOCK, b"\0") + data
    records = extended(SPARSE + record(b"GNU.sparse.realsize", size))
    return records + header(size=b"%011o" % len(body)) + body + bytes(-len(body) % BLOCK)


def test_a_sparse_file_has_zeros_in_its_holes():
    ((member, content),) = members(sparse_archive(b"20", b"2\n3\n2\n10\n3\n", b"abcde"))

    assert 20 == member.size
    assert b"\0\0\0ab\0\0\0\0\0cde" + bytes(7) == content


@pytest.mark.parametrize(
    ("size", "table", "data"),
    [
        (b"20", b"2\n3\n2\n4\n3\n", b"abcde"),
        (b"20", b"1\n18\n3\n", b"abc"),
        (b"20", b"1\n0\n9\n", b"abc"),
        (b"20", b"1\n-1\n1\n", b"abc"),
        (b"-1", b"1\n0\n1\n", b"a"),
        (b"20", b"999999999\n0\n1\n", b"a"),
        (b"20", b"3\n0\n1\n", b""),
        (b"20", b"1" * 600, b""),
    ],
)
def test_a_damaged_sparse_map_is_refused(size, table, data):
    assert "TAR_EXTENSION" == refusal(sparse_archive(size, table, data))


def test_a_hole_of_gigabytes_is_read_in_pieces():
    data = sparse_archive(b"%d" % (1 << 40), b"1\n0\n1\n", b"a")
    file = io.BytesIO(data)
    (member,) = read_tar(file, 0, len(data))
    pieces = MemberContent(file, member).chunks()

    assert 1 << 40 == member.size
    assert b"a" == next(pieces)
    assert 1 << 20 > len(next(pieces))


@pytest.mark.needs("tar")
@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=posix", "--sparse-version=0.0"],
        ["--format=posix", "--sparse-version=0.1"],
        ["--format=posix", "--sparse-version=1.0"],
    ],
    ids=lambda options: options[-1],
)
def test_sparse_files_of_gnu_tar_are_read(options, tmp_path):
    path = tmp_path / ("sparse-" + "n" * 120)
    with path.open("wb") as file:
        for at in range(40):
            file.seek(at * 1_000_000)
            file.write(b"piece %d" % at)
        file.truncate(50_000_000)
    if path.stat().st_blocks * 512 > 10_000_000:
        pytest.skip("this file system has no sparse files")
    done = subprocess.run(
        ["tar", "-c", "--sparse", *options, path.name],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    ((member, content),) = members(done.stdout)

    assert path.name.encode() == member.name
    assert path.read_bytes() == content
    assert 5_000_000 > len(done.stdout)
