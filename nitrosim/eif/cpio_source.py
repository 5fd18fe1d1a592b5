"""The bytes that a cpio archive is read from: counted, bounded, decompressed on the way.

A `Source` turns pieces of any size into exact reads. It knows its offset, for errors, and where
its end is known (a section of an image, a buffer in memory) a claim that goes beyond it is refused
before anything is read. It holds one piece at a time, so an archive of gigabytes costs no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final, NoReturn

from nitrosim.eif.cpio import CHUNK
from nitrosim.eif.cpio_codecs import DamagedError, UnavailableError, decode, decoder_for
from nitrosim.eif.cpio_errors import CpioCode

_COMPRESSED_PIECE: Final = 1 << 16
"""Bytes that a decoder is fed at a time."""


class Source:
    """Bytes that are read once, from the beginning to the end.

    `size` is the number of bytes if it is known. `stream` is the offset at which the compressed
    stream begins that these bytes come out of.
    """

    def __init__(
        self,
        pieces: Iterator[bytes | memoryview],
        *,
        size: int | None = None,
        stream: int | None = None,
    ) -> None:
        self._pieces = pieces
        self._view = memoryview(b"")
        self._at = 0
        self._size = size
        self.stream = stream
        self.offset = 0

    @property
    def remaining(self) -> int | None:
        """The number of bytes to come; None if nobody knows."""
        return None if self._size is None else self._size - self.offset

    def fail(self, reason: CpioCode, what: str, **details: object) -> NoReturn:
        """Raise an error about what stands at the present offset, or at `offset` of `details`."""
        given = details.pop("offset", self.offset)
        offset = given if isinstance(given, int) else self.offset
        got, expected = details.get("got"), details.get("expected")
        raise reason(what, offset=offset, stream=self.stream, got=got, expected=expected)

    def peek(self, count: int) -> bytes:
        """Return the next bytes without moving; fewer than `count` only at the end."""
        while len(self._view) - self._at < count and self._more():
            pass
        return bytes(self._view[self._at : self._at + count])

    def take(self, count: int, what: str) -> bytes:
        """Return exactly `count` bytes; CPIO_TRUNCATED naming `what` if there are fewer."""
        found = self.peek(count)
        if len(found) < count:
            self._truncated(what, len(found), count)
        self._advance(count)
        return found

    def some(self, limit: int) -> bytes:
        """Return between one and `limit` bytes, whatever is at hand; none only at the end."""
        if self._at == len(self._view) and not self._more():
            return b""
        found = bytes(self._view[self._at : self._at + limit])
        self._advance(len(found))
        return found

    def stream_of(self, count: int, what: str) -> Iterator[bytes]:
        """Yield exactly `count` bytes in pieces."""
        left = count
        while left:
            piece = self.some(min(left, CHUNK))
            if not piece:
                self._truncated(what, count - left, count)
            left -= len(piece)
            yield piece

    def skip(self, count: int, what: str) -> None:
        """Pass over exactly `count` bytes."""
        left = count
        while left:
            if self._at == len(self._view) and not self._more():
                self._truncated(what, count - left, count)
            step = min(left, len(self._view) - self._at)
            self._advance(step)
            left -= step

    def skip_zeros(self) -> None:
        """Pass over padding; ends at the first byte that is not zero, or at the end."""
        while self._at < len(self._view) or self._more():
            rest = bytes(self._view[self._at : self._at + CHUNK])
            zeros = len(rest) - len(rest.lstrip(b"\0"))
            self._advance(zeros)
            if zeros < len(rest):
                return

    def push_back(self, data: bytes) -> None:
        """Undo the reading of the last bytes."""
        self._view = memoryview(data + bytes(self._view[self._at :]))
        self._at = 0
        self.offset -= len(data)

    def _advance(self, count: int) -> None:
        self._at += count
        self.offset += count

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        rest = self._view[self._at :]
        self._view = memoryview(bytes(rest) + bytes(piece) if len(rest) else piece)
        self._at = 0
        return True

    def _truncated(self, what: str, found: int, wanted: int) -> NoReturn:
        self.fail(
            CpioCode.CPIO_TRUNCATED, what, got=f"{found} bytes", expected=f"{wanted} bytes more"
        )


def open_source(data: IO[bytes] | bytes | memoryview, size: int | None = None) -> Source:
    """Make a source of a buffer, which is not copied, or of a file from where it stands."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        view = memoryview(data).cast("B")
        return Source(iter([view]), size=len(view))
    return Source(_bounded(data, size), size=size)


def _bounded(file: IO[bytes], size: int | None) -> Iterator[bytes]:
    left = size
    while left is None or left > 0:
        piece = file.read(CHUNK if left is None else min(CHUNK, left))
        if not piece:
            return
        if left is not None:
            left -= len(piece)
        yield piece


def decompressed(source: Source, compression: str) -> Source:
    """Return what one compressed stream holds; `source` then stands behind the stream."""
    start = source.offset
    try:
        decoder_for(compression)
    except UnavailableError as exc:
        raise CpioCode.CPIO_COMPRESSION(
            "the ramdisk is compressed in a way that cannot be read here",
            offset=start,
            stream=source.stream,
            got=str(exc),
        ) from exc
    return Source(_decompress(source, compression), stream=start)


def _decompress(source: Source, compression: str) -> Iterator[bytes]:
    decoder = decoder_for(compression)
    start = source.offset
    while not decoder.eof:
        data = source.some(_COMPRESSED_PIECE) if decoder.needs_input else b""
        if decoder.needs_input and not data:
            source.fail(CpioCode.CPIO_TRUNCATED, f"the {compression} stream has no end")
        try:
            piece = decode(decoder, data, CHUNK)
        except DamagedError as exc:
            # Decoders do not say where; how much they were fed depends on who reads.
            raise CpioCode.CPIO_COMPRESSED_DATA(
                f"the {compression} stream is damaged",
                offset=start,
                got=str(exc),
            ) from exc
        if piece:
            yield piece
    source.push_back(decoder.unused_data)
