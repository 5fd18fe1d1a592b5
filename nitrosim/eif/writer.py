"""Writing an Enclave Image File, byte for byte as the official builder does, and signing one.

Order and numbers are those of ``EifBuilder`` in aws-nitro-enclaves-image-format 0.5.0: version 4,
1 GiB and 2 CPUs as defaults, sections kernel, command line, metadata, ramdisks, signature; unused
entries of the tables are zero. With the same parts and no signature the files are identical; with
one, all but the signature's random bytes.

The parts may be streams of unknown length. They are written down one after the other, what has
been written is measured, signed and checksummed from there, and the header comes last. So the
memory needed does not depend on the size of the image.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from nitrosim.eif.certificate import SigningCertificate
from nitrosim.eif.errors import Code
from nitrosim.eif.header import (
    AARCH64_FLAG,
    DEFAULT_CPUS,
    DEFAULT_MEMORY,
    HEADER_BYTES,
    MAX_SECTIONS,
    Architecture,
    Header,
)
from nitrosim.eif.measure import Measurements, checksum, measure, pcr
from nitrosim.eif.metadata import Metadata
from nitrosim.eif.reader import Eif
from nitrosim.eif.replacing import replacing
from nitrosim.eif.sections import (
    MAX_SIGNATURE_BYTES,
    SECTION_HEADER_BYTES,
    Section,
    SectionType,
)
from nitrosim.eif.signing import Signer, sign_pcr0

Content: TypeAlias = bytes | os.PathLike[str] | Iterable[bytes | memoryview]
"""What goes into a section: bytes, the path of a file, or a stream of pieces."""

_PIECE_BYTES: Final = 1 << 20
_NO_ENTRIES: Final = (0,) * MAX_SECTIONS


def write_eif(  # noqa: PLR0913 - an image has that many parts
    path: str | os.PathLike[str],
    *,
    kernel: Content,
    cmdline: str,
    ramdisks: Sequence[Content],
    metadata: Metadata,
    architecture: Architecture = "x86_64",
    signer: Signer | None = None,
    default_memory: int = DEFAULT_MEMORY,
    default_cpus: int = DEFAULT_CPUS,
) -> Measurements:
    """Write an image and return its measurements.

    Args:
        path: where to; what is there is replaced when the image is complete.
        kernel: a bzImage or Image; not looked at.
        cmdline: of the kernel; written as it is, so without a line break at the end.
        ramdisks: one at least; the first one is what boots.
        metadata: what to say about it.
        architecture: what it is for.
        signer: signs PCR0; None for an image without signature.
        default_memory: bytes.
        default_cpus: a number.

    Raises:
        EifError: `NO_RAMDISK`, `SECTION_COUNT`, `CMDLINE`, `METADATA_JSON`, `HEADER_FIELD`,
            `SIGNATURE_SIZE`, `SIGNATURE_INVALID`, or what the signer raises.
        OSError: a part cannot be read or the image not be written.

    """
    if not ramdisks:
        raise Code.NO_RAMDISK("ramdisks", got="none", expected="one at least")
    header = Header(
        flags=AARCH64_FLAG if architecture == "aarch64" else 0,
        default_memory=default_memory,
        default_cpus=default_cpus,
        section_count=0,
        offsets=_NO_ENTRIES,
        sizes=_NO_ENTRIES,
    )
    parts: list[tuple[SectionType, Content]] = [
        (SectionType.KERNEL, kernel),
        (SectionType.CMDLINE, _encode(cmdline)),
        (SectionType.METADATA, metadata.to_bytes()),
        *((SectionType.RAMDISK, ramdisk) for ramdisk in ramdisks),
    ]
    _check_count(len(parts) + (signer is not None))
    with replacing(path) as file:
        assembly = _Assembly(file)
        for kind, content in parts:
            assembly.add(kind, content)
        return assembly.finish(header, signer)


def sign_eif(
    path: str | os.PathLike[str],
    signer: Signer,
    *,
    output: str | os.PathLike[str] | None = None,
) -> Measurements:
    """Sign an image, or sign it again, and return its measurements.

    A signature takes the place of the one that is there, or comes last. The image is replaced
    when the new one is complete; with `output`, that is written and the image left alone.

    Raises:
        EifError: the image cannot be read (as `Eif.open` with ``check="cli"``), or `CERTIFICATE`,
            that of its old signature; `SECTION_COUNT`, `SIGNATURE_SIZE`, `SIGNATURE_INVALID`, or
            what the signer raises.
        OSError: a file cannot be read or written.

    """
    with contextlib.ExitStack() as reading:
        eif = reading.enter_context(Eif.open(path))
        signed = eif.sections_of(SectionType.SIGNATURE)
        _check_count(len(eif.sections) - len(signed) + 1)
        section = sign_pcr0(signer, eif.measure().pcr0)
        with replacing(path if output is None else output) as file:
            assembly = _Assembly(file)
            for old in eif.sections:
                if old.type is not SectionType.SIGNATURE:
                    assembly.add(old.type, _pieces(eif.payload(old)), flags=old.flags)
                elif old is signed[0]:
                    assembly.add_signature(section, signer)
            if not signed:
                assembly.add_signature(section, signer)
            # DEVIATION: After signing again, the header gives the signature's right size; nitro-cli
            # leaves that of the old signature there.
            # DEVIATION: When an image is signed, up to 11 stray bytes at its end are dropped;
            # nitro-cli appends the signature after them, and nothing can read the result.
            measurements = assembly.finish(eif.header)
            # Windows replaces no file that is mapped.
            reading.close()
        return measurements


class _Assembly:
    """A file that gets one section after the other, and its header at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sections: list[Section] = []
        self._pcr8: bytes | None = None
        file.write(bytes(HEADER_BYTES))

    def add(self, kind: SectionType, content: Content, *, flags: int = 0) -> None:
        """Write a section."""
        offset = self._file.tell()
        self._file.write(bytes(SECTION_HEADER_BYTES))
        for piece in _content(content):
            self._file.write(piece)
        size = self._file.tell() - offset - SECTION_HEADER_BYTES
        section = Section(type=kind, flags=flags, offset=offset, size=size)
        self._file.seek(offset)
        self._file.write(section.header())
        self._file.seek(section.end)
        self._sections.append(section)

    def add_signature(self, content: bytes, signer: Signer) -> None:
        """Write a signature section."""
        if len(content) > MAX_SIGNATURE_BYTES:
            raise Code.SIGNATURE_SIZE(
                "signature section",
                got=f"{len(content)} bytes",
                expected=f"at most {MAX_SIGNATURE_BYTES}: use a shorter certificate file",
            )
        self.add(SectionType.SIGNATURE, content)
        self._pcr8 = pcr([SigningCertificate.from_pem(signer.certificate).der])

    def finish(self, header: Header, signer: Signer | None = None) -> Measurements:
        """Measure, sign if there is a signer, and write the header with these tables."""
        if signer is None:
            header = self._write_header(header)
            with _Mapped(self._file) as data:
                measurements, crc = measure(data, self._sections)
        else:
            with _Mapped(self._file) as data:
                measurements, _crc = measure(data, self._sections)
            self.add_signature(sign_pcr0(signer, measurements.pcr0), signer)
            header = self._write_header(header)
            with _Mapped(self._file) as data:
                crc = checksum(data, self._sections)
        self._write_header(replace(header, crc=crc))
        return replace(measurements, pcr8=self._pcr8)

    def _write_header(self, header: Header) -> Header:
        unused = _NO_ENTRIES[len(self._sections) :]
        header = replace(
            header,
            section_count=len(self._sections),
            offsets=(*(section.offset for section in self._sections), *unused),
            sizes=(*(section.size for section in self._sections), *unused),
        )
        self._file.seek(0)
        self._file.write(header.to_bytes())
        self._file.seek(self._sections[-1].end)
        return header


class _Mapped:
    """What has been written to a file so far, in memory."""

    def __init__(self, file: BinaryIO) -> None:
        file.flush()
        self._mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._data = memoryview(self._mapping)

    def __enter__(self) -> memoryview:
        return self._data

    def __exit__(self, *_exception: object) -> None:
        self._data.release()
        self._mapping.close()


def _check_count(sections: int) -> None:
    if sections > MAX_SECTIONS:
        raise Code.SECTION_COUNT(
            "sections of the image", got=sections, expected=f"at most {MAX_SECTIONS}"
        )


def _encode(cmdline: str) -> bytes:
    expected = "text without NUL"
    if "\0" in cmdline:
        raise Code.CMDLINE("kernel command line", got=cmdline, expected=expected)
    try:
        return cmdline.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Code.CMDLINE(f"kernel command line ({error})", expected=expected) from error


def _content(content: Content) -> Iterator[bytes | memoryview]:
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, os.PathLike):
        with Path(content).open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece
    else:
        yield from content


def _pieces(view: memoryview) -> Iterator[memoryview]:
    for at in range(0, len(view), _PIECE_BYTES):
        yield view[at : at + _PIECE_BYTES]
