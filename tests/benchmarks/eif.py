"""Rows 16 and 17: a large Enclave Image File, measured, and read without being measured."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import mmap
import os
import statistics
import time
from typing import TYPE_CHECKING

from method import Target

from nitrosim.eif import BuildInfo, Eif, Metadata, write_eif

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from method import Figure, Method

MEASURE = Target(goal=0.85, gate=0.7, rate=True)
MEASURE_ON_ONE = Target(goal=0.45, gate=0.4, rate=True)
HEADERS = Target(goal=1.0, gate=5.0)
HEADERS_TO_BARE = Target(goal=10.0)

_MIB = 1 << 20
_KERNEL_MIB, _BOOT_MIB, _APPLICATION_MIB = 9, 3, 128
_MILLISECOND = 1_000_000.0
_HEADER_BYTES = 548


def measure(folder: Path, method: Method) -> Iterator[Figure]:
    """Row 16: PCR0 to PCR2 and the checksum of 140 MiB / one SHA-384 pass over the file."""
    path = _image(folder)
    baseline = functools.partial(_timed, functools.partial(_sha384, path))
    subject = functools.partial(_timed, functools.partial(_measure, path))
    two = len(os.sched_getaffinity(0)) > 1
    yield method.figure(
        16,
        "SHA-384 pass / PCR0-2 and checksum of an image",
        MEASURE,
        baseline,
        subject,
        gated=two,
    )
    with _on_one_cpu():
        yield method.figure(16, "the same on one CPU", MEASURE_ON_ONE, baseline, subject)


def headers(folder: Path, method: Method) -> Iterator[Figure]:
    """Row 17: open an image and read headers and metadata / one millisecond."""
    path = _image(folder)
    count = method.count(200)
    subject = functools.partial(_median_time, functools.partial(_open, path), count)
    yield method.figure(
        17,
        "headers and metadata of an image / 1 ms",
        HEADERS,
        lambda: _MILLISECOND,
        subject,
    )
    yield method.figure(
        17,
        "the same / mapping the file and reading 548 bytes",
        HEADERS_TO_BARE,
        functools.partial(_median_time, functools.partial(_map, path), count),
        subject,
        gated=False,
    )


def _image(folder: Path) -> Path:
    path = folder / "image.eif"
    if not path.exists():
        build = BuildInfo(
            time="", tool="", tool_version="", operating_system="Linux", kernel_version="4.14"
        )
        write_eif(
            path,
            kernel=_pieces(_KERNEL_MIB),
            cmdline="reboot=k panic=30 pci=off nomodules console=ttyS0",
            ramdisks=[_pieces(_BOOT_MIB), _pieces(_APPLICATION_MIB)],
            metadata=Metadata(image_name="bench", image_version="1", build=build),
        )
    return path


def _pieces(count: int) -> Iterator[bytes]:
    for _number in range(count):
        yield os.urandom(_MIB)


def _measure(path: Path) -> None:
    with Eif.open(path) as eif:
        eif.measure()
        assert eif.checksum_is_right


def _sha384(path: Path) -> None:
    digest = hashlib.sha384()
    with _mapped(path) as data:
        for at in range(0, len(data), _MIB):
            digest.update(data[at : at + _MIB])


def _open(path: Path) -> None:
    with Eif.open(path) as eif:
        assert eif.metadata is not None


def _map(path: Path) -> None:
    with _mapped(path) as data:
        bytes(data[:_HEADER_BYTES])


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping,
        memoryview(mapping) as data,
    ):
        yield data


@contextlib.contextmanager
def _on_one_cpu() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    function()
    return time.perf_counter_ns() - start


def _median_time(function: Callable[[], object], count: int) -> float:
    return statistics.median(_timed(function) for _repetition in range(count))
