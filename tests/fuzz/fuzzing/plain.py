"""Enclave Image Files taken apart and put together as the specification says, in a few lines."""

from __future__ import annotations

import hashlib
import struct
import zlib

HEADER, CRC, SECTION_HEADER = 548, 544, 12
KERNEL, CMDLINE, RAMDISK, SIGNATURE = 1, 2, 3, 4
_COUNT, _MOST = 26, 32


def walk(data: bytes) -> list[tuple[int, int, int]]:
    """Return type, beginning and end of each section, header included."""
    found, at = [], HEADER
    while at + SECTION_HEADER <= len(data):
        kind, _flags, size = struct.unpack_from(">HHQ", data, at)
        found.append((kind, at, at + SECTION_HEADER + size))
        at += SECTION_HEADER + size
    return found


def with_tables(data: bytes) -> bytes:
    """Put the right number, offsets and sizes of the sections into the header."""
    places = walk(data)[:_MOST]
    unused = [0] * (_MOST - len(places))
    offsets = [*(begin for _kind, begin, _end in places), *unused]
    sizes = [*(end - begin - SECTION_HEADER for _kind, begin, end in places), *unused]
    tables = struct.pack(f">H{2 * _MOST}Q", len(places), *offsets, *sizes)
    return data[:_COUNT] + tables + data[_COUNT + len(tables) :]


def checksum(data: bytes) -> int:
    """Return the checksum that a file should have: of all but itself and bytes at the end."""
    places = walk(data)
    return zlib.crc32(data[HEADER : places[-1][2] if places else HEADER], zlib.crc32(data[:CRC]))


def with_checksum(data: bytes) -> bytes:
    """Put the right checksum into the header."""
    return data[:CRC] + struct.pack(">I", checksum(data)) + data[HEADER:]


def pcr0(data: bytes) -> bytes:
    """Return the measurement of kernel, command line and ramdisks."""
    content = hashlib.sha384()
    for kind, begin, end in walk(data):
        if kind in {KERNEL, CMDLINE, RAMDISK}:
            content.update(data[begin + SECTION_HEADER : end])
    return pcr(content.digest())


def pcr(digest: bytes) -> bytes:
    """Return the value of a register that was extended once by a digest."""
    return hashlib.sha384(bytes(48) + digest).digest()


def replaced(data: bytes, begin: int, end: int, content: bytes) -> bytes:
    """Give a section another content; the header of the file is left as it is."""
    size = struct.pack(">Q", len(content))
    return data[: begin + 4] + size + content + data[end:]


def with_section(data: bytes, content: bytes) -> bytes:
    """Put a signature in the place of those that are there, or behind the rest."""
    sections = [*without(data, SIGNATURE), (SIGNATURE, content)]
    return data[:HEADER] + b"".join(
        struct.pack(">HHQ", kind, 0, len(body)) + body for kind, body in sections
    )


def without(data: bytes, unwanted: int) -> list[tuple[int, bytes]]:
    """Return type and content of all sections but those of one type."""
    return [
        (kind, data[begin + SECTION_HEADER : end])
        for kind, begin, end in walk(data)
        if kind != unwanted
    ]
