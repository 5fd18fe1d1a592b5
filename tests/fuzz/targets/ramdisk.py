"""The reader for ramdisks, the writer behind it, and unpacking.

Whatever the bytes: entries, or a `CpioError` that names a place in them. A second reading
(`fuzzing.newc`) sees the same entries, or refuses too; so does reading in small pieces. What was
read can be written and read again. Unpacking changes nothing outside of its target, stays within
its limit, leaves no descriptor open, and gives the tree that `fuzzing.extraction` expects.
"""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fuzzing import extraction, newc, oracle, ramdisks
from nitrosim.eif.cpio import BytesContent, Entry, Kind, read_content
from nitrosim.eif.cpio_errors import CpioError
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.eif.cpio_writer import write_cpio
from nitrosim.images.errors import ImageError
from nitrosim.images.unpack import Unpacked, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LIMIT = 300_000
"""Bytes that may be unpacked: more than most inputs have, less than some."""

_MANY = 200
"""Directories below one another for which there are descriptors everywhere."""

seeds, mutate = ramdisks.seeds, ramdisks.mutate


def target(data: bytes) -> None:
    """Read in several ways, write, unpack, and compare."""
    try:
        archives = newc.read(data)
    except newc.UndecidedError:
        _drain(read_cpio(data), data)
        _unpack_somewhere(data, None)
        return
    except newc.RefusedError:
        _check_that_refused(data)
        _unpack_somewhere(data, None)
        return
    entries = list(_whole(read_cpio(data)))
    _check_same(entries, archives)
    assert entries == list(_whole(read_cpio(_Dribble(data))))
    assert entries == list(_whole(read_cpio(io.BytesIO(data + b"more"), len(data))))
    _check_written(entries)
    _unpack_somewhere(data, archives)


class _Dribble(io.RawIOBase):
    """A file that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._left = memoryview(data)

    def read(self, size: int = -1) -> bytes:
        count = min(size, 1 + len(self._left) % 61)
        piece, self._left = self._left[:count], self._left[count:]
        return bytes(piece)


def _whole(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Read contents as they pass, and put them where they are compared: into the target."""
    for entry in entries:
        content = read_content(entry)
        assert len(content) == entry.content.size
        if entry.kind is Kind.FILE:
            assert not entry.target
            yield replace(entry, target=content, content=BytesContent(content))
        else:
            assert not content
            yield entry


def _drain(entries: Iterator[Entry], data: bytes) -> CpioError | None:
    """Read all and hold nothing; return the error that ends it, if one does."""
    try:
        for entry in entries:
            for piece in entry.content.chunks():
                assert 0 < len(piece) <= newc.MOST_BYTES
    except CpioError as error:
        _check_place(error, data)
        return error
    return None


def _check_place(error: CpioError, data: bytes) -> None:
    oracle.check_refusal(error)
    assert error.offset is not None
    assert error.offset >= 0
    if error.stream is None:
        assert error.offset <= len(data)
    else:
        assert 0 <= error.stream < len(data)


def _check_that_refused(data: bytes) -> None:
    """Assert that data are refused, as a whole and in pieces, for the same reason and place."""
    error = _drain(read_cpio(data), data)
    assert error is not None
    other = _drain(read_cpio(_Dribble(data)), data)
    assert other is not None
    # Where the end is not known, a size is found wrong only when the data end; and how much comes
    # out of a stream before its damage is noticed depends on the pieces.
    if not {"CPIO_SIZE", "CPIO_COMPRESSED_DATA"} & {error.code, other.code}:
        assert (error.code, error.stream, error.offset) == (other.code, other.stream, other.offset)


def _check_same(entries: list[Entry], archives: list[list[newc.Item]]) -> None:
    """Assert that the entries are those of the second reading."""
    items = [(number, item) for number, archive in enumerate(archives) for item in archive]
    assert len(items) == len(entries)
    groups: dict[tuple[int, ...], tuple[int, ...] | None] = {}
    for (number, item), entry in zip(items, entries, strict=True):
        numbers = item.numbers
        assert item.name == entry.name
        assert numbers["mode"] == entry.kind.value << 12 | entry.mode
        assert (numbers["uid"], numbers["gid"], numbers["mtime"]) == (
            entry.uid,
            entry.gid,
            entry.mtime,
        )
        assert (numbers["special_major"], numbers["special_minor"]) == entry.device
        assert (item.data if item.kind in {newc.FILE, newc.SYMLINK} else b"") == entry.target
        linked = numbers["links"] > 1 and item.kind not in {newc.DIRECTORY, newc.SYMLINK}
        assert linked == (entry.group is not None)
        if linked:
            inode = numbers["inode"], numbers["major"], numbers["minor"]
            assert groups.setdefault((number, item.kind, *inode), entry.group) == entry.group
    assert len(groups) == len(set(groups.values()))


def _check_written(entries: list[Entry]) -> None:
    """Write what can be written, and read it again."""
    writable = [
        replace(entry, group=None, offset=0) for entry in entries if entry.kind is not Kind.SOCKET
    ]
    archive = write_cpio(writable)
    assert len(archive) % 512 == 0
    assert writable == list(_whole(read_cpio(archive)))
    assert [len(writable)] == [len(items) for items in newc.read(archive)]


def _unpack_somewhere(data: bytes, archives: list[list[newc.Item]] | None) -> None:
    """Unpack in a room, and look around in it."""
    with extraction.Room() as room:
        outside = os.fsencode(room.path)
        descriptors = _descriptors()
        result: Unpacked | CpioError | ImageError
        try:
            result = unpack(_placed(read_cpio(data), outside), room.target, limit=LIMIT)
        except (CpioError, ImageError) as error:
            oracle.check_refusal(error)
            result = error
        assert descriptors == _descriptors()
        assert room.is_untouched()
        assert extraction.size(room.target) <= LIMIT
        if archives is None:
            return
        for item in (item for archive in archives for item in archive):
            item.name, item.data = (
                _with_path(item.name, outside),
                _with_path(item.data, outside) if item.kind == newc.SYMLINK else item.data,
            )
        _check_unpacked(result, archives, room)


def _placed(entries: Iterable[Entry], outside: bytes) -> Iterator[Entry]:
    """Put the path of the room where inputs have a word for it."""
    for entry in entries:
        yield replace(
            entry,
            name=_with_path(entry.name, outside),
            target=_with_path(entry.target, outside),
        )


def _with_path(name: bytes, outside: bytes) -> bytes:
    return name.replace(ramdisks.OUTSIDE, outside)[:4095]


def _check_unpacked(
    result: Unpacked | CpioError | ImageError,
    archives: list[list[newc.Item]],
    room: extraction.Room,
) -> None:
    assert not isinstance(result, CpioError)
    if isinstance(result, ImageError) and result.code == "UNPACK_WRITE":
        assert sys.platform != "linux" or _is_too_long(archives)
        return
    try:
        expected = extraction.expected(archives, LIMIT)
    except extraction.NoOpinionError:
        return
    except extraction.LeadsUpError:
        assert isinstance(result, ImageError)
        assert result.code == "UNPACK_PATH"
        return
    except extraction.TooMuchError:
        assert isinstance(result, ImageError)
        assert result.code == "UNPACK_LIMIT"
        return
    assert isinstance(result, Unpacked)
    assert expected == extraction.found(room.target)


def _is_too_long(archives: list[list[newc.Item]]) -> bool:
    """Tell whether a system may refuse a name, or the target of a link that one leads through."""
    items = [item for archive in archives for item in archive]
    texts = [item.name for item in items]
    texts += [item.data for item in items if item.kind == newc.SYMLINK]
    return any(
        text.count(b"/") > _MANY or max(map(len, text.split(b"/"))) > extraction.LONGEST_PART
        for text in texts
    )


def _descriptors() -> int:
    folder = Path("/dev/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0
