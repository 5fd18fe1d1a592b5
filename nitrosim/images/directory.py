"""A plain directory as the root file system of an enclave.

Nothing is followed out of it: symbolic links are taken as links, wherever they point. Owners are
0:0 unless asked for, because a directory that somebody put together on a laptop belongs to
that person, and the image shall not depend on it. Times can be set for the same reason.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nitrosim.eif.cpio import CHUNK, EMPTY, Content, Kind
from nitrosim.images.config import ImageConfig, go_architecture
from nitrosim.images.errors import ImageCode, shown
from nitrosim.images.root import RootFilesystem
from nitrosim.images.store import unreadable
from nitrosim.images.tree import Node, Tree


@dataclass(frozen=True, slots=True)
class FileContent:
    """The bytes of a file that has `size` bytes; opened each time they are asked for."""

    path: bytes
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes; FILE_CHANGED if the file became shorter or longer."""
        left = self.size
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with open(descriptor, "rb") as file:  # noqa: PTH123 - it is open already
                while piece := file.read(CHUNK):
                    left -= len(piece)
                    if left < 0:
                        break
                    yield piece
        except OSError as exc:
            raise unreadable(shown(self.path), exc) from exc
        if left:
            raise ImageCode.FILE_CHANGED(
                f"the size of {shown(self.path)}",
                got="more" if left < 0 else f"{self.size - left} bytes",
                expected=f"{self.size} bytes",
            )


def open_directory(  # noqa: PLR0913 - what an image says of itself, and a directory does not
    path: Path,
    *,
    command: tuple[str, ...],
    environment: tuple[str, ...] = (),
    architecture: str | None = None,
    owners: bool = False,
    mtime: int | None = None,
) -> RootFilesystem:
    """Open a directory whose content becomes the root of an enclave.

    With `owners` files keep their owner and group; without, all belong to 0:0. `mtime` is the
    latest modification time that a file may have, in seconds since 1970 UTC (later ones are
    set to it); None leaves them. Raises `ImageError`.
    """
    tree, remarks = Tree(), list[str]()
    links: dict[tuple[int, int], Node] = {}
    waiting = [(os.fsencode(path), tree.root)]
    size = 0
    while waiting:
        folder, parent = waiting.pop()
        for name, found in _children(folder):
            key = (found.st_dev, found.st_ino)
            node = links.get(key)
            if node is None:
                node = _node(folder + b"/" + name, found, owners=owners, mtime=mtime)
                size += node.content.size
            if found.st_nlink > 1 and not node.is_directory:
                links[key] = node
            if node.kind is Kind.SOCKET:
                remarks.append(f"{shown(folder + b'/' + name)} is a socket and was left out")
                continue
            parent.children[name] = node
            if node.is_directory:
                waiting.append((folder + b"/" + name, node))
    return RootFilesystem(
        tree=tree,
        config=ImageConfig(
            architecture=None if architecture is None else go_architecture(architecture),
            cmd=command,
            env=environment,
        ),
        size=size,
        remarks=tuple(sorted(remarks)),
    )


def _children(folder: bytes) -> list[tuple[bytes, os.stat_result]]:
    try:
        with os.scandir(folder) as found:
            return [(entry.name, entry.stat(follow_symlinks=False)) for entry in found]
    except OSError as exc:
        raise unreadable(shown(exc.filename or folder), exc) from exc


def _node(path: bytes, found: os.stat_result, *, owners: bool, mtime: int | None) -> Node:
    kind = Kind(stat.S_IFMT(found.st_mode) >> 12)
    content: Content = EMPTY
    target = b""
    if kind is Kind.FILE and found.st_size:
        content = FileContent(path, found.st_size)
    elif kind is Kind.SYMLINK:
        try:
            target = os.readlink(path)  # noqa: PTH115 - bytes, which Path does not take
        except OSError as exc:
            raise unreadable(shown(path), exc) from exc
    modified = max(found.st_mtime_ns // 1_000_000_000, 0)
    device = (0, 0)
    if kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE):
        device = (os.major(found.st_rdev), os.minor(found.st_rdev))
    return Node(
        kind,
        layer=0,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid if owners else 0,
        gid=found.st_gid if owners else 0,
        mtime=modified if mtime is None else min(modified, mtime),
        target=target,
        device=device,
        content=content,
    )
