"""Rows 13 to 15: vsock connections as programs see them, against the sockets underneath."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from method import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laboratory import Laboratory
    from method import Figure, Method

CONNECT = Target(goal=8.0, gate=12.0)
CONNECT_TO_TCP = Target(goal=1.0)
THROUGHPUT = Target(goal=0.95, gate=0.85, rate=True)
RTT = Target(goal=1.05, gate=1.25)

_KIB = 1024
_CHUNKS = {"64 KiB": 64 * _KIB, "256 KiB": 256 * _KIB, "1 MiB": 1024 * _KIB}
_TOTAL = 96 << 20
_PAIRS = 15
_MESSAGE = 64


def connect(laboratory: Laboratory, method: Method) -> Iterator[Figure]:
    """Row 13: socket and connect / the same calls for AF_UNIX; and / a whole TCP connection.

    The baselines are measured outside of the enclave, because connect is a notified call inside
    whatever the family of its socket is.
    """
    count = method.count(600)
    ask = laboratory.inside
    for pin in (True, False):
        with laboratory.pinned(pin=pin):
            yield method.figure(
                13,
                "vsock socket + connect / AF_UNIX" if pin else "the same, unpinned",
                CONNECT,
                lambda: laboratory.plain(f"connect unix {count}"),
                lambda: ask(f"connect vsock {count}"),
                gated=pin,
            )
            yield method.figure(
                13,
                "vsock socket + connect / TCP connect + accept + close"
                if pin
                else "the same, unpinned",
                CONNECT_TO_TCP,
                lambda: laboratory.plain(f"short tcp {count}"),
                lambda: ask(f"connect vsock {count}"),
                gated=pin,
            )


def throughput(laboratory: Laboratory, method: Method) -> Iterator[Figure]:
    """Row 14: bytes per second over vsock / over AF_UNIX."""
    total = method.count(_TOTAL)
    for pin in (True, False):
        with laboratory.pinned(pin=pin):
            for name, chunk in _CHUNKS.items():
                yield method.figure(
                    14,
                    f"vsock throughput / AF_UNIX, {name}" + ("" if pin else ", unpinned"),
                    THROUGHPUT,
                    functools.partial(laboratory.inside, f"throughput unix {chunk} {total}"),
                    functools.partial(laboratory.inside, f"throughput vsock {chunk} {total}"),
                    gated=pin,
                    slices=_PAIRS,
                )


def round_trip(laboratory: Laboratory, method: Method) -> Iterator[Figure]:
    """Row 15: a message of 64 bytes there and back over vsock / over AF_UNIX."""
    count = method.count(2000)
    for pin in (True, False):
        with laboratory.pinned(pin=pin):
            yield method.figure(
                15,
                f"vsock RTT / AF_UNIX RTT, {_MESSAGE} B" if pin else "the same, unpinned",
                RTT,
                functools.partial(laboratory.inside, f"rtt unix {_MESSAGE} {count}"),
                functools.partial(laboratory.inside, f"rtt vsock {_MESSAGE} {count}"),
                gated=pin,
            )
