"""Ranges of bytes inside of files: the blobs of an image, their digests, their decompression.

A layer's *digest* is over the bytes as they are stored, its *diff id* over the archive inside; an
image names both, and both are verified before anything is taken from the archive. Layers are plain
or compressed (OCI image specification 1.1: gzip, zstd; Docker also takes bzip2 and xz), the
compression told by their first bytes as the engines do it, whatever the media type claims.
Compressed data may come in several streams, one after the other (estargz, pigz).

A plain layer is read where it stands. A compressed one is unpacked once into a temporary file that
has no name, so that it is gone with the process, however that ends.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from nitrosim.eif.cpio import CHUNK
from nitrosim.eif.cpio_codecs import (
    MAGIC_SIZE,
    DamagedError,
    Decoder,
    UnavailableError,
    compression_of,
    decode,
    decoder_for,
)
from nitrosim.images.errors import ImageCode

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Blob:
    """`size` bytes from `start` of a seekable file.

    `name` is what messages call it; `digest` is what the bytes are said to be, in the
    notation ``sha256:HEX``, None if nobody says.
    """

    file: IO[bytes]
    start: int
    size: int
    name: str
    digest: str | None = None


def check_digest_syntax(digest: object) -> str:
    """Return a digest that is one; IMAGE_DIGEST otherwise (digests become names of files)."""
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ImageCode.IMAGE_DIGEST(
            "a digest", got=digest, expected="sha256: or sha512: and lower-case hexadecimal digits"
        )
    return digest


def verify(blob: Blob) -> None:
    """Compare a blob with its digest; IMAGE_DIGEST if it is something else."""
    if blob.digest is None:
        return
    algorithm = check_digest_syntax(blob.digest).partition(":")[0]
    found = digest_of(blob, algorithm)
    if found != blob.digest:
        raise ImageCode.IMAGE_DIGEST(f"the digest of {blob.name}", got=found, expected=blob.digest)


def digest_of(blob: Blob, algorithm: str = "sha256") -> str:
    """Return the digest of a blob in the notation ``sha256:HEX``."""
    digest = hashlib.new(algorithm)
    for piece in read_range(blob.file, blob.start, blob.size):
        digest.update(piece)
    return f"{algorithm}:{digest.hexdigest()}"


def read_range(file: IO[bytes], start: int, size: int) -> Iterator[bytes]:
    """Yield `size` bytes from `start`; others may move the position of the file in between."""
    at, end = start, start + size
    while at < end:
        file.seek(at)
        piece = file.read(min(CHUNK, end - at))
        if not piece:
            raise ImageCode.FILE_CHANGED(
                "a file that is read", got="its end", expected=f"{end - at} bytes more"
            )
        at += len(piece)
        yield piece


def read_blob(blob: Blob, limit: int) -> bytes:
    """Return a small blob, its digest verified; IMAGE_LIMIT if it is larger than `limit` bytes."""
    if blob.size > limit:
        raise ImageCode.IMAGE_LIMIT(
            f"the size of {blob.name}", got=blob.size, expected=f"at most {limit} bytes"
        )
    verify(blob)
    return b"".join(read_range(blob.file, blob.start, blob.size))


def compression(blob: Blob) -> str | None:
    """Return how a blob is compressed; None if it is not."""
    return compression_of(b"".join(read_range(blob.file, blob.start, min(blob.size, MAGIC_SIZE))))


def unpacked(blob: Blob, *, diff_id: str | None = None, spool: Path | None = None) -> Blob:
    """Return what a blob holds, decompressed if need be, digest and diff id verified.

    `spool` is the directory for temporary files; None for the system's. Raises `ImageError`.
    """
    verify(blob)
    packed = compression(blob)
    plain = replace(blob, digest=diff_id, name=f"the archive in {blob.name}")
    if packed is None:
        verify(plain)
        return plain
    # The file lives as long as the contents that are read from it.
    file = tempfile.TemporaryFile(dir=spool)  # noqa: SIM115
    with ExitStack() as on_error:
        on_error.callback(file.close)
        for piece in _decompressed(blob, packed):
            file.write(piece)
        plain = replace(plain, file=file, start=0, size=file.tell())
        file.flush()
        verify(plain)
        on_error.pop_all()
    return plain


def _decompressed(blob: Blob, packed: str) -> Iterator[bytes]:
    """Yield what the streams of a blob hold; zeros behind a stream are padding."""
    stored = read_range(blob.file, blob.start, blob.size)
    data = next(stored, b"")
    while data:
        decoder = _decoder(blob, packed)
        while not decoder.eof:
            if decoder.needs_input and not data:
                data = next(stored, b"")
                if not data:
                    raise ImageCode.LAYER_DAMAGED(
                        blob.name, got="its end", expected=f"the end of the {packed} stream"
                    )
            try:
                piece = decode(decoder, data, CHUNK)
            except DamagedError as exc:
                raise ImageCode.LAYER_DAMAGED(blob.name, got=str(exc)) from exc
            data = b""
            if piece:
                yield piece
        data = decoder.unused_data.lstrip(b"\0")
        while not data and (piece := next(stored, b"")):
            data = piece.lstrip(b"\0")


def _decoder(blob: Blob, packed: str) -> Decoder:
    try:
        return decoder_for(packed)
    except UnavailableError as exc:
        raise ImageCode.LAYER_COMPRESSION(blob.name, got=str(exc)) from exc
