"""The ramdisks of the test vectors, which another program wrote, read right and written again."""

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from nitrosim.eif.cpio import BytesContent, Kind, read_content
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.eif.cpio_writer import write_cpio
from nitrosim.eif.ramdisk import LINUXKIT_TIME, bootstrap_ramdisk

VECTORS = Path(__file__).resolve().parents[3] / "fixtures" / "eif"
HEADER, SECTION = 548, struct.Struct(">HHQ")
RAMDISK = 3


def ramdisks(path):
    """Return the ramdisks of an image, found by its section headers."""
    data, at, found = path.read_bytes(), HEADER, []
    while at + SECTION.size <= len(data):
        kind, _, size = SECTION.unpack_from(data, at)
        at += SECTION.size
        if kind == RAMDISK:
            found.append(data[at : at + size])
        at += size
    return found


def in_memory(ramdisk):
    return [
        replace(entry, content=BytesContent(read_content(entry))) for entry in read_cpio(ramdisk)
    ]


IMAGES = sorted(path for path in VECTORS.glob("*.eif") if path.stem != "one-empty-ramdisk")


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_the_ramdisks_hold_what_the_vectors_describe(path):
    boot, user = ramdisks(path)
    found = {entry.name: entry for entry in in_memory(user)}

    assert [b"dev", b"init", b"nsm.ko"] == [entry.name for entry in read_cpio(boot)]
    assert 920 == found[b"rootfs/bin/hello"].content.size
    assert b"\x7fELF" == read_content(found[b"rootfs/bin/hello"])[:4]
    assert (Kind.SYMLINK, b"/proc/mounts") == (
        found[b"rootfs/etc/mtab"].kind,
        found[b"rootfs/etc/mtab"].target,
    )
    assert b"/bin/hello" == read_content(found[b"cmd"]).splitlines()[0]
    assert {LINUXKIT_TIME} == {entry.mtime for entry in found.values()}


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_written_again_the_ramdisks_are_the_same_bytes(path):
    for ramdisk in ramdisks(path):
        plain = gzip.decompress(ramdisk) if ramdisk.startswith(b"\x1f\x8b") else ramdisk

        assert plain == write_cpio(in_memory(ramdisk))


def test_an_empty_ramdisk_holds_nothing():
    assert [b""] == ramdisks(VECTORS / "one-empty-ramdisk.eif")
    assert [] == in_memory(b"")


def test_a_bootstrap_ramdisk_is_the_same_bytes():
    (boot, _) = ramdisks(VECTORS / "hello-unsigned.eif")
    _, init, module = in_memory(boot)

    assert boot == b"".join(bootstrap_ramdisk(init.content, module.content).chunks())
