"""Compressed streams of all kinds behind one small interface.

The Linux kernel recognises the compression of a ramdisk by its first bytes
(``lib/decompress.c``); the layers of container images are told apart the same way. gzip, bzip2,
xz and lzma are in every Python; zstd is in the standard library from 3.14 on and before that in
the packages ``backports.zstd`` and ``zstandard``, either of which is used when it is installed; lz4
and lzo are named in the error.

A decoder never hands out more than it is asked for, whatever the stream claims: a few bytes can
stand for gigabytes.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

MAGIC_SIZE: Final = 6
"""Bytes that tell every compression from every other."""

# DEVIATION: Ramdisks and layers that need more than 256 MiB to be decompressed are refused (xz and
# lzma with a dictionary of that size; xz -9 needs 65 MiB): the header of a few bytes asks for it.
_MOST_MEMORY: Final = 1 << 28


class Decoder(Protocol):
    """One compressed stream, as `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` read it."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without more compressed bytes."""

    @property
    def unused_data(self) -> bytes:
        """What followed the end of the stream."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Take compressed bytes and return at most `max_length` others."""


class UnavailableError(Exception):
    """A compression that is known and cannot be read here; the text says what helps."""


class DamagedError(Exception):
    """A compressed stream that is not what it should be."""


class _Deflate:
    """gzip behind the interface of the other decoders."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self._starved = False

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._starved and not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        out = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        self._starved = len(out) < max_length
        return out


class _Zstandard:
    """The package zstandard behind the interface: it cannot bound its output, so it is fed drops.

    A block of 128 KiB can be written in four bytes, so 256 bytes give at most 8 MiB.
    """

    _DROP = 256

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._input = b""
        self._output = b""

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof) and not self._output

    @property
    def needs_input(self) -> bool:
        return not self._input and not self._output

    @property
    def unused_data(self) -> bytes:
        return bytes(self._stream.unused_data) + self._input

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        self._input += data
        while self._input and not self._output and not self._stream.eof:
            drop, self._input = self._input[: self._DROP], self._input[self._DROP :]
            self._output = self._stream.decompress(drop)
        out, self._output = self._output[:max_length], self._output[max_length:]
        return out


def _zstd() -> Decoder:
    for module in ("compression.zstd", "backports.zstd"):
        try:
            decoder: Decoder = importlib.import_module(module).ZstdDecompressor()
        except ImportError:
            continue
        return decoder
    try:
        package = importlib.import_module("zstandard")
    except ImportError as exc:
        raise UnavailableError(
            "zstd: needs Python 3.14 or the package zstandard (pip install zstandard)"
        ) from exc
    return _Zstandard(package.ZstdDecompressor().decompressobj())


def _never(name: str) -> Callable[[], Decoder]:
    def fail() -> Decoder:
        raise UnavailableError(f"{name}: recompress it with gzip, or not at all")

    return fail


_BEGINNINGS: Final[tuple[tuple[bytes, str, Callable[[], Decoder]], ...]] = (
    (b"\x1f\x8b", "gzip", _Deflate),
    (b"\xfd7zXZ\x00", "xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _MOST_MEMORY)),
    (b"\x28\xb5\x2f\xfd", "zstd", _zstd),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\x5d\x00\x00", "lzma", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, _MOST_MEMORY)),
    (b"\x89LZO\x00", "lzo", _never("lzo")),
    (b"\x02\x21\x4c\x18", "lz4", _never("lz4")),
    (b"\x04\x22\x4d\x18", "lz4", _never("lz4")),
)


def compression_of(beginning: bytes) -> str | None:
    """Return the name of the compression that starts so (`MAGIC_SIZE` bytes), or None."""
    return next((name for magic, name, _ in _BEGINNINGS if beginning.startswith(magic)), None)


def decoder_for(compression: str) -> Decoder:
    """Return a decoder for one stream of a compression that `compression_of` has named.

    Raises `UnavailableError` where it cannot be read.
    """
    return next(make for _, name, make in _BEGINNINGS if name == compression)()


def _zstd_errors() -> tuple[type[Exception], ...]:
    found: list[type[Exception]] = []
    for module in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            found.append(importlib.import_module(module).ZstdError)
        except ImportError:
            continue
    return tuple(found)


def decode(decoder: Decoder, data: bytes, limit: int) -> bytes:
    """Decompress at most `limit` bytes; raises `DamagedError` for every decoder's own error."""
    try:
        return decoder.decompress(data, limit)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as exc:
        raise DamagedError(str(exc)) from exc
    except _zstd_errors() as exc:
        raise DamagedError(str(exc)) from exc
