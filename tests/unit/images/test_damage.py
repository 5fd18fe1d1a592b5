"""Whatever the bytes: an archive is read, or refused with an error of ours, and soon."""

import bz2
import gzip
import io
import lzma

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrosim.eif.cpio import BytesContent, Entry, Kind, read_content
from nitrosim.eif.cpio_errors import CpioError
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.eif.cpio_writer import write_cpio
from nitrosim.images import ImageError
from nitrosim.images.blobs import Blob, unpacked
from nitrosim.images.layer import apply_layer
from nitrosim.images.tree import Tree
from thoroughness import examples

CPIO = write_cpio(
    [
        Entry(b"d", Kind.DIRECTORY),
        Entry(b"d/f", Kind.FILE, content=BytesContent(b"content" * 20)),
        Entry(b"d/l", Kind.SYMLINK, target=b"f"),
    ]
)
COMPRESSIONS = [bytes, gzip.compress, bz2.compress, lzma.compress]

CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.floats(0, 1), st.integers(0, 255)),
        st.tuples(st.just("put"), st.floats(0, 1), st.binary(min_size=1, max_size=9)),
        st.tuples(st.just("cut"), st.floats(0, 1), st.integers(1, 600)),
        st.tuples(st.just("copy"), st.floats(0, 1), st.integers(1, 600)),
        st.tuples(st.just("end"), st.floats(0, 1), st.none()),
    ),
    max_size=4,
)


def damaged(data, changes):
    changed = bytearray(data)
    for what, where, value in changes:
        at = int(where * len(changed))
        if what == "set" and at < len(changed):
            changed[at] = value
        elif what == "put":
            changed[at : at + len(value)] = value
        elif what == "cut":
            del changed[at : at + value]
        elif what == "copy":
            changed[at:at] = changed[at : at + value]
        elif what == "end":
            del changed[at:]
    return bytes(changed)


def read_or_refused(read, error):
    """Return whether `error` was raised; anything else that is raised fails the test."""
    try:
        read()
    except error:
        return True
    return False


@pytest.mark.parametrize("compress", COMPRESSIONS)
@settings(max_examples=examples(200))
@given(changes=CHANGES)
def test_a_damaged_ramdisk_is_read_or_refused(compress, changes):
    def read():
        assert sum(len(read_content(entry)) for entry in read_cpio(data)) <= 1 << 20

    data = damaged(compress(CPIO), changes)
    refused = read_or_refused(read, CpioError)
    assert not (refused and not changes)


@pytest.mark.parametrize("compress", COMPRESSIONS)
@settings(max_examples=examples(200))
@given(changes=CHANGES)
def test_a_damaged_layer_is_read_or_refused(compress, changes, make_layer):
    def read():
        blob = unpacked(Blob(io.BytesIO(data), 0, len(data), "a layer"))
        files.append(blob.file)
        apply_layer(tree, blob, 0)
        assert sum(len(read_content(entry)) for entry in tree.entries()) >= 0

    layer = make_layer(
        ("d",), ("d/f", b"x" * 700), ("d/" + "n" * 150, b"y"), ("l", "symlink", "d"),
        ("h", "link", "d/f"), (".wh.x", b""), ("u", b"", {"uid": 1 << 30, "mtime": 1.5}),
    )  # fmt: skip
    data, tree, files = damaged(compress(layer), changes), Tree(), []
    refused = read_or_refused(read, ImageError)
    for file in files:
        file.close()
    assert not (refused and not changes)


@settings(max_examples=examples(300))
@given(st.binary(max_size=700))
def test_any_bytes_are_no_ramdisk_and_no_layer_or_empty_ones(data):
    tree = Tree()

    assert read_or_refused(lambda: list(read_cpio(data)), CpioError) or not data.strip(b"\0")
    assert read_or_refused(
        lambda: apply_layer(tree, Blob(io.BytesIO(data), 0, len(data), "x"), 0), ImageError
    ) or not any(data[:512])
