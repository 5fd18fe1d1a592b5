"""Enclave Image Files whose program is a few instructions, so that no compiler is needed.

The bytes are the same on every machine, and so are the measurements.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from nitrosim.eif import BuildInfo, Eif, Metadata, SectionType, Signer, write_eif
from nitrosim.eif.cpio import BytesContent, Entry, Kind
from nitrosim.eif.ramdisk import bootstrap_ramdisk, customer_ramdisk

SAYS = b"ready\n"
COMMAND = ("/bin/app",)

_ADDRESS = 0x400000
_HEADERS = 64 + 56
_CODE = (
    bytes.fromhex("b801000000bf01000000488d3510000000ba")  # write(1, SAYS, ...
    + struct.pack("<I", len(SAYS))
    + bytes.fromhex("0f05b8220000000f05ebf7")  # ...); for (;;) pause();
)
_PROGRAM_HEADER = (1, 5, 0, _ADDRESS, _ADDRESS)
_BUILD = BuildInfo(
    time="2024-01-02T03:04:05.678901234+00:00",
    tool="nitro-cli",
    tool_version="1.5.0",
    operating_system="Linux",
    kernel_version="4.14.256",
)


def program() -> bytes:
    """Return a static x86_64 program that says `SAYS` and waits until it is killed."""
    size = _HEADERS + len(_CODE) + len(SAYS)
    identification = b"\x7fELF\2\1\1".ljust(16, b"\0")
    header = (2, 62, 1, _ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return (
        identification
        + struct.pack("<HHIQQQIHHHHHH", *header)
        + struct.pack("<IIQQQQQQ", *_PROGRAM_HEADER, size, size, 4096)
        + _CODE
        + SAYS
    )


def write_image(
    path: Path,
    *,
    command: tuple[str, ...] = COMMAND,
    files: tuple[tuple[bytes, bytes], ...] = (),
    signer: Signer | None = None,
) -> None:
    """Write an image with the program at /bin/app, and other files by name and content."""
    entries = [Entry(name=b"bin/", kind=Kind.DIRECTORY, mode=0o755)]
    for name, content in ((b"bin/app", program()), *files):
        data = BytesContent(content)
        entries.append(Entry(name=name, kind=Kind.FILE, mode=0o755, content=data))
    boot = bootstrap_ramdisk(BytesContent(b"init"), BytesContent(b"module"))
    write_eif(
        path,
        kernel=b"kernel",
        cmdline="console=ttyS0",
        ramdisks=[boot.chunks(), customer_ramdisk(entries, command, ("WHO=we",)).chunks()],
        metadata=Metadata(
            image_name="small", image_version="1", build=_BUILD, custom={"b": 1.5, "a": "ö"}
        ),
        signer=signer,
    )


def remove_metadata(path: Path) -> None:
    """Make an image one of version 3, which has no metadata."""
    content = path.read_bytes()
    with Eif.open(path) as eif:
        kept = [section for section in eif.sections if section.type is not SectionType.METADATA]
    parts, offsets, at = [], [], 548
    for section in kept:
        part = content[section.offset : section.offset + 12 + section.size]
        offsets.append(at)
        parts.append(part)
        at += len(part)
    table = [*offsets, *[0] * (32 - len(kept))]
    table += [*(section.size for section in kept), *[0] * (32 - len(kept))]
    header = content[:4] + struct.pack(">H", 3) + content[6:26]
    header += struct.pack(">H64QI", len(kept), *table, 0)
    body = b"".join(parts)
    path.write_bytes(header + struct.pack(">I", zlib.crc32(header + body)) + body)
