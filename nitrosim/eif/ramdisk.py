"""The two ramdisks of an image that nitro-cli builds.

nitro-cli 1.5.0 writes two linuxkit configurations. The first ramdisk, the *bootstrap*, holds
what starts the enclave: a directory ``dev``, ``init`` and ``nsm.ko``. The second, the *customer's*,
holds the image below ``rootfs/``, the directories that init mounts things on, and the files ``cmd``
and ``env``, one argument or variable a line, without any quoting. PCR1 is over the first of them
and PCR2 over the second.

On the way from ``docker export`` into the second ramdisk linuxkit changes what Docker puts into
every container, so that it does not depend on the machine that builds. Read from linuxkit 1.5.2
(``moby/image.go``) with the patches of aws-nitro-enclaves-sdk-bootstrap:

* Entries of exactly these names are dropped: ``.dockerenv``, ``Dockerfile``, ``dev/console``,
  ``etc/hostname`` (and ``dev/pts``, ``dev/shm`` if they are not directories, whose names end
  with a slash here).
* ``etc/hosts`` gets fixed content and ``etc/resolv.conf`` becomes a symbolic link to a file that
  does not exist in an enclave. Their owner and mode stay those of the export: 0755, because Docker
  makes them so.
* Both, and ``dev/ dev/pts/ dev/shm/ etc/ etc/mtab proc/ sys/``, get the time that linuxkit gives to
  all that it makes. What is missing of them is added at the end, in the order of the names.
* ``rootfs`` stands before the image and, again, behind it, with ``dev run sys var proc tmp`` in
  it, all 0755 and owned by root: the kernel applies the modes of later entries, so the ``/tmp`` of
  an image loses its sticky bit. (init mounts a tmpfs over it.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from nitrosim.eif.cpio import BytesContent, Content, Entry, Kind
from nitrosim.eif.cpio_writer import Archive

LINUXKIT_TIME: Final = 1_492_533_000
"""2017-04-18T16:30:00Z, the time of all that linuxkit makes itself."""

ROOT: Final = b"rootfs"
"""The directory of the second ramdisk that becomes the root of the enclave."""

_DROPPED: Final = frozenset(
    (b".dockerenv", b"Dockerfile", b"dev/console", b"dev/pts", b"dev/shm", b"etc/hostname")
)
_RESOLVER_FILE: Final = b"/run/resolvconf/resolv.conf"
_HOSTS_LINES: Final = (
    b"127.0.0.1       localhost",
    b"::1     localhost ip6-localhost ip6-loopback",
    b"fe00::0 ip6-localnet",
    b"ff00::0 ip6-mcastprefix",
    b"ff02::1 ip6-allnodes",
    b"ff02::2 ip6-allrouters",
    b"",
)
# Measured byte for byte, so it is what linuxkit writes.
_HOSTS: Final = BytesContent(b"\n".join(_HOSTS_LINES))


def _directory(name: bytes) -> Entry:
    return Entry(name=name, kind=Kind.DIRECTORY, mode=0o755, mtime=LINUXKIT_TIME)


def _file(name: bytes, mode: int, content: Content) -> Entry:
    return Entry(name=name, kind=Kind.FILE, mode=mode, mtime=LINUXKIT_TIME, content=content)


# By the name that an export has for it; the entry is what is added where there is none.
_FIXED: Final = {
    b"dev/": _directory(b"dev"),
    b"dev/pts/": _directory(b"dev/pts"),
    b"dev/shm/": _directory(b"dev/shm"),
    b"etc/": _directory(b"etc"),
    b"etc/hosts": _file(b"etc/hosts", 0o644, _HOSTS),
    b"etc/mtab": Entry(
        name=b"etc/mtab",
        kind=Kind.SYMLINK,
        mode=0o755,
        mtime=LINUXKIT_TIME,
        target=b"/proc/mounts",
    ),
    b"etc/resolv.conf": Entry(
        name=b"etc/resolv.conf",
        kind=Kind.SYMLINK,
        mode=0o644,
        mtime=LINUXKIT_TIME,
        target=_RESOLVER_FILE,
    ),
    b"proc/": _directory(b"proc"),
    b"sys/": _directory(b"sys"),
}
_MOUNT_POINTS: Final = (b"dev", b"run", b"sys", b"var", b"proc", b"tmp")


def bootstrap_ramdisk(init: Content, nsm_module: Content) -> Archive:
    """Return the first ramdisk: the init program and the kernel module of the NSM."""
    return Archive(
        (
            _directory(b"dev"),
            _file(b"init", 0o755, init),
            _file(b"nsm.ko", 0o755, nsm_module),
        )
    )


def customer_ramdisk(
    exported: Iterable[Entry], command: Sequence[str], environment: Sequence[str]
) -> Archive:
    """Return the second ramdisk.

    `exported` are the entries of a container as ``docker export`` writes them: names relative to
    the root, those of directories with a slash at the end. `environment` holds ``NAME=value``.
    """
    return Archive(_customer_entries(exported, command, environment))


def _customer_entries(
    exported: Iterable[Entry], command: Sequence[str], environment: Sequence[str]
) -> Iterator[Entry]:
    yield _directory(ROOT)
    yield from (_prefixed(entry) for entry in adjusted(exported))
    yield _directory(ROOT)
    for name in _MOUNT_POINTS:
        yield _directory(ROOT + b"/" + name)
    yield _file(b"cmd", 0o644, lines(command))
    yield _file(b"env", 0o644, lines(environment))


def adjusted(exported: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries of a container as linuxkit passes them on, without the prefix."""
    seen = set()
    for entry in exported:
        if entry.name in _DROPPED:
            continue
        fixed = _FIXED.get(entry.name)
        if fixed is None:
            yield entry
            continue
        seen.add(entry.name)
        if entry.name == b"etc/hosts":
            yield replace(entry, content=_HOSTS, mtime=LINUXKIT_TIME)
        elif entry.name == b"etc/resolv.conf":
            yield replace(
                entry,
                kind=Kind.SYMLINK,
                target=_RESOLVER_FILE,
                content=BytesContent(b""),
                mtime=LINUXKIT_TIME,
            )
        else:
            yield replace(entry, mtime=LINUXKIT_TIME)
    for name in sorted(_FIXED.keys() - seen):
        yield _FIXED[name]


def _prefixed(entry: Entry) -> Entry:
    target = entry.target
    if entry.kind is Kind.HARD_LINK:
        target = ROOT + b"/" + target
    return replace(entry, name=ROOT + b"/" + entry.name, target=target)


def lines(values: Sequence[str]) -> BytesContent:
    """Return the file that init reads `values` from: one a line, with no quoting at all.

    A value that holds a line break stands there as it is, as with nitro-cli, and init reads it
    as several.
    """
    return BytesContent(b"".join(v.encode("utf-8", "surrogateescape") + b"\n" for v in values))


def values(data: bytes) -> tuple[bytes, ...]:
    """Return what init makes of such a file: a value for each line, which ends at its first NUL.

    An empty file has no values: init then uses ``sh``, or its own PATH.
    """
    found = data.split(b"\n")
    if not found[-1]:
        found.pop()
    return tuple(line.split(b"\0")[0] for line in found)
