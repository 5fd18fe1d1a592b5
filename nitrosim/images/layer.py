"""Apply the layers of a container image to its tree.

Whiteouts act on lower layers wherever they stand in an archive, so an archive is gone through
twice: what it removes first, then what it adds. Memory holds one entry of metadata for each file;
contents stay in the archive and are read from there when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from nitrosim.eif.cpio import CHUNK, EMPTY, Content, Kind
from nitrosim.images.blobs import Blob, read_range
from nitrosim.images.errors import ImageCode
from nitrosim.images.tar import Member, read_tar
from nitrosim.images.tree import Node, Tree

_WHITEOUT: Final = b".wh."
_META: Final = b".wh..wh."
_OPAQUE: Final = b".wh..wh..opq"
_KINDS: Final = {
    b"0": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}
_ZEROS: Final = bytes(CHUNK)


@dataclass(frozen=True, slots=True)
class MemberContent:
    """The bytes of a file in a layer, read from the layer each time they are asked for."""

    file: IO[bytes]
    member: Member

    @property
    def size(self) -> int:
        """The number of bytes, holes included."""
        return self.member.size

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes; holes are zeros."""
        at = 0
        for position, place, length in self.member.extents:
            yield from _holes(position - at)
            yield from read_range(self.file, place, length)
            at = position + length
        yield from _holes(self.member.size - at)


def _holes(size: int) -> Iterator[bytes]:
    while size > 0:
        yield _ZEROS[:size]
        size -= CHUNK


def apply_layer(tree: Tree, archive: Blob, number: int) -> int:
    """Change the tree as layer `number` says; returns the bytes of all files in the layer.

    Raises `ImageError` for archives that are damaged, or that no engine would unpack.
    """
    members = list(read_tar(archive.file, archive.start, archive.size))
    for member in members:
        folder, base = _split(member.name)
        if base == _OPAQUE:
            tree.clear(folder)
        elif base.startswith(_WHITEOUT) and not base.startswith(_META):
            removed = base.removeprefix(_WHITEOUT)
            if removed in (b"", b".", b".."):
                raise ImageCode.TREE_PATH("the name of a whiteout", got=member.name)
            tree.remove(folder + b"/" + removed)
    for member in members:
        folder, base = _split(member.name)
        if base.startswith(_WHITEOUT):
            # The directory of a whiteout is implied, like that of a file.
            if base == _OPAQUE or not base.startswith(_META):
                tree.imply(folder, number)
            continue
        if member.kind == b"1":
            tree.link(member.name, member.target, _node(member, archive.file, number))
        else:
            tree.put(member.name, _node(member, archive.file, number))
    return sum(member.size for member in members)


def _split(name: bytes) -> tuple[bytes, bytes]:
    folder, _, base = name.rstrip(b"/").rpartition(b"/")
    return folder, base


def _node(member: Member, file: IO[bytes], layer: int) -> Node:
    content: Content = MemberContent(file, member) if member.size else EMPTY
    return Node(
        _KINDS[member.kind],
        layer=layer,
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        # What lies before 1970 becomes 1970, as Docker unpacks it.
        mtime=max(member.mtime, 0),
        target=member.target if member.kind == b"2" else b"",
        device=member.device,
        content=content,
    )
