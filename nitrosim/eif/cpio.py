"""The entries of a cpio archive, and the facts about the format that ramdisks use.

A ramdisk of an Enclave Image File is a cpio archive in the format that GNU cpio calls *newc*
(``initramfs buffer format`` of the Linux documentation). The kernel's reader, ``init/initramfs.c``,
decides what an archive means; these facts are read from there and from the archives that
linuxkit, GNU cpio and busybox write.

* A header is 110 ASCII bytes: the magic ``070701`` (``070702`` with a checksum) and thirteen
  numbers of eight hexadecimal digits: inode, mode, uid, gid, number of links, mtime, size, device
  major and minor, special device major and minor, length of the name with its NUL, checksum.
  The name follows, then the data; each is padded with NULs to a multiple of four, counted from
  the beginning of the archive.
* The name ``TRAILER!!!`` ends an archive. Zeros may follow, and then another archive, or a
  compressed one. All ramdisks of an image are laid end to end and read as one; an entry with the
  name of an earlier one replaces it.
* The link count matters: files with two links or more that share inode, device and kind within
  one archive are hard links of one another. Any of them may carry the data. The kernel compares
  nothing else, and forgets all inodes at each trailer.
* The kernel does not create missing parent directories, takes at most 4095 bytes of a name or of
  the target of a link, and ignores data that comes with anything but files and symbolic links.
* Names are bytes. Some writers begin them with ``/`` or ``./``; linuxkit ends those of directories
  with ``/`` where they come from an image, and writes some directories twice. Readers here report
  names as they stand; what a name may do is the business of who extracts.

A file of 4 GiB or more does not fit into the format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

MAGIC: Final = b"070701"
MAGIC_WITH_CHECKSUM: Final = b"070702"
HEADER_SIZE: Final = 110
"""Bytes of a header: six of magic, thirteen numbers of eight digits."""
TRAILER: Final = b"TRAILER!!!"
PATH_MAX: Final = 4096
"""Bytes of the longest name or target with its NUL (Linux ``limits.h``)."""
CHUNK: Final = 1 << 18
"""Bytes of the pieces in which contents are handed around."""


class Kind(Enum):
    """What an entry is; the value is the file type of its mode shifted down by twelve bits."""

    FIFO = 0o01
    CHARACTER_DEVICE = 0o02
    DIRECTORY = 0o04
    BLOCK_DEVICE = 0o06
    FILE = 0o10
    SYMLINK = 0o12
    SOCKET = 0o14
    HARD_LINK = 0
    """Another name of an earlier file, as tar archives have it; cpio has no such kind."""


class Content(Protocol):
    """The bytes of a file, read when they are asked for."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in pieces of any length, `size` in all."""


@dataclass(frozen=True, slots=True)
class BytesContent:
    """A content that is held in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes at once; can be called again."""
        if self.data:
            yield self.data


EMPTY: Final = BytesContent(b"")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an archive, or of the tree that becomes one.

    Attributes:
        name: the path as bytes, exactly as it stands in its archive.
        kind: what it is.
        mode: the twelve permission bits.
        uid: number of the owner.
        gid: number of the group.
        mtime: modification time in seconds since 1970 UTC.
        device: major and minor number of a device; (0, 0) for everything else.
        target: where a symbolic link points, or the name whose other name a hard link is.
        content: the bytes of a file; empty for everything else.
        group: equal for the entries of a cpio archive that are hard links of one another;
            None for what has one name. The data comes with any of them.
        offset: where the entry begins, in bytes from the start of its archive; 0 if made here.

    """

    name: bytes
    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    device: tuple[int, int] = (0, 0)
    target: bytes = b""
    content: Content = field(default=EMPTY, compare=False)
    group: tuple[int, ...] | None = None
    offset: int = field(default=0, compare=False)


def read_content(entry: Entry) -> bytes:
    """Return the whole content of an entry; meant for small files."""
    return b"".join(entry.content.chunks())


def padding(size: int, unit: int) -> int:
    """Return how many bytes lead from `size` to the next multiple of `unit`."""
    return -size % unit
