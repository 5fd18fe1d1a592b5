"""Ramdisks to start from, and how somebody would change them who wants out of a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzzing import library, mutation, newc
from fuzzing.newc import DIRECTORY, FIELDS, FILE, SYMLINK, Item, item

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from fuzzing.mutation import Havoc

OUTSIDE = b"@OUTSIDE@"
"""In a name or target it stands for the path of the directory that nothing may get into."""

_NAMES = (b"..", b".", b"/", b"a/..", b"../kept", b"a/../../kept", b"./a", b"a/", b"//a//b",
          OUTSIDE + b"/kept", OUTSIDE + b"/new", b"a/kept", b"a/new", b"a/b/c", newc.TRAILER,
          b"a" * 256, b"a/" * 60 + b"a", b"\xff\xfe", b"a\nb")  # fmt: skip
_TARGETS = (b"..", b".", b"/", b"../..", b"../kept", b"../folder", b"a", b"b", b"/a", b"a/b",
            OUTSIDE, OUTSIDE + b"/kept", OUTSIDE + b"/folder", b"../" * 40 + b"etc",
            b"x" * 4095)  # fmt: skip
_NUMBERS = (0, 1, 2, 3, 4, 0o777, 0o4755, 0o7777, 110, 4095, 4096, 4097, 0x7FFFFFFF, 0xFFFFFFFF)


def seeds() -> Sequence[bytes]:
    """Return the ramdisks of the images in the repository, and small ones with one idea each."""
    return [*library.ramdisks(), *_small()]


def _small() -> list[bytes]:
    tree = [
        item(b"a", DIRECTORY, mtime=1_600_000_000),
        item(b"a/f", FILE, b"content", uid=1000, gid=1000),
        item(b"a/l", SYMLINK, b"f"),
        item(b"a/p", newc.FIFO),
        item(b"a/null", newc.CHARACTER, special_major=1, special_minor=3),
        item(b"a/s", newc.SOCKET),
    ]
    linked = [
        item(b"one", FILE, inode=9, links=3),
        item(b"two", FILE, b"late", inode=9, links=3),
        item(b"three", FILE, inode=9, links=3),
    ]
    through = [
        item(b"a", SYMLINK, b"../folder"),
        item(b"a/new", FILE, b"x"),
        item(b"b", SYMLINK, OUTSIDE + b"/folder"),
        item(b"b/new", DIRECTORY),
    ]
    over = [
        item(b"a", SYMLINK, OUTSIDE + b"/kept"),
        item(b"a", FILE, b"x"),
        item(b"d", DIRECTORY),
        item(b"d", SYMLINK, b".."),
        item(b"d/kept", FILE, b"x"),
        item(b"h", FILE, b"x", inode=5, links=2),
        item(b"h", SYMLINK, OUTSIDE + b"/kept"),
        item(b"i", FILE, b"y", inode=5, links=2),
    ]
    sums = [Item(b"sum", b"abc", {"mode": 0o100644}, checksum=True)]
    wrong = [Item(b"sum", b"abc", {"mode": 0o100644, "check": 1}, checksum=True)]
    up = [item(b"a", DIRECTORY), item(b"a/../../kept", FILE, b"x")]
    root = [item(b".", DIRECTORY), item(OUTSIDE + b"/kept", FILE, b"x"), item(b"f", FILE)]
    large = [item(b"zeros", FILE, bytes(200_000)), item(b"more", FILE, b"\1" * 200_000)]
    made = [newc.write(items) for items in (tree, linked, through, over, sums, wrong, up, root, [])]
    made += [newc.compressed(made[0], way) for way in newc.WAYS]
    made.append(newc.write(linked, unit=512) + newc.compressed(newc.write(over), "gzip") + made[0])
    made.append(newc.compressed(newc.write(linked) + made[0], "xz"))
    made.append(newc.compressed(newc.write(large), "gzip"))
    # A stream that stands for more than anybody wants, of zeros and of files.
    made.append(newc.compressed(bytes(1 << 22), "gzip"))
    made.append(newc.compressed(newc.write([item(b"z", FILE, bytes(1 << 22))]), "bzip2"))
    return made


def mutate(data: bytes, random: Random, havoc: Havoc | None = None) -> bytes:
    """Change bytes anywhere, or entries and archives, written again with the right lengths."""
    blind = havoc or (lambda octets: mutation.blindly(octets, random))
    try:
        archives = newc.read(data)
    except (newc.RefusedError, newc.UndecidedError):
        archives = []
    if not archives or random.random() < 0.15:
        return blind(data)[: mutation.MAX_BYTES]
    for _ in range(random.choice((1, 1, 2, 3))):
        archive = random.choice(archives)
        if archive and random.random() < 0.85:
            random.choice(_EDITS)(archive, random, blind)
        else:
            _regroup(archives, random)
    return b"".join(_written(archive, random) for archive in archives)[: mutation.MAX_BYTES]


def _written(archive: list[Item], random: Random) -> bytes:
    for entry in archive:
        # What was read says its own lengths, which were right then.
        if random.random() < 0.98:
            entry.numbers.pop("name_size", None)
            entry.numbers.pop("size", None)
            if random.random() < 0.98:
                entry.numbers.pop("check", None)
    unit = random.choice((4, 4, 512, 1))
    way = random.choice(("none", "none", "none", *newc.WAYS))
    return newc.compressed(newc.write(archive, unit=unit), way)


def _number(archive: list[Item], random: Random, _blind: Havoc) -> None:
    entry, name = random.choice(archive), random.choice(FIELDS)
    others = [other.numbers.get(name, 0) for other in archive]
    entry.numbers[name] = random.choice((*_NUMBERS, *others[:8], random.randrange(1 << 32)))


def _kind(archive: list[Item], random: Random, _blind: Havoc) -> None:
    entry = random.choice(archive)
    kind = random.choice((1, 2, 4, 4, 6, 8, 8, 10, 12, random.randrange(16)))
    entry.numbers["mode"] = kind << 12 | random.choice(_NUMBERS) & 0o7777


def _rename(archive: list[Item], random: Random, blind: Havoc) -> None:
    entry, other = random.choice(archive), random.choice(archive)
    entry.name = random.choice(
        (
            random.choice(_NAMES),
            other.name,
            other.name.rstrip(b"/") + b"/" + entry.name.rpartition(b"/")[2],
            other.name + b"/new",
            blind(entry.name).replace(b"\0", b""),
        )
    )


def _content(archive: list[Item], random: Random, blind: Havoc) -> None:
    entry = random.choice(archive)
    targets = (*_TARGETS, random.choice(archive).name, b"/" + random.choice(archive).name)
    entry.data = random.choice(targets) if random.random() < 0.5 else blind(entry.data)


def _checksum(archive: list[Item], random: Random, _blind: Havoc) -> None:
    entry = random.choice(archive)
    entry.checksum = not entry.checksum


def _lead_through(archive: list[Item], random: Random, _blind: Havoc) -> None:
    """Add a symbolic link, and something with a name that leads through it."""
    name = random.choice((b"a", b"z", random.choice(archive).name))
    kind = random.choice((FILE, FILE, DIRECTORY, SYMLINK))
    archive.append(item(name, SYMLINK, random.choice(_TARGETS)))
    last = random.choice((b"kept", b"new", b"folder/new", b".."))
    archive.append(item(name + b"/" + last, kind, random.choice((b"", b"x", b"..", OUTSIDE))))


def _link(archive: list[Item], random: Random, _blind: Havoc) -> None:
    """Make two entries one file."""
    for entry in (random.choice(archive), random.choice(archive)):
        entry.numbers |= {"inode": 7, "links": 2, "major": 3, "minor": 1, "mode": 0o100644}


def _replace(archive: list[Item], random: Random, _blind: Havoc) -> None:
    """Put another entry of the same name behind one."""
    other = random.choice(archive).copy()
    other.numbers["mode"] = random.choice((DIRECTORY, FILE, SYMLINK)) << 12 | 0o755
    other.data = other.data or random.choice(_TARGETS)
    archive.append(other)


def _double(archive: list[Item], random: Random, _blind: Havoc) -> None:
    archive.insert(random.randrange(len(archive) + 1), random.choice(archive).copy())


def _delete(archive: list[Item], random: Random, _blind: Havoc) -> None:
    archive.remove(random.choice(archive))


def _swap(archive: list[Item], random: Random, _blind: Havoc) -> None:
    one, other = random.randrange(len(archive)), random.randrange(len(archive))
    archive[one], archive[other] = archive[other], archive[one]


def _regroup(archives: list[list[Item]], random: Random) -> None:
    """Cut an archive in two, or put a copy of one behind the others."""
    archive = random.choice(archives)
    at = random.randrange(len(archive) + 1)
    archives.append([entry.copy() for entry in archive[at:]])
    if random.random() < 0.5:
        del archive[at:]


_EDITS = (_number, _number, _kind, _rename, _rename, _content, _content, _checksum, _lead_through,
          _link, _replace, _double, _delete, _swap)  # fmt: skip
