"""Why an Enclave Image File is refused: one error class, every reason with a stable code.

An `EifError` says what was looked at, where (the byte offset in the file), what was found and
what was expected. `Code` is the complete list of reasons; names never change once released,
because programs compare them. What is odd but does no harm is an `EifWarning` with such a code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nitrosim.errors import NitroSimError, one_line


class EifError(NitroSimError):
    """An Enclave Image File, or what one shall be made of, was refused.

    Attributes:
        code: stable upper-case name of the reason, one of `Code`.
        offset: where in the file, in bytes from its beginning; None where there is no such place.
        what: the thing that was looked at, in words.
        got: what was found, as text; None when there is nothing to show.
        expected: what would have been accepted, as text; None when that is obvious.

    """

    def __init__(
        self,
        reason: Code,
        what: str,
        *,
        offset: int | None = None,
        got: object = None,
        expected: object = None,
    ) -> None:
        self.what: str = one_line(what)
        self.offset: int | None = offset
        self.got: str | None = None if got is None else _render(got)
        self.expected: str | None = None if expected is None else _render(expected)
        parts = [self.what if offset is None else f"{self.what}, at byte {offset}"]
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        super().__init__(", ".join(parts), code=reason.name)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by fields, so that errors cross process boundaries (pytest-xdist)."""
        return _rebuild, (self.code, self.what, self.offset, self.got, self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class EifWarning:
    """Something odd in a file that can be used nevertheless.

    Attributes:
        code: stable upper-case name of the reason, one of `Code`.
        offset: where in the file, in bytes from its beginning.
        message: what was found, in one line.

    """

    code: str
    offset: int
    message: str


class Code(Enum):
    """Every reason for an `EifError` or `EifWarning`, and its meaning."""

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning

    def __call__(
        self,
        what: str,
        *,
        offset: int | None = None,
        got: object = None,
        expected: object = None,
    ) -> EifError:
        """Make the error for this reason (the caller raises it)."""
        return EifError(self, what, offset=offset, got=got, expected=expected)

    # The file, for every reader
    HEADER_TRUNCATED = "the file is shorter than the header"
    SECTION_TYPE = "a section of a type that does not exist"
    SECTION_TRUNCATED = "a section is longer than what is left of the file"
    SECTION_COUNT = "too few or too many sections, or another number than the header says"
    CLOSED = "the file has been closed already"

    # The file, for what boots it
    MAGIC = "the file does not begin with .eif"
    VERSION = "a version of the format that cannot be booted"
    ARCHITECTURE = "the image is for another architecture"
    SECTION_FLAGS = "a section has flags"
    OFFSET_TABLE = "the header places a section where there is none"
    SIZE_TABLE = "the header gives a section another size than the section itself (a warning)"
    TRAILING_BYTES = "bytes after the last section (a warning)"
    SECTION_REPEATED = "a section that there must be one of at most"
    SECTION_ORDER = "a ramdisk before the kernel"
    NO_KERNEL = "there is no kernel"
    NO_CMDLINE = "there is no kernel command line"
    NO_RAMDISK = "there is no ramdisk"
    NO_METADATA = "version 4 without metadata"
    CRC = "the checksum in the header is not that of the file"

    # Metadata
    METADATA_JSON = "the metadata is not JSON, or cannot be"
    METADATA_SCHEMA = "a field of the metadata is missing, repeated or of another type"
    CUSTOM_METADATA = "custom metadata that is not an object cannot be described"

    # Signature
    SIGNATURE_SIZE = "the signature section is longer than the hypervisor reads"
    SIGNATURE_CBOR = "the signature section is not CBOR, or not of the form it must have"
    SIGNATURE_INTEGER = "a byte of the signature section is not an 8-bit CBOR integer"
    NOT_SIGNED = "the image has no signature section"
    CERTIFICATE = "the signing certificate cannot be read"
    CERTIFICATE_KEY = "the key of the certificate is not on P-256, P-384 or P-521"
    CERTIFICATE_EXPIRED = "the signing certificate has ended"
    CERTIFICATE_NOT_YET_VALID = "the signing certificate has not begun"
    COSE = "the signature is not a COSE_Sign1 structure"
    SIGNATURE_INVALID = "the signature does not verify with the certificate"
    PCR0_MISMATCH = "the signature is over another PCR0"

    # Signing and writing
    PRIVATE_KEY = "the private key cannot be read or used"
    KMS_KEY = "a KMS key, which cannot be reached from here"
    KEY_MISMATCH = "the private key is not that of the certificate"
    CMDLINE = "the kernel command line contains a zero byte or cannot be UTF-8"
    HEADER_FIELD = "a number does not fit into its field of the header"

    # The caller
    CHECK = "the caller asked for a check that does not exist"
    CLI_VERSION = "not the version of a nitro-cli"
    TIME_ZONE = "a time without a time zone"


def _render(value: object) -> str:
    """Make one printable line of a value that an attacker may have chosen."""
    return one_line(value.hex() if isinstance(value, bytes) else str(value))


def _rebuild(
    code: str, what: str, offset: int | None, got: str | None, expected: str | None
) -> EifError:
    return Code[code](what, offset=offset, got=got, expected=expected)
