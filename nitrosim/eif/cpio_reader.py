"""Read the cpio archives of a ramdisk, one entry at a time.

A ramdisk is what the Linux kernel's ``unpack_to_rootfs`` accepts: any number of archives one
after the other, with zeros in between, each plain or compressed in its own way. What the kernel
would silently skip (a name that is too long, an archive without a trailer) is an error here,
because it means that the image is not what its builder meant.

Contents are not held: what an `Entry` carries reads on from the archive, and only until the next
entry is asked for.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator
from typing import IO, Final

from nitrosim.eif.cpio import (
    EMPTY,
    HEADER_SIZE,
    MAGIC,
    MAGIC_WITH_CHECKSUM,
    PATH_MAX,
    TRAILER,
    Content,
    Entry,
    Kind,
    padding,
)
from nitrosim.eif.cpio_codecs import MAGIC_SIZE, compression_of
from nitrosim.eif.cpio_errors import CpioCode
from nitrosim.eif.cpio_source import Source, decompressed, open_source

_NUMBERS: Final = struct.Struct(">13I")
_KINDS: Final = {kind.value: kind for kind in Kind if kind is not Kind.HARD_LINK}
_LINKABLE: Final = frozenset(_KINDS.values()) - {Kind.DIRECTORY, Kind.SYMLINK}
"""What the kernel looks up by inode; see maybe_link() in its init/initramfs.c."""


def read_cpio(data: IO[bytes] | bytes | memoryview, size: int | None = None) -> Iterator[Entry]:
    """Yield the entries of all archives in a ramdisk, in their order.

    `data` is the ramdisk in memory (it is not copied) or a file, read from where it stands for
    `size` bytes or to its end. Trailers are not reported. Raises `CpioError`.
    """
    # DEVIATION: the kernel passes over entries of a ramdisk with names that are too long or kinds
    # that do not exist, and over a missing trailer; here such a ramdisk is refused.
    source = open_source(data, size)
    number = 0
    while True:
        source.skip_zeros()
        beginning = source.peek(MAGIC_SIZE)
        if not beginning:
            return
        compression = compression_of(beginning)
        if compression is None:
            number += 1
            yield from _archive(source, number)
            continue
        inside = decompressed(source, compression)
        while True:
            inside.skip_zeros()
            if not inside.peek(1):
                break
            if inside.offset and inside.peek(1) != b"0":
                inside.fail(CpioCode.CPIO_JUNK, "what follows an archive in a compressed stream")
            number += 1
            yield from _archive(inside, number)


class _Streamed:
    """A content that stands in the archive between the present entry and the next."""

    def __init__(self, source: Source, size: int, checksum: int | None) -> None:
        self.size = size
        self._source = source
        self._checksum = checksum
        self._start = source.offset
        self._taken = False

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes, once, before the next entry is asked for."""
        if self._taken or self._source.offset != self._start:
            self._source.fail(
                CpioCode.CPIO_CONTENT_PASSED,
                "the content of an entry, which can be read once and before the next entry",
                offset=self._start,
            )
        self._taken = self.size > 0
        total = 0
        for piece in self._source.stream_of(self.size, "the content of a file"):
            if self._checksum is not None:
                total += sum(piece)
            yield piece
        if self._checksum is not None and total & 0xFFFFFFFF != self._checksum:
            self._source.fail(
                CpioCode.CPIO_CHECKSUM,
                "the sum of the bytes of a file",
                offset=self._start,
                got=f"{total & 0xFFFFFFFF:08x}",
                expected=f"{self._checksum:08x}",
            )


def _archive(source: Source, number: int) -> Iterator[Entry]:
    """Yield the entries of one archive up to its trailer; `number` tells it from the others."""
    if source.offset % 4:
        source.fail(CpioCode.CPIO_ALIGNMENT, "where an archive begins", expected="a multiple of 4")
    while True:
        start = source.offset
        header = _header(source)
        name, size = _name(source, header[11]), header[6]
        source.skip(padding(HEADER_SIZE + header[11], 4), "the padding of a name")
        _check_size(source, size, name)
        if name == TRAILER:
            source.skip(size, "the trailer")
            return
        kind = _KINDS.get(header[1] >> 12)
        if kind is None:
            mode = f"{header[1]:o}"
            source.fail(CpioCode.CPIO_KIND, "the mode of an entry", offset=start, got=mode)
        linked = header[4] > 1 and kind in _LINKABLE
        after = source.offset + size
        checksum = header[12] if header[13] else None
        content: Content = EMPTY
        if kind is Kind.FILE and size:
            content = _Streamed(source, size, checksum)
        yield Entry(
            name=name,
            kind=kind,
            mode=header[1] & 0o7777,
            uid=header[2],
            gid=header[3],
            mtime=header[5],
            device=(header[9], header[10]),
            target=_target(source, size) if kind is Kind.SYMLINK else b"",
            content=content,
            group=(number, header[7], header[8], header[0], kind.value) if linked else None,
            offset=start,
        )
        source.skip(after - source.offset, "the content of a file")
        if source.peek(1):
            source.skip(padding(size, 4), "the padding of a file")


def _header(source: Source) -> tuple[int, ...]:
    """Return the thirteen numbers of a header, and 1 if the last of them is a checksum, else 0."""
    start = source.offset
    beginning = source.peek(len(MAGIC))
    if not beginning:
        source.fail(CpioCode.CPIO_TRUNCATED, "the end of an archive", expected="TRAILER!!!")
    if beginning not in (MAGIC, MAGIC_WITH_CHECKSUM):
        source.fail(
            CpioCode.CPIO_MAGIC,
            "the beginning of an entry",
            got=beginning.hex(),
            expected="070701 or 070702 (cpio -H newc), or the magic of a compressed stream",
        )
    text = source.take(HEADER_SIZE, "a header")
    try:
        numbers = _NUMBERS.unpack(binascii.unhexlify(text[len(MAGIC) :]))
    except binascii.Error:
        source.fail(
            CpioCode.CPIO_HEADER,
            "the numbers of a header",
            offset=start,
            got=text[len(MAGIC) :],
            expected="13 numbers of 8 hexadecimal digits",
        )
    return (*numbers, int(beginning == MAGIC_WITH_CHECKSUM))


def _name(source: Source, length: int) -> bytes:
    if not 1 < length <= PATH_MAX:
        source.fail(
            CpioCode.CPIO_NAME_LENGTH,
            "the length of a name with its NUL",
            got=length,
            expected=f"2 to {PATH_MAX}",
        )
    start = source.offset
    name = source.take(length, "a name")
    if name.find(b"\0") != length - 1:
        source.fail(
            CpioCode.CPIO_NAME_TERMINATOR,
            "a name",
            offset=start,
            got=name,
            expected=f"its first NUL as byte {length}",
        )
    return name[:-1]


def _check_size(source: Source, size: int, name: bytes) -> None:
    left = source.remaining
    if left is not None and size > left:
        source.fail(
            CpioCode.CPIO_SIZE,
            f"the size of {name.decode('utf-8', 'backslashreplace')!r}",
            got=f"{size} bytes",
            expected=f"at most the {left} that are left",
        )


def _target(source: Source, size: int) -> bytes:
    start = source.offset
    if not 0 < size < PATH_MAX:
        source.fail(
            CpioCode.CPIO_LINK_LENGTH,
            "the length of the target of a symbolic link",
            got=size,
            expected=f"1 to {PATH_MAX - 1}",
        )
    target = source.take(size, "the target of a symbolic link")
    if b"\0" in target:
        source.fail(
            CpioCode.CPIO_LINK_LENGTH, "the target of a symbolic link", offset=start, got=target
        )
    return target
