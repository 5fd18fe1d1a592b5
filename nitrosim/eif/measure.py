"""What identifies an image: PCR0, PCR1, PCR2 and PCR8, and the checksum.

Every one is ``SHA384(48 zero bytes || SHA384(content))``: the register starts as zeros and is
extended once with the hash of

====== ============================================================================================
PCR0   kernel, command line and all ramdisks
PCR1   kernel, command line and the first ramdisk: what Amazon provides
PCR2   all ramdisks but the first: the application; with one ramdisk, the hash of nothing
PCR8   the signing certificate in DER form, if there is one
====== ============================================================================================

Content means the sections' content without their headers, one after the other in the order of the
file: a command line before the kernel gives other values. The header, metadata and the signature
are not measured.

A file is hashed in one go. What makes PCR1 is usually the beginning of what makes PCR0, so its
hash is a copy of PCR0's at that point. PCR2 and the checksum run over the same bytes again; for
large files they do so in threads of their own, since hashing leaves Python's lock free. With two
processors the whole takes little longer than one SHA-384 pass over the file.

Source: the specification of aws-nitro-enclaves-image-format; the order, its builder 0.5.0.
"""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from nitrosim.eif.hash_algorithm import DEFAULT_CLI_VERSION, hash_algorithm
from nitrosim.eif.header import CRC_OFFSET, HEADER_BYTES
from nitrosim.eif.sections import MEASURED, Section, SectionType

if TYPE_CHECKING:
    from hashlib import _Hash

PCR_BYTES: Final = 48

EMPTY_PCR2: Final = bytes.fromhex(
    "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c"
    "10edb30948c90ba67310f7b964fc500a"
)
"""PCR2 of every image with one ramdisk."""

_CHUNK_BYTES: Final = 1 << 20
"""Hashed at once; in between, an interrupt is noticed."""

_THREADS_FROM_BYTES: Final = 8 << 20
"""Less than this is hashed in the time that threads take to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The PCRs of an image, 48 bytes each.

    Attributes:
        pcr0: the image.
        pcr1: kernel, command line and first ramdisk.
        pcr2: the other ramdisks.
        pcr8: the signing certificate; None if the image is not signed.

    """

    pcr0: bytes
    pcr1: bytes
    pcr2: bytes
    pcr8: bytes | None = None

    def as_json(self, version: str = DEFAULT_CLI_VERSION) -> dict[str, str]:
        """Return the object `Measurements` that a nitro-cli of this version prints.

        Raises:
            EifError: `CLI_VERSION`.

        """
        names = {"PCR0": self.pcr0, "PCR1": self.pcr1, "PCR2": self.pcr2, "PCR8": self.pcr8}
        found = {name: value.hex() for name, value in names.items() if value is not None}
        return {"HashAlgorithm": hash_algorithm(version), **found}


def extend(value: bytes) -> bytes:
    """Return a register of zeros after one extension with `value`, 48 bytes.

    PCR3 is this of a role's ARN and PCR4 of an instance's id, as ASCII text and not hashed before.
    """
    return hashlib.sha384(bytes(PCR_BYTES) + value).digest()


def pcr(chunks: Iterable[bytes | memoryview]) -> bytes:
    """Return the register that measures some content, 48 bytes; ``nitro-cli pcr`` prints it."""
    digest = hashlib.sha384()
    for chunk in chunks:
        digest.update(chunk)
    return extend(digest.digest())


def measure(
    data: memoryview, sections: Sequence[Section], *, threads: bool | None = None
) -> tuple[Measurements, int]:
    """Compute PCR0, PCR1 and PCR2 and the checksum of an image; PCR8 is left out.

    Args:
        data: the whole file.
        sections: its sections in order; the checksum goes to the end of the last one.
        threads: whether to use threads; None for what is faster.

    """
    if threads is None:
        threads = len(data) >= _THREADS_FROM_BYTES
    measured = [section for section in sections if section.type in MEASURED]
    ramdisks = [section for section in measured if section.type is SectionType.RAMDISK]
    application = ramdisks[1:]
    at_boot = {ramdisk.offset for ramdisk in ramdisks[:1]}
    bootstrap = [
        section
        for section in measured
        if section.type is not SectionType.RAMDISK or section.offset in at_boot
    ]
    later: list[Callable[[_Stop], bytes | int]] = [
        lambda stop: _hash(data, application, stop).digest(),
        lambda stop: _crc(data, sections, stop),
    ]
    with _Jobs(later, threads=threads) as jobs:
        first = _hash(data, bootstrap, jobs.stop)
        if measured[: len(bootstrap)] == bootstrap:
            image = first.copy()
            _hash(data, measured[len(bootstrap) :], jobs.stop, image)
        else:
            image = _hash(data, measured, jobs.stop)
    pcr2, crc = jobs.results
    assert isinstance(pcr2, bytes)
    assert isinstance(crc, int)
    return (
        Measurements(pcr0=extend(image.digest()), pcr1=extend(first.digest()), pcr2=extend(pcr2)),
        crc,
    )


def checksum(data: memoryview, sections: Sequence[Section]) -> int:
    """Compute the CRC-32 of a file up to the end of its last section, less the stored one."""
    return _crc(data, sections, _Stop())


class _Stop(threading.Event):
    """Set when nobody wants the result any more."""


class _Jobs:
    """Functions that run beside the body of a ``with`` statement, or after it without threads."""

    def __init__(
        self, functions: Sequence[Callable[[_Stop], bytes | int]], *, threads: bool
    ) -> None:
        self.stop = _Stop()
        self.results: list[bytes | int] = [0] * len(functions)
        self._functions = functions
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"nitrosim-measure-{number}")
            for number in range(len(functions))
            if threads
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self.stop.set()
        try:
            self._join()
        except BaseException:
            # An interrupt while waiting: nobody wants the results any more.
            self.stop.set()
            self._join()
            raise
        if error is None:
            if not self._threads:
                self.results = [function(self.stop) for function in self._functions]
            if self._errors:
                raise self._errors[0]

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        try:
            self.results[number] = self._functions[number](self.stop)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._errors.append(error)


def _chunks(data: memoryview, begin: int, end: int, stop: _Stop) -> Iterable[memoryview]:
    for at in range(begin, end, _CHUNK_BYTES):
        if stop.is_set():
            return
        yield data[at : min(at + _CHUNK_BYTES, end)]


def _hash(
    data: memoryview, sections: Iterable[Section], stop: _Stop, digest: _Hash | None = None
) -> _Hash:
    """Hash the content of sections into `digest`, or into a new one; returns it."""
    if digest is None:
        digest = hashlib.sha384()
    for section in sections:
        for chunk in _chunks(data, section.start, section.end, stop):
            digest.update(chunk)
    return digest


def _crc(data: memoryview, sections: Sequence[Section], stop: _Stop) -> int:
    crc = zlib.crc32(data[:CRC_OFFSET])
    end = sections[-1].end if sections else HEADER_BYTES
    for chunk in _chunks(data, HEADER_BYTES, end, stop):
        crc = zlib.crc32(chunk, crc)
    return crc
