"""Where the blobs of an image lie: in a directory, or in a tar archive.

Names inside of a store are relative paths such as ``index.json`` and ``blobs/sha256/HEX``. They
come from manifests, so a store follows none that leads out of it. In the archives of old versions
of ``docker save`` a layer that occurs twice is a symbolic link to the first, ``../HEX/layer.tar``;
such links are followed within the archive.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Protocol

from nitrosim.images.blobs import Blob, compression, unpacked
from nitrosim.images.errors import ImageCode, ImageError
from nitrosim.images.tar import Member, read_tar

_MOST_LINKS: Final = 8


class Store(Protocol):
    """Blobs by their names."""

    def find(self, name: str) -> Blob | None:
        """Return the blob of this name, None if there is none."""

    def close(self) -> None:
        """Close all files; contents cannot be read any more."""


class DirectoryStore:
    """The files below a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open = ExitStack()

    def find(self, name: str) -> Blob | None:
        """Return the file of this name, None if there is none."""
        relative = _inside(name)
        if relative is None:
            return None
        path = self._root / relative
        try:
            # Blobs stay open as long as the image: its contents are read from them.
            file = self._open.enter_context(path.open("rb"))
            size = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as exc:
            raise unreadable(path, exc) from exc
        return Blob(file, 0, size, name)

    def close(self) -> None:
        """Close all files that were opened."""
        self._open.close()


class TarStore:
    """The files in a tar archive, which may be compressed as a whole."""

    def __init__(self, path: Path, spool: Path | None) -> None:
        self._open = ExitStack()
        try:
            file = self._open.enter_context(path.open("rb"))
            size = path.stat().st_size
        except OSError as exc:
            raise unreadable(path, exc) from exc
        with ExitStack() as on_error:
            on_error.callback(self._open.close)
            archive = Blob(file, 0, size, path.name)
            if compression(archive) is not None:
                archive = unpacked(archive, spool=spool)
                self._open.callback(archive.file.close)
            self._file = archive.file
            self._members = dict(_named(archive))
            on_error.pop_all()

    def find(self, name: str) -> Blob | None:
        """Return the file of this name in the archive, None if there is none."""
        relative = _inside(name)
        for _ in range(_MOST_LINKS):
            member = None if relative is None else self._members.get(relative)
            if relative is None or member is None or member.kind not in (b"0", b"1", b"2"):
                return None
            if member.kind == b"0":
                start = member.extents[0][1] if member.extents else 0
                return Blob(self._file, start, member.size, name)
            target = member.target.decode("utf-8", "surrogateescape")
            base = posixpath.dirname(relative) if member.kind == b"2" else ""
            relative = _inside(posixpath.join(base, target))
        return None

    def close(self) -> None:
        """Close the archive."""
        self._open.close()


def _named(archive: Blob) -> Iterator[tuple[str, Member]]:
    for member in read_tar(archive.file, archive.start, archive.size):
        name = _inside(member.name.decode("utf-8", "surrogateescape"))
        if len(member.extents) > 1 or (member.extents and member.extents[0][2] != member.size):
            raise ImageCode.TAR_KIND("a blob", got="a sparse file", expected="an ordinary one")
        if name is not None:
            yield name, member


def _inside(name: str) -> str | None:
    """Return a name in its normal form; None if it leads out of the store."""
    normal = posixpath.normpath(name)
    outside = normal == ".." or normal.startswith(("/", "../"))
    return None if outside or "\0" in normal else normal


def unreadable(path: Path | str, error: OSError) -> ImageError:
    """Make the error for a file that the system does not let us read."""
    if isinstance(error, FileNotFoundError):
        return ImageCode.IMAGE_NOT_FOUND(f"{path}", got=error.strerror)
    return ImageCode.FILE_UNREADABLE(f"{path}", got=error.strerror or type(error).__name__)
