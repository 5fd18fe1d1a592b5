"""Opening an Enclave Image File: mapped into memory, read as little as possible.

`Eif.open` looks at headers, metadata and signature only, which takes the same time for a file of
any size; the content of kernel and ramdisks is touched when it is asked for or measured. What is
checked depends on whom the file is for:

* ``check="cli"``, as nitro-cli reads it: a whole header, of which nothing is checked; sections
  by their own headers, of known types and not longer than the file; metadata and signature that
  can be read. 1 to 11 bytes at the end are ignored, a wrong checksum is only reported.
* ``check="boot"``, as what boots it reads it: in addition everything in `nitrosim.eif.boot`. That
  includes the checksum, for which the whole file is read; it is measured on the way.

A file must not be cut short while it is open: touching what is gone from a mapped file ends the
process. Programs that replace files, as this package does, are no danger to an open one.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from nitrosim.eif import measure
from nitrosim.eif.boot import check_checksum, check_header, check_layout
from nitrosim.eif.errors import Code, EifWarning
from nitrosim.eif.header import HEADER_BYTES, Architecture, Header
from nitrosim.eif.measure import Measurements
from nitrosim.eif.metadata import Metadata
from nitrosim.eif.sections import Section, SectionType, walk
from nitrosim.eif.signature import SignatureSection, read_section

if TYPE_CHECKING:
    from nitrosim.eif.certificate import SigningCertificate
    from nitrosim.eif.signing import VerifiedSignature

Check = Literal["cli", "boot"]


class Eif:
    """An Enclave Image File; use it in a ``with`` statement, or call `close`.

    Attributes:
        header: its first 548 bytes, taken apart.
        sections: all of them, in order.
        size: of the file in bytes.
        metadata: of the last metadata section; None if there is none.
        signature: the last signature section; None if there is none.
        warnings: what is odd; only looked for with ``check="boot"``.

    """

    def __init__(
        self,
        data: memoryview,
        *,
        check: Check = "cli",
        architecture: Architecture | None = None,
        mapping: mmap.mmap | None = None,
    ) -> None:
        """Read what `data` holds; `open` and `from_bytes` are the usual ways."""
        if check not in ("cli", "boot"):
            raise Code.CHECK("check", got=check, expected="cli or boot")
        self._data = data
        self._mapping = mapping
        self._closed = False
        self._measured: tuple[Measurements, int] | None = None
        self.size = len(data)
        self.header = Header.read(data)
        if check == "boot":
            check_header(self.header, architecture)
        self.sections = walk(data)
        self.metadata: Metadata | None = None
        self._signatures: list[SignatureSection] = []
        for section in self.sections:
            if section.type is SectionType.METADATA:
                content = bytes(self.payload(section))
                self.metadata = Metadata.read(content, offset=section.start)
            elif section.type is SectionType.SIGNATURE:
                content = bytes(self.payload(section))
                self._signatures.append(read_section(content, offset=section.start))
        self.signature = self._signatures[-1] if self._signatures else None
        self.warnings: tuple[EifWarning, ...] = ()
        if check == "boot":
            self.warnings = check_layout(
                self.header, self.sections, size=self.size, signature=self.signature
            )
            check_checksum(self.header, self.checksum)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        check: Check = "cli",
        architecture: Architecture | None = None,
    ) -> Self:
        """Map a file and read it.

        Args:
            path: of the file.
            check: ``"cli"`` to accept what nitro-cli reads, ``"boot"`` what can be booted.
            architecture: with ``"boot"``, what it shall boot on; None for any.

        Raises:
            EifError: with the reason as its code.
            OSError: the file cannot be opened or mapped.

        """
        with Path(path).open("rb") as file:
            # An empty file cannot be mapped; it has no header either.
            if os.fstat(file.fileno()).st_size == 0:
                raise Code.HEADER_TRUNCATED(
                    "header", offset=0, got="0 bytes", expected=f"{HEADER_BYTES} bytes"
                )
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        data = memoryview(mapping)
        try:
            return cls(data, check=check, architecture=architecture, mapping=mapping)
        except BaseException:
            _unmap(data, mapping)
            raise

    @classmethod
    def from_bytes(
        cls,
        data: bytes | bytearray | memoryview,
        *,
        check: Check = "cli",
        architecture: Architecture | None = None,
    ) -> Self:
        """Read the content of a file that is in memory already; otherwise like `open`."""
        return cls(memoryview(data).cast("B"), check=check, architecture=architecture)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; calling it again does nothing.

        As long as a view of it is in use elsewhere, the memory stays mapped.
        """
        if not self._closed:
            self._closed = True
            if self._mapping is not None:
                _unmap(self._data, self._mapping)

    def payload(self, section: Section) -> memoryview:
        """Return a section's content, a view of the file.

        Raises:
            EifError: `CLOSED`.

        """
        return self._open_data()[section.start : section.end]

    def sections_of(self, kind: SectionType) -> tuple[Section, ...]:
        """Return the sections of one type, in order."""
        return tuple(section for section in self.sections if section.type is kind)

    @property
    def is_signed(self) -> bool:
        """Whether there is a signature section; says nothing about the signature."""
        return self.signature is not None

    @property
    def checksum(self) -> int:
        """The CRC-32 of the file as it is; the whole file is read for it, once.

        Raises:
            EifError: `CLOSED`.

        """
        return self._measure()[1]

    @property
    def checksum_is_right(self) -> bool:
        """Whether the checksum in the header is that of the file."""
        return self.checksum == self.header.crc

    def measure(self) -> Measurements:
        """Compute the PCRs; the whole file is read for it, once.

        Raises:
            EifError: `CERTIFICATE` if the signing certificate cannot be read; `CLOSED`.

        """
        measurements, _checksum = self._measure()
        if self._signatures:
            certificates = [certificate.der for certificate in self._certificates()]
            return replace(measurements, pcr8=measure.pcr(certificates))
        return measurements

    def verify_for_boot(self, *, at: datetime) -> VerifiedSignature:
        """Verify the signature as it is when an enclave is started at the time `at`.

        Raises:
            EifError: `NOT_SIGNED`; `CERTIFICATE`, `CERTIFICATE_KEY`, `COSE`, `SIGNATURE_INVALID`,
                `CERTIFICATE_NOT_YET_VALID`, `CERTIFICATE_EXPIRED`, `PCR0_MISMATCH`; `TIME_ZONE`
                if `at` has none; `CLOSED`.

        """
        from nitrosim.eif.signing import verify_for_boot  # noqa: PLC0415 - as below

        if self.signature is None:
            raise Code.NOT_SIGNED("signature", offset=self.size, expected="a signature section")
        return verify_for_boot(self.signature.entries[0], self.measure().pcr0, at=at)

    def _certificates(self) -> list[SigningCertificate]:
        # Only who has a signature pays for the cryptography library.
        from nitrosim.eif.certificate import SigningCertificate  # noqa: PLC0415 - see above

        # Of several signature sections nitro-cli measures all certificates, one after the other.
        firsts = [signature.entries[0] for signature in self._signatures]
        return [
            SigningCertificate.from_pem(entry.certificate, offset=entry.certificate_offset)
            for entry in firsts
        ]

    def _measure(self) -> tuple[Measurements, int]:
        if self._measured is None:
            self._measured = measure.measure(self._open_data(), self.sections)
        return self._measured

    def _open_data(self) -> memoryview:
        if self._closed:
            raise Code.CLOSED("file")
        return self._data


def _unmap(data: memoryview, mapping: mmap.mmap) -> None:
    try:
        data.release()
        mapping.close()
    except BufferError:
        # Somebody still has a view; with the last one the mapping goes by itself.
        return
