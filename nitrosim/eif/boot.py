"""What an image must be like to be booted, beyond being readable.

The list is that of the specification in aws-nitro-enclaves-image-format, and of QEMU's machine
``nitro-enclave`` (hw/core/eif.c): magic; version; architecture; 2 to 32 sections, where the
table of offsets says; no section flags; one kernel, one command line, ramdisks after the kernel;
metadata since version 4; at most one signature, of at most 32768 bytes, whose bytes are 8-bit
CBOR integers; the checksum.

The signature itself is another matter, because it needs a time: `nitrosim.eif.signing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nitrosim.eif.errors import Code, EifWarning
from nitrosim.eif.header import CRC_OFFSET, CURRENT_VERSION, MAGIC, MAX_SECTIONS, Header
from nitrosim.eif.sections import MAX_SIGNATURE_BYTES, Section, SectionType
from nitrosim.eif.signature import SignatureSection

_VERSIONS: Final = range(2, CURRENT_VERSION + 1)
_VERSION_OFFSET: Final = 4
_FLAGS_OFFSET: Final = 6
_COUNT_OFFSET: Final = 26
_OFFSETS_OFFSET: Final = 28
_SIZES_OFFSET: Final = _OFFSETS_OFFSET + 8 * MAX_SECTIONS
_METADATA_SINCE: Final = 4
_FEWEST_SECTIONS: Final = 2
_ONCE: Final = (
    SectionType.KERNEL,
    SectionType.CMDLINE,
    SectionType.SIGNATURE,
    SectionType.METADATA,
)
_NEEDED: Final = {
    SectionType.KERNEL: Code.NO_KERNEL,
    SectionType.CMDLINE: Code.NO_CMDLINE,
    SectionType.RAMDISK: Code.NO_RAMDISK,
}


def check_header(header: Header, architecture: str | None) -> None:
    """Check what the header alone says; `architecture` is what it shall boot on, None for any.

    Raises:
        EifError: `MAGIC`, `VERSION`, `ARCHITECTURE`.

    """
    if header.magic != MAGIC:
        raise Code.MAGIC("magic", offset=0, got=header.magic, expected=MAGIC)
    # ASSUMPTION: Versions 2 and 3 boot like version 4 without its metadata, as the specification
    # says; QEMU boots version 4 and any later one.
    if header.version not in _VERSIONS:
        raise Code.VERSION(
            "version", offset=_VERSION_OFFSET, got=header.version, expected="2, 3 or 4"
        )
    # ASSUMPTION: Flags other than the architecture are ignored; newer tools set some, QEMU
    # refuses all.
    if architecture is not None and header.architecture != architecture:
        raise Code.ARCHITECTURE(
            "architecture", offset=_FLAGS_OFFSET, got=header.architecture, expected=architecture
        )


def check_layout(
    header: Header,
    sections: Sequence[Section],
    *,
    size: int,
    signature: SignatureSection | None,
) -> tuple[EifWarning, ...]:
    """Check tables, sections and the form of the signature; return what is odd and harmless.

    Args:
        header: of the file.
        sections: of the file, found by walking through it.
        size: of the file in bytes.
        signature: of the file, or None.

    Raises:
        EifError: `SECTION_COUNT`, `OFFSET_TABLE`, `SECTION_FLAGS`, `SECTION_REPEATED`,
            `SECTION_ORDER`, `NO_KERNEL`, `NO_CMDLINE`, `NO_RAMDISK`, `NO_METADATA`,
            `SIGNATURE_SIZE`, `SIGNATURE_INTEGER`.

    """
    warnings = _check_tables(header, sections, size)
    _check_sections(header, sections)
    if signature is not None and signature.wide_integer is not None:
        raise Code.SIGNATURE_INTEGER(
            "byte of the signature section",
            offset=signature.wide_integer,
            expected="an 8-bit CBOR integer",
        )
    return warnings


def check_checksum(header: Header, actual: int) -> None:
    """Check the header's CRC-32 against that of the file.

    Raises:
        EifError: `CRC`.

    """
    if header.crc != actual:
        raise Code.CRC(
            "checksum", offset=CRC_OFFSET, got=f"{header.crc:08x}", expected=f"{actual:08x}"
        )


def _check_tables(header: Header, sections: Sequence[Section], size: int) -> tuple[EifWarning, ...]:
    count = header.section_count
    if not _FEWEST_SECTIONS <= count <= MAX_SECTIONS:
        raise Code.SECTION_COUNT(
            "number of sections", offset=_COUNT_OFFSET, got=count, expected="2 to 32"
        )
    if count != len(sections):
        raise Code.SECTION_COUNT(
            "number of sections", offset=_COUNT_OFFSET, got=count, expected=len(sections)
        )
    warnings: list[EifWarning] = []
    for number, section in enumerate(sections):
        name = section.type.name.lower()
        if header.offsets[number] != section.offset:
            raise Code.OFFSET_TABLE(
                f"offset of section {number}, {name}",
                offset=_OFFSETS_OFFSET + 8 * number,
                got=header.offsets[number],
                expected=section.offset,
            )
        # ASSUMPTION: The hypervisor tolerates a size in the header's table that is not the
        # section's, because nitro-cli's sign-eif leaves one behind; QEMU refuses it.
        if header.sizes[number] != section.size:
            warnings.append(
                EifWarning(
                    code=Code.SIZE_TABLE.name,
                    offset=_SIZES_OFFSET + 8 * number,
                    message=f"section {number}, {name}, has {section.size} bytes and "
                    f"{header.sizes[number]} in the header's table, as after signing again",
                )
            )
    # ASSUMPTION: Up to 11 bytes after the last section do not keep an image from booting, as
    # they do not in QEMU, which does not see them.
    if left := size - sections[-1].end:
        warnings.append(
            EifWarning(
                code=Code.TRAILING_BYTES.name,
                offset=sections[-1].end,
                message=f"{left} bytes after the last section",
            )
        )
    return tuple(warnings)


def _check_sections(header: Header, sections: Sequence[Section]) -> None:
    seen: set[SectionType] = set()
    for section in sections:
        name = section.type.name.lower()
        if section.flags:
            raise Code.SECTION_FLAGS(
                f"flags of the {name} section", offset=section.offset + 2, got=section.flags
            )
        if section.type in seen and section.type in _ONCE:
            raise Code.SECTION_REPEATED(
                f"{name} section", offset=section.offset, expected="one at most"
            )
        if section.type is SectionType.RAMDISK and SectionType.KERNEL not in seen:
            raise Code.SECTION_ORDER(
                "ramdisk section", offset=section.offset, expected="the kernel before it"
            )
        if section.type is SectionType.SIGNATURE and section.size > MAX_SIGNATURE_BYTES:
            raise Code.SIGNATURE_SIZE(
                "signature section",
                offset=section.offset + 4,
                got=f"{section.size} bytes",
                expected=f"at most {MAX_SIGNATURE_BYTES}",
            )
        seen.add(section.type)
    for kind, code in _NEEDED.items():
        if kind not in seen:
            raise code("sections", offset=sections[-1].end, expected=f"a {kind.name.lower()}")
    if header.version >= _METADATA_SINCE and SectionType.METADATA not in seen:
        raise Code.NO_METADATA("sections", offset=sections[-1].end, expected="a metadata section")
