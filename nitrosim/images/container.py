"""What Docker adds to the tree of an image when it makes a container of it.

nitro-cli never sees an image: linuxkit has Docker create a container and export it. What is in the
export and not in the image comes from two places of moby's daemon: ``initlayer/setup_unix.go``
puts mount points below the container, and ``container.SetupWorkingDirectory`` makes the WORKDIR if
the image has none. So the ramdisk of an image from scratch holds ``dev/pts`` and ``etc/hosts``, and
a build without Docker has to add them.

For each mount point: whatever stands on the way and is no directory is removed, so that a file
``/etc/hosts`` of the image is replaced by an empty one and a symbolic link ``/dev`` by a directory;
directories that are there stay as they are; what is missing is made, owned by root, 0755.
"""

from __future__ import annotations

from typing import Final

from nitrosim.eif.cpio import Kind
from nitrosim.images.tree import Node, Tree

_MADE_MODE: Final = 0o755
_DIRECTORIES: Final = (b"dev/pts", b"dev/shm", b"proc", b"sys")
_FILES: Final = (b".dockerenv", b"etc/resolv.conf", b"etc/hosts", b"etc/hostname", b"dev/console")
_LINKS: Final = ((b"etc/mtab", b"/proc/mounts"),)


def as_container(tree: Tree, working_dir: str) -> Tree:
    """Return the tree of a container that Docker creates of the tree of an image.

    The given tree is left as it is; directories that change are copied, the rest is shared.
    """
    made = Tree()
    made.root = _copy(tree.root)
    for name in _DIRECTORIES:
        _place(made, name, Node(Kind.DIRECTORY, layer=_TOP, mode=_MADE_MODE))
    for name in _FILES:
        _place(made, name, Node(Kind.FILE, layer=_TOP, mode=_MADE_MODE))
    for name, target in _LINKS:
        _place(made, name, Node(Kind.SYMLINK, layer=_TOP, target=target))
    _make_working_directory(made, working_dir.encode("utf-8", "surrogateescape"))
    return made


_TOP: Final = 1 << 30
"""The number of a layer above all others."""


def _copy(node: Node) -> Node:
    copied = Node(
        node.kind, layer=node.layer, mode=node.mode, uid=node.uid, gid=node.gid, mtime=node.mtime
    )
    copied.children = dict(node.children)
    return copied


def _place(tree: Tree, name: bytes, node: Node) -> None:
    *folders, last = name.split(b"/")
    folder = tree.root
    for part in folders:
        folder = _directory(folder, part)
    old = folder.children.get(last)
    if old is None or not old.is_directory:
        folder.children[last] = node


def _directory(folder: Node, name: bytes) -> Node:
    """Return a directory that may be changed, in the place of whatever stands there."""
    found = folder.children.get(name)
    if found is None or not found.is_directory:
        made = Node(Kind.DIRECTORY, layer=_TOP, mode=_MADE_MODE)
    else:
        made = _copy(found)
    folder.children[name] = made
    return made


def _make_working_directory(tree: Tree, name: bytes) -> None:
    """Make the WORKDIR; symbolic links on the way are followed, as Docker follows them."""
    # DEVIATION: Docker gives a WORKDIR that is missing in the image the time at which the container
    # is created, so that PCR2 changes with every build; here it has the time 0.
    left = list(reversed([part for part in name.split(b"/") if part not in (b"", b".")]))
    path = [tree.root]
    links = 0
    while left and links <= 40:  # as many links as Linux follows
        part = left.pop()
        if part == b"..":
            path = path[:-1] or [tree.root]
            continue
        found = path[-1].children.get(part)
        if found is not None and found.kind is Kind.SYMLINK:
            links += 1
            path = [tree.root] if found.target.startswith(b"/") else path
            left += reversed([p for p in found.target.split(b"/") if p not in (b"", b".")])
        elif found is not None and not found.is_directory:
            return
        else:
            path.append(_directory(path[-1], part))
