"""The sections of an Enclave Image File: one after the other, from the header to the end.

Every section has a header of 12 bytes of its own, big-endian: type (2), flags (2, always 0) and
size of the content (8). The content follows at once; nothing is padded or aligned.

==== ========= ===================================================================================
type name      content
==== ========= ===================================================================================
1    KERNEL    a bzImage (x86_64) or Image (aarch64); exactly one
2    CMDLINE   the kernel's command line, as text without a final zero or line break; exactly one
3    RAMDISK   cpio archives, plain or compressed; the kernel sees all ramdisks as one initramfs
4    SIGNATURE CBOR, at most 32768 bytes; since version 3, at most one
5    METADATA  JSON; since version 4, which must have it
==== ========= ===================================================================================

Types 0 and from 6 on do not exist. nitro-cli writes kernel, command line, metadata, the ramdisk
that boots, the ramdisk with the application, and the signature last.

`walk` finds sections the way nitro-cli's reader does: from byte 548 on as long as 12 bytes are
left. So 1 to 11 bytes after the last section belong to nothing; they are not even checksummed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from nitrosim.eif.errors import Code
from nitrosim.eif.header import HEADER_BYTES

SECTION_HEADER_BYTES: Final = 12

MAX_SIGNATURE_BYTES: Final = 32768
"""SIGNATURE_MAX_SIZE of the specification."""

MAX_WALKED: Final = 4096
"""Sections that `walk` reads; the header has room for 32."""

_STRUCT: Final = struct.Struct(">HHQ")


class SectionType(IntEnum):
    """What is in a section."""

    KERNEL = 1
    CMDLINE = 2
    RAMDISK = 3
    SIGNATURE = 4
    METADATA = 5


MEASURED: Final = (SectionType.KERNEL, SectionType.CMDLINE, SectionType.RAMDISK)
"""The types whose content makes PCR0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Where a section is.

    Attributes:
        type: what is in it.
        flags: 16 bits, 0 in every known file.
        offset: of its own header, in bytes from the beginning of the file.
        size: of its content in bytes.

    """

    type: SectionType
    flags: int = 0
    offset: int
    size: int

    @property
    def start(self) -> int:
        """Where its content begins, in bytes from the beginning of the file."""
        return self.offset + SECTION_HEADER_BYTES

    @property
    def end(self) -> int:
        """Where its content ends, and the next section's header begins."""
        return self.start + self.size

    def header(self) -> bytes:
        """Write its own header, 12 bytes."""
        return _STRUCT.pack(self.type, self.flags, self.size)


def read_section(data: memoryview, offset: int) -> Section:
    """Read the section whose header is at `offset`, which has 12 bytes left at least.

    Raises:
        EifError: `SECTION_TYPE`, `SECTION_TRUNCATED`.

    """
    number, flags, size = _STRUCT.unpack_from(data, offset)
    try:
        kind = SectionType(number)
    except ValueError as error:
        raise Code.SECTION_TYPE(
            "section type", offset=offset, got=number, expected="1 to 5"
        ) from error
    left = len(data) - offset - SECTION_HEADER_BYTES
    if size > left:
        raise Code.SECTION_TRUNCATED(
            f"size of the {kind.name.lower()} section",
            offset=offset + 4,
            got=size,
            expected=f"at most {left}, which are left of the file",
        )
    return Section(type=kind, flags=flags, offset=offset, size=size)


def walk(data: memoryview) -> tuple[Section, ...]:
    """Find all sections of a file that has a whole header, in order.

    Raises:
        EifError: `SECTION_TYPE`, `SECTION_TRUNCATED`, `SECTION_COUNT`.

    """
    sections: list[Section] = []
    offset = HEADER_BYTES
    while offset + SECTION_HEADER_BYTES <= len(data):
        # DEVIATION: A file with more than 4096 sections is refused; nitro-cli reads any number,
        # and a file of nothing but empty sections would take up many times its own size.
        if len(sections) == MAX_WALKED:
            raise Code.SECTION_COUNT(
                "sections", offset=offset, got=f"more than {MAX_WALKED}", expected="2 to 32"
            )
        section = read_section(data, offset)
        sections.append(section)
        offset = section.end
    return tuple(sections)
