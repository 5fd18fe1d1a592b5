"""The merged tree of a container image: metadata in memory, contents where they are.

Layers are change sets over a file system (OCI image specification 1.1, ``layer.md``):

* An entry replaces what has its name in lower layers, except that a directory over a directory
  changes only the attributes. A file over a directory takes away all that was in it.
* ``.wh.NAME`` removes NAME, ``.wh..wh..opq`` removes all children of its directory. Both act on
  lower layers only, wherever in the archive they stand. Other names that begin with ``.wh..wh.``
  are leftovers of AUFS and mean nothing.
* A directory that was never written down exists nevertheless, if something is in it.
* Hard links name earlier entries by their full path, in their own or (some builders) a lower layer.

Where the specification is silent, this follows the engines (Docker's overlay2 and containerd's
overlay snapshotter, which write a layer into an empty upper directory): a path that leads through
a symbolic link of the same layer is followed, within the image; a symbolic link of a lower layer
is not seen, and a directory takes its place.

Nothing is ever written to a disk here, so a hostile name can at most put a file into a strange
place of the image; a name that leads out of it is refused as the engines refuse it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from nitrosim.eif.cpio import EMPTY, Content, Entry, Kind
from nitrosim.images.errors import ImageCode

_MOST_LINKS: Final = 40
"""Symbolic links that a path may lead through, as in Linux."""
_IMPLIED_MODE: Final = 0o755
_LINK_MODE: Final = 0o777


class Node:
    """A file, directory or link of the tree; two names of one file share a node."""

    __slots__ = (
        "children",
        "content",
        "device",
        "gid",
        "kind",
        "layer",
        "mode",
        "mtime",
        "target",
        "uid",
    )

    def __init__(  # noqa: PLR0913 - the attributes that a file has
        self,
        kind: Kind,
        *,
        layer: int,
        mode: int = _IMPLIED_MODE,
        uid: int = 0,
        gid: int = 0,
        mtime: int = 0,
        target: bytes = b"",
        device: tuple[int, int] = (0, 0),
        content: Content = EMPTY,
    ) -> None:
        self.kind = kind
        self.layer = layer
        # An archive may say something else, but Linux has no other mode for symbolic links.
        self.mode = _LINK_MODE if kind is Kind.SYMLINK else mode
        self.uid = uid
        self.gid = gid
        self.mtime = mtime
        self.target = target
        self.device = device
        self.content = content
        self.children: dict[bytes, Node] = {}

    @property
    def is_directory(self) -> bool:
        """Whether it can have children."""
        return self.kind is Kind.DIRECTORY


class Tree:
    """A root directory and all below it, changed one entry at a time."""

    def __init__(self) -> None:
        self.root = Node(Kind.DIRECTORY, layer=-1)

    def put(self, name: bytes, node: Node) -> None:
        """Put an entry of layer `node.layer` into its place.

        Raises TREE_PATH for a name that leads out of the tree, TREE_LOOP for one that leads
        through a circle of symbolic links.
        """
        parts = split_name(name)
        if not parts:
            if node.is_directory:
                _take_attributes(self.root, node)
            return
        folder = self._folder(parts[:-1], node.layer)
        old = folder.children.get(parts[-1])
        if old is not None and old.is_directory and node.is_directory:
            _take_attributes(old, node)
        else:
            folder.children[parts[-1]] = node

    def link(self, name: bytes, target: bytes, attributes: Node) -> None:
        """Give the file that is called `target` the further name `name`.

        A hard link of the same layer changes the owner, mode and time of the file to its own
        `attributes`, as Docker does it. Raises TREE_LINK if there is no such file.
        """
        node = self.find(target)
        if node is None or node.is_directory:
            raise ImageCode.TREE_LINK(
                f"the target of the hard link {name!r}",
                got=target,
                expected="an earlier entry that is no directory",
            )
        parts = split_name(name)
        if not parts:
            raise ImageCode.TREE_PATH("the name of a hard link", got=name)
        if node.layer == attributes.layer and node.kind is not Kind.SYMLINK:
            _take_attributes(node, attributes)
        self._folder(parts[:-1], attributes.layer).children[parts[-1]] = node

    def remove(self, name: bytes) -> None:
        """Take away what is called so, with all below it; nothing happens if there is nothing."""
        parts = split_name(name)
        folder = self._existing(parts[:-1])
        if folder is not None and parts:
            folder.children.pop(parts[-1], None)

    def clear(self, name: bytes) -> None:
        """Take away all that is in a directory."""
        folder = self._existing(split_name(name))
        if folder is not None:
            folder.children.clear()

    def imply(self, name: bytes, layer: int) -> None:
        """Make a directory, and those above it, where there is none."""
        self._folder(split_name(name), layer)

    def find(self, name: bytes) -> Node | None:
        """Return what stands at exactly this path; symbolic links are not followed."""
        parts = split_name(name)
        folder = self._existing(parts[:-1])
        if folder is None or not parts:
            return folder
        return folder.children.get(parts[-1])

    def _existing(self, parts: list[bytes]) -> Node | None:
        node = self.root
        for part in parts:
            found = node.children.get(part)
            if found is None or not found.is_directory:
                return None
            node = found
        return node

    def _folder(self, parts: list[bytes], layer: int) -> Node:
        """Return a directory, made if need be; links of the same layer are followed."""
        path = [self.root]
        left = list(reversed(parts))
        links = 0
        while left:
            part = left.pop()
            if part == b"..":
                path = path[:-1] or [self.root]
                continue
            found = path[-1].children.get(part)
            if found is not None and found.kind is Kind.SYMLINK and found.layer == layer:
                links += 1
                if links > _MOST_LINKS:
                    raise ImageCode.TREE_LOOP("the path of an entry", got=b"/".join(parts))
                if found.target.startswith(b"/"):
                    path = [self.root]
                left += reversed([p for p in found.target.split(b"/") if p not in (b"", b".")])
                continue
            if found is None or not found.is_directory:
                # DEVIATION: Docker gives a directory that a layer implies and does not write down
                # mode 0755 and the time at which it unpacks the layer, even if a lower layer has
                # the directory; here that directory stays as it is, and a new one has the time 0.
                found = path[-1].children[part] = Node(Kind.DIRECTORY, layer=layer)
            path.append(found)
        return path[-1]

    def entries(self) -> Iterator[Entry]:
        """Yield all below the root as ``docker export`` does.

        Every directory comes before what is in it, names in the order of their bytes, those of
        directories with a slash at the end. The second name of a file is a hard link to the one
        that came first. The root itself is not reported, sockets are left out.
        """
        first_names: dict[int, bytes] = {}
        waiting = [(b"", iter(sorted(self.root.children.items())))]
        while waiting:
            prefix, children = waiting[-1]
            name, node = next(children, (b"", None))
            if node is None:
                waiting.pop()
                continue
            path = prefix + name
            if node.is_directory:
                yield _entry(path + b"/", node)
                waiting.append((path + b"/", iter(sorted(node.children.items()))))
            elif node.kind is not Kind.SOCKET:
                first = first_names.setdefault(id(node), path)
                yield _entry(path, node) if first == path else _link(path, node, first)


def split_name(name: bytes) -> list[bytes]:
    """Return the parts of a name, relative to the root; TREE_PATH if it leads out of it."""
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise ImageCode.TREE_PATH("the name of an entry", got=name)
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return parts


def _take_attributes(old: Node, new: Node) -> None:
    old.mode, old.uid, old.gid, old.mtime = new.mode, new.uid, new.gid, new.mtime
    old.layer = new.layer


def _entry(name: bytes, node: Node) -> Entry:
    return Entry(
        name=name,
        kind=node.kind,
        mode=node.mode,
        uid=node.uid,
        gid=node.gid,
        mtime=node.mtime,
        device=node.device,
        target=node.target,
        content=node.content,
    )


def _link(name: bytes, node: Node, first: bytes) -> Entry:
    return Entry(
        name=name,
        kind=Kind.HARD_LINK,
        mode=node.mode,
        uid=node.uid,
        gid=node.gid,
        mtime=node.mtime,
        target=first,
    )
