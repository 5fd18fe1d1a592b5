"""Why a ramdisk is refused: one error class, every reason with a stable code."""

from __future__ import annotations

from enum import Enum
from typing import cast

from nitrosim.eif.errors import Code, EifError


class CpioError(EifError):
    """A cpio archive cannot be read, or what was asked for cannot be written as one.

    Attributes:
        code: stable upper-case name of the reason, one of `CpioCode`.
        what: the thing that was looked at, in words.
        offset: where it stands, in bytes from the beginning of what was given to read; inside
            of a compressed stream, in bytes of what it decompresses to; None when writing.
        stream: where the compressed stream begins that it is inside of; None outside of any.
        got: what was found, as text; None when there is nothing to show.
        expected: what would have been accepted, as text; None when that is obvious.

    """

    def __init__(  # noqa: PLR0913 - four facts that are known in some places only
        self,
        reason: CpioCode,
        what: str,
        *,
        offset: int | None = None,
        stream: int | None = None,
        got: object = None,
        expected: object = None,
    ) -> None:
        self.stream: int | None = stream
        self._what = what
        inside = "" if stream is None else f" in the compressed stream that begins at {stream}"
        super().__init__(
            # The base class asks a reason for nothing but its name.
            cast("Code", reason),
            what + inside,
            offset=offset,
            got=_text(got),
            expected=_text(expected),
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by fields, so that errors cross process boundaries (pytest-xdist)."""
        fields = (self.code, self._what, self.offset, self.stream, self.got, self.expected)
        return _rebuild, fields


class CpioCode(Enum):
    """Every reason for a `CpioError`, and its meaning. Names never change once released."""

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning

    def __call__(
        self,
        what: str,
        *,
        offset: int | None = None,
        stream: int | None = None,
        got: object = None,
        expected: object = None,
    ) -> CpioError:
        """Make the error for this reason (the caller raises it)."""
        return CpioError(self, what, offset=offset, stream=stream, got=got, expected=expected)

    # Reading
    CPIO_TRUNCATED = "the archive ends inside of an entry or before its trailer"
    CPIO_MAGIC = "neither a newc header nor a compressed stream begins where one must"
    CPIO_ALIGNMENT = "an archive does not begin at a multiple of four bytes"
    CPIO_HEADER = "a field of a header is not eight hexadecimal digits"
    CPIO_NAME_LENGTH = "a name is empty or longer than the kernel takes"
    CPIO_NAME_TERMINATOR = "a name does not end with its first NUL"
    CPIO_KIND = "the mode names no kind of file"
    CPIO_SIZE = "an entry claims more bytes than there are"
    CPIO_LINK_LENGTH = "the target of a symbolic link is empty, too long or contains a NUL"
    CPIO_CHECKSUM = "the bytes of a file do not add up to the checksum in its header"
    CPIO_JUNK = "something else than padding follows an archive in a compressed stream"
    CPIO_COMPRESSION = "compressed in a way that cannot be read here"
    CPIO_COMPRESSED_DATA = "a compressed stream is damaged"
    CPIO_CONTENT_PASSED = "the content of an entry was asked for after the reader had gone on"

    # Writing
    CPIO_FIELD_RANGE = "a number does not fit into the eight digits of its field"
    CPIO_NAME = "a name that the format has no place for, or that is the trailer's"
    CPIO_CONTENT_SIZE = "a content yields another number of bytes than it announced"
    CPIO_NOT_WRITABLE = "an entry that linuxkit's writer has no place for"


def _text(value: object) -> object:
    """Names are bytes and mostly UTF-8: they are shown as text."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _rebuild(  # noqa: PLR0913, PLR0917 - pickle calls it, by position
    code: str,
    what: str,
    offset: int | None,
    stream: int | None,
    got: str | None,
    expected: str | None,
) -> CpioError:
    return CpioCode[code](what, offset=offset, stream=stream, got=got, expected=expected)
