"""Rows 7, 9, 10: requests to the Nitro Secure Module, from inside and in process."""

from __future__ import annotations

import functools
import os
import statistics
import time
from typing import TYPE_CHECKING

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from method import Target

from fake_nsm import EnclaveIdentity, FakeNsm, InstancePki, PcrBank, RootAuthority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from laboratory import Laboratory
    from method import Figure, Method

GET_RANDOM = Target(goal=2.0, gate=3.5)
ATTESTATION = Target(goal=1.2, gate=1.5)
DOCUMENTS = Target(goal=0.95, gate=0.8, rate=True)

_INSTANCE = "i-0123456789abcdef0"
_REGION = "us-east-1"


def get_random(laboratory: Laboratory, method: Method) -> Iterator[Figure]:
    """Row 7: GetRandom from inside / a round trip of one byte over AF_UNIX on the same CPU."""
    count = method.count(2000)

    def baseline() -> float:
        return laboratory.inside(f"rtt unix 1 {count}")

    def subject() -> float:
        return laboratory.inside(f"random {count}")

    def subject_anywhere() -> float:
        with laboratory.pinned(pin=False):
            return subject()

    with laboratory.pinned():
        yield method.figure(
            7, "GetRandom from inside / AF_UNIX RTT, 1 B", GET_RANDOM, baseline, subject
        )

    def baseline_pinned() -> float:
        with laboratory.pinned():
            return baseline()

    yield method.figure(
        7,
        "the same, GetRandom unpinned",
        GET_RANDOM,
        baseline_pinned,
        subject_anywhere,
        gated=False,
    )


def attestation(laboratory: Laboratory, method: Method) -> Iterator[Figure]:
    """Row 9: Attestation from inside / a bare P-384 signature by the same library."""
    count = method.count(300)
    for pin in (True, False):
        with laboratory.pinned(pin=pin):
            yield method.figure(
                9,
                "Attestation from inside / bare P-384 signature" if pin else "the same, unpinned",
                ATTESTATION,
                functools.partial(_median_time, _bare_signature(), count),
                lambda: laboratory.inside(f"attest {count}"),
                gated=pin,
            )


def documents(_laboratory: Laboratory, method: Method) -> Iterator[Figure]:
    """Row 10: documents per second and core, in process / bare signatures per second."""
    count = method.count(300)
    request = cbor2.dumps(
        {"Attestation": {"user_data": None, "nonce": bytes(32), "public_key": None}}
    )
    module = _module()
    yield method.figure(
        10,
        "documents/s in process / bare P-384 signatures/s",
        DOCUMENTS,
        functools.partial(_median_time, _bare_signature(), count),
        functools.partial(_median_time, functools.partial(module.handle, request), count),
    )


@functools.cache
def _bare_signature() -> Callable[[], bytes]:
    key = ec.generate_private_key(ec.SECP384R1())
    return functools.partial(key.sign, bytes(48), ec.ECDSA(SHA384()))


def _module() -> FakeNsm:
    def clock() -> int:
        return time.time_ns() // 1_000_000

    sources = {"clock": clock, "entropy": os.urandom}
    root = RootAuthority.create(**sources)
    pki = InstancePki(root, region=_REGION, instance_id=_INSTANCE, **sources)
    identity = EnclaveIdentity.launch(instance_id=_INSTANCE, region=_REGION, **sources)
    return FakeNsm(identity, PcrBank({}), pki, **sources)


def _median_time(function: Callable[[], object], count: int) -> float:
    times = []
    for _repetition in range(count):
        start = time.perf_counter_ns()
        function()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times)
