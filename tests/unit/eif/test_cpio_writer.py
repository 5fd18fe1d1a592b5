"""Archives are what linuxkit writes, byte for byte; the programs that unpack them agree."""

import stat
import string
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrosim.eif.cpio import CHUNK, BytesContent, Entry, Kind, read_content
from nitrosim.eif.cpio_errors import CpioError
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.eif.cpio_writer import Archive, write_cpio

# An archive of one directory and one file, field by field, after the sources of surma/gocpio.
DIRECTORY_HEADER = """
070701 000002d1 000041ed 00000000 00000000 00000002 58f63f08 00000000
00000003 00000001 00000000 00000000 00000004 00000000
"""
FILE_HEADER = """
070701 000002d2 000081a4 00000001 00000002 00000001 58f63f08 00000005
00000003 00000001 00000000 00000000 00000004 00000000
"""
TRAILER_HEADER = """
070701 000002d3 00000000 00000000 00000000 00000001 00000000 00000000
00000003 00000001 00000000 00000000 0000000b 00000000
"""
BY_HAND = b"".join(
    [
        "".join(DIRECTORY_HEADER.split()).encode() + b"dev\0" + bytes(2),
        "".join(FILE_HEADER.split()).encode() + b"cmd\0" + bytes(2) + b"/init" + bytes(3),
        "".join(TRAILER_HEADER.split()).encode() + b"TRAILER!!!\0" + bytes(3),
    ]
)


def file(name, data=b"", **fields):
    return Entry(name=name, kind=Kind.FILE, content=BytesContent(data), **fields)


def folder(name, **fields):
    return Entry(name=name, kind=Kind.DIRECTORY, **({"mode": 0o755} | fields))


def link(name, target):
    return Entry(name=name, kind=Kind.SYMLINK, mode=0o777, target=target)


class Announced:
    """A content that does not keep what it promises."""

    def __init__(self, size, *pieces):
        self.size = size
        self.pieces = pieces

    def chunks(self):
        yield from self.pieces


def refusal(*entries):
    with pytest.raises(CpioError) as caught:
        write_cpio(entries)
    return caught.value.code


def test_an_archive_is_what_linuxkit_writes():
    entries = [
        folder(b"dev", mtime=1_492_533_000),
        file(b"cmd", b"/init", mtime=1_492_533_000, uid=1, gid=2),
    ]

    assert BY_HAND + bytes(-len(BY_HAND) % 512) == write_cpio(entries)


def test_an_archive_without_entries_is_one_trailer():
    empty = write_cpio([])

    assert 512 == len(empty)
    assert b"000002d1" == empty[6:14]
    assert [] == list(read_cpio(empty))


@pytest.mark.parametrize(
    ("name", "first", "target"),
    [
        (b"b", b"a", b"a"),
        (b"d/b", b"d/a", b"a"),
        (b"d/b", b"a", b"../a"),
        (b"d/e/f/b", b"d/x/a", b"../../x/a"),
        (b"b", b"d/a", b"d/a"),
    ],
)
def test_a_hard_link_becomes_a_relative_symbolic_link(name, first, target):
    hard = Entry(name=name, kind=Kind.HARD_LINK, mode=0o755, uid=3, gid=4, mtime=5, target=first)
    (entry,) = read_cpio(write_cpio([hard]))

    expected = Entry(name=name, kind=Kind.SYMLINK, mode=0o755, uid=3, gid=4, mtime=5, target=target)
    assert expected == entry


def test_the_size_is_known_before_contents_are_read():
    entries = [file(b"f" * n, b"x" * (1000 * n)) for n in range(1, 9)]
    entries += [folder(b"d/"), link(b"l", b"f")]
    archive = Archive(entries)

    assert archive.size == sum(len(piece) for piece in archive.chunks())
    assert b"".join(archive.chunks()) == b"".join(archive.chunks())


def test_a_large_file_is_not_held_in_memory():
    pieces = [bytes(CHUNK)] * 200
    large = Entry(b"f", Kind.FILE, content=Announced(200 * CHUNK, *pieces))
    archive = Archive([file(b"small"), large])
    sizes = [len(piece) for piece in archive.chunks()]

    assert archive.size == sum(sizes)
    assert 2 * CHUNK >= max(sizes)


@pytest.mark.parametrize("pieces", [[b"four"], [b"sev", b"en!!"], []])
def test_a_content_of_another_size_than_announced_is_refused(pieces):
    assert "CPIO_CONTENT_SIZE" == refusal(Entry(b"f", Kind.FILE, content=Announced(5, *pieces)))


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (file(b""), "CPIO_NAME"),
        (file(b"a\0b"), "CPIO_NAME"),
        (file(b"TRAILER!!!"), "CPIO_NAME"),
        (file(b"f", mtime=-1), "CPIO_FIELD_RANGE"),
        (file(b"f", mtime=1 << 32), "CPIO_FIELD_RANGE"),
        (file(b"f", uid=1 << 32), "CPIO_FIELD_RANGE"),
        (Entry(b"f", Kind.FILE, content=Announced(1 << 32)), "CPIO_FIELD_RANGE"),
        (Entry(b"s", Kind.SOCKET), "CPIO_NOT_WRITABLE"),
        (file(b"f", group=(1, 2)), "CPIO_NOT_WRITABLE"),
    ],
)
def test_what_has_no_place_in_the_format_is_refused(entry, code):
    assert code == refusal(entry)


def tree_of(root):
    """Return every path below a folder with its kind, permissions, time and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        what = path.readlink() if path.is_symlink() else b""
        if stat.S_ISREG(status.st_mode):
            what = path.read_bytes()
        mode = 0o777 if path.is_symlink() else status.st_mode
        found[path.relative_to(root)] = (stat.S_IFMT(status.st_mode), mode & 0o7777, what)
    return found


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(["cpio"], marks=pytest.mark.needs("cpio")),
        pytest.param(["busybox", "cpio"], marks=pytest.mark.needs("busybox")),
    ],
    ids=["gnu", "busybox"],
)
def test_other_programs_unpack_what_was_meant(program, tmp_path):
    entries = [
        folder(b"rootfs"),
        folder(b"rootfs/bin/"),
        file(b"rootfs/bin/hello", b"#!" + bytes(range(256)) * 5000, mode=0o755),
        Entry(b"rootfs/bin/hi", Kind.HARD_LINK, mode=0o755, target=b"rootfs/bin/hello"),
        link(b"rootfs/sh", b"../../outside"),
        Entry(b"rootfs/pipe", Kind.FIFO, mode=0o600),
        folder(b"rootfs"),
        folder(b"rootfs/tmp"),
        *(file(b"rootfs/tmp/" + b"n" * n, b"x" * n, mode=0o600) for n in range(1, 9)),
        file(b"cmd", b"/bin/hello\n"),
    ]
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    subprocess.run(
        [*program, "-i", "-d", "-m", "-u"],
        cwd=theirs,
        input=write_cpio(entries),
        check=True,
        capture_output=True,
    )
    ours.mkdir()
    for entry in read_cpio(write_cpio(entries)):
        path = ours / entry.name.decode()
        if entry.kind is Kind.DIRECTORY:
            path.mkdir(exist_ok=True)
        elif entry.kind is Kind.SYMLINK:
            path.symlink_to(entry.target.decode())
        elif entry.kind is Kind.FIFO:
            subprocess.run(["mkfifo", path], check=True)
        else:
            path.write_bytes(read_content(entry))
        if entry.kind is not Kind.SYMLINK:
            path.chmod(entry.mode)

    assert tree_of(ours) == tree_of(theirs)


@pytest.mark.needs("cpio")
@pytest.mark.parametrize("form", ["newc", "crc"])
def test_archives_of_gnu_cpio_are_read(form, tmp_path):
    (tmp_path / "d").mkdir(mode=0o750)
    (tmp_path / "d" / "f").write_bytes(b"content" * 100_000)
    (tmp_path / "d" / "g").hardlink_to(tmp_path / "d" / "f")
    (tmp_path / "d" / "l").symlink_to("/nowhere")
    done = subprocess.run(
        ["cpio", "-o", "-H", form],
        cwd=tmp_path,
        input=b"d\nd/f\nd/g\nd/l\n",
        check=True,
        capture_output=True,
    )
    found = {entry.name: (entry, read_content(entry)) for entry in read_cpio(done.stdout)}

    assert [b"d", b"d/f", b"d/g", b"d/l"] == sorted(found)
    assert (Kind.DIRECTORY, 0o750) == (found[b"d"][0].kind, found[b"d"][0].mode)
    assert b"/nowhere" == found[b"d/l"][0].target
    assert found[b"d/f"][0].group == found[b"d/g"][0].group is not None
    assert {b"", b"content" * 100_000} == {found[b"d/f"][1], found[b"d/g"][1]}


NAMES = st.text(string.ascii_letters + "./é\n", min_size=1, max_size=40).map(str.encode)
NUMBERS = st.integers(0, 0xFFFFFFFF)
COMMON = {
    "name": NAMES,
    "mode": st.integers(0, 0o7777),
    "uid": NUMBERS,
    "gid": NUMBERS,
    "mtime": NUMBERS,
}
ENTRIES = st.one_of(
    st.builds(Entry, kind=st.just(Kind.DIRECTORY), **COMMON),
    st.builds(
        Entry, kind=st.just(Kind.FILE), content=st.builds(BytesContent, st.binary()), **COMMON
    ),
    st.builds(
        Entry,
        kind=st.just(Kind.SYMLINK),
        target=st.binary(min_size=1, max_size=99).map(lambda b: b.replace(b"\0", b"0")),
        **COMMON,
    ),
    st.builds(
        Entry,
        kind=st.sampled_from([Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE]),
        device=st.tuples(NUMBERS, NUMBERS),
        **COMMON,
    ),
    st.builds(Entry, kind=st.just(Kind.FIFO), **COMMON),
)


@given(st.lists(ENTRIES))
def test_any_entries_come_back_as_they_were(entries):
    archive = write_cpio(entries)
    found = [(entry, read_content(entry)) for entry in read_cpio(archive)]

    assert 0 == len(archive) % 512
    assert Archive(entries).size == len(archive)
    assert entries == [entry for entry, _ in found]
    assert [read_content(entry) for entry in entries] == [content for _, content in found]
