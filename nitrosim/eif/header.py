"""The header of an Enclave Image File: 548 bytes, every number big-endian.

====== ======= ==========================================================================
offset size    field
====== ======= ==========================================================================
0      4       magic, ``.eif``
4      2       version: 2 first release, 3 may have a signature, 4 must have metadata
6      2       flags: bit 0 is the architecture (0 x86_64, 1 aarch64)
8      8       default memory in bytes; written as 1 GiB, read by nobody
16     8       default number of CPUs; written as 2, read by nobody
24     2       reserved, 0
26     2       number of sections
28     32 x 8  offset of every section's own header from the beginning of the file, else 0
284    32 x 8  size of every section's content, without its own header, else 0
540    4       reserved, 0
544    4       CRC-32 of everything but this field: bytes 0 to 543, then all sections
====== ======= ==========================================================================

Source: the specification in the README of aws-nitro-enclaves-image-format, and what its builder
writes. Newer tools set more flags (6: PCIE, 9: PCIE_VIRTIO, seen with Bottlerocket in 2026), so
only bit 0 is looked at.

Two kinds of readers exist, and they look at different halves of a file. nitro-cli's reader takes
from the header nothing but version and CRC, walks from section to section by their own headers,
and accepts any magic, count and tables. QEMU's reader, and so presumably the hypervisor's, goes
by the table of offsets and holds the table of sizes against the sections' own. A file that is the
same for both has tables that say what the sections say.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal

from nitrosim.eif.errors import Code

MAGIC: Final = b".eif"
CURRENT_VERSION: Final = 4
MAX_SECTIONS: Final = 32
"""Entries in each of the two tables."""

HEADER_BYTES: Final = 548
CRC_OFFSET: Final = 544
"""The checksum is over the bytes before it and those after the header."""

DEFAULT_MEMORY: Final = 1 << 30
"""Bytes; what the official builder writes."""

DEFAULT_CPUS: Final = 2
"""What the official builder writes."""

AARCH64_FLAG: Final = 0x0001

Architecture = Literal["x86_64", "aarch64"]

_STRUCT: Final = struct.Struct(f">4sHHQQHH{MAX_SECTIONS}Q{MAX_SECTIONS}QII")
assert _STRUCT.size == HEADER_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The fields of a header, as they are in the file; see the module's table.

    Attributes:
        magic: 4 bytes.
        version: of the format.
        flags: 16 bits.
        default_memory: bytes.
        default_cpus: a number.
        reserved: 16 bits.
        section_count: a number; nothing makes it fit the tables.
        offsets: 32 offsets in bytes from the beginning of the file.
        sizes: 32 sizes in bytes.
        unused: 32 bits.
        crc: the checksum as stored.

    """

    magic: bytes = MAGIC
    version: int = CURRENT_VERSION
    flags: int = 0
    default_memory: int = DEFAULT_MEMORY
    default_cpus: int = DEFAULT_CPUS
    reserved: int = 0
    section_count: int
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    unused: int = 0
    crc: int = 0

    @classmethod
    def read(cls, data: bytes | memoryview) -> Header:
        """Take the fields from the first 548 bytes; no value is refused.

        Raises:
            EifError: `HEADER_TRUNCATED`.

        """
        size = len(data)
        if size < HEADER_BYTES:
            raise Code.HEADER_TRUNCATED(
                "header", offset=size, got=f"{size} bytes", expected=f"{HEADER_BYTES} bytes"
            )
        fields = _STRUCT.unpack_from(data)
        magic, version, flags, memory, cpus, reserved, count = fields[:7]
        return cls(
            magic=magic,
            version=version,
            flags=flags,
            default_memory=memory,
            default_cpus=cpus,
            reserved=reserved,
            section_count=count,
            offsets=fields[7 : 7 + MAX_SECTIONS],
            sizes=fields[7 + MAX_SECTIONS : 7 + 2 * MAX_SECTIONS],
            unused=fields[-2],
            crc=fields[-1],
        )

    def to_bytes(self) -> bytes:
        """Write the fields as 548 bytes.

        Raises:
            EifError: `HEADER_FIELD` if a number is negative or too large.

        """
        try:
            return _STRUCT.pack(
                self.magic,
                self.version,
                self.flags,
                self.default_memory,
                self.default_cpus,
                self.reserved,
                self.section_count,
                *self.offsets,
                *self.sizes,
                self.unused,
                self.crc,
            )
        except struct.error as error:
            raise Code.HEADER_FIELD(f"header ({error})", got=self) from error

    @property
    def architecture(self) -> Architecture:
        """What the image is for, by bit 0 of the flags."""
        return "aarch64" if self.flags & AARCH64_FLAG else "x86_64"
