"""Rows 11 and 12: verification of documents, with nothing known of their chain and with all."""

from __future__ import annotations

import functools
import importlib.util
import os
import statistics
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from method import Target

from fake_nsm import (
    EnclaveIdentity,
    FakeNsm,
    InstancePki,
    Measurements,
    PcrBank,
    RootAuthority,
)
from nitrosim.attestation import Live, Pcrs, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from method import Figure, Method

    from nitrosim.attestation.p384 import LoadKey

COLD = Target(goal=0.9, gate=0.75, rate=True)
CACHED = Target(goal=0.95, gate=0.8, rate=True)
#: 900 documents a second where OpenSSL verifies 2,600 signatures.
COLD_AWS_LC = Target(goal=1.73, rate=True)
CACHED_AWS_LC = Target(goal=2.0, rate=True)

_INSTANCE = "i-0123456789abcdef0"
_REGION = "us-east-1"
_NONCE = bytes(range(32))
_HOURS = Live(max_age=timedelta(hours=1))


def cold(method: Method) -> Iterator[Figure]:
    """Row 11: a document whose chain is new / the same five signatures and nothing else."""
    count = method.count(40)
    document, root, pcrs = _sample()
    verifier = Verifier([root], chain_cache=0)
    signatures = _signatures(document)
    bare = functools.partial(_check, signatures)
    subject = functools.partial(_median_time, _verification(verifier, document, pcrs), count)
    yield method.figure(
        11,
        "verify, chain unknown / five bare P-384 verifications",
        COLD,
        functools.partial(_median_time, bare, count),
        subject,
    )
    points = [_point(key) for key, *_rest in signatures]
    loaded = functools.partial(_load_and_check, signatures, points)
    yield method.figure(
        11,
        "the same, with keys loaded from bytes each time",
        COLD,
        functools.partial(_median_time, loaded, count),
        subject,
        gated=False,
    )
    if load_key := _aws_lc():
        verifier = Verifier([root], chain_cache=0, load_key=load_key)
        yield method.figure(
            11,
            "the same by AWS-LC / five bare verifications by OpenSSL",
            COLD_AWS_LC,
            functools.partial(_median_time, bare, count),
            functools.partial(_median_time, _verification(verifier, document, pcrs), count),
            gated=False,
        )


def cached(method: Method) -> Iterator[Figure]:
    """Row 12: a document whose chain has been verified before / its one signature."""
    count = method.count(200)
    document, root, pcrs = _sample()
    bare = functools.partial(_check, _signatures(document)[-1:])
    yield method.figure(
        12,
        "verify, chain known / one bare P-384 verification",
        CACHED,
        functools.partial(_median_time, bare, count),
        functools.partial(_median_time, _verification(Verifier([root]), document, pcrs), count),
    )
    if load_key := _aws_lc():
        verifier = Verifier([root], load_key=load_key)
        yield method.figure(
            12,
            "the same by AWS-LC / one bare verification by OpenSSL",
            CACHED_AWS_LC,
            functools.partial(_median_time, bare, count),
            functools.partial(_median_time, _verification(verifier, document, pcrs), count),
            gated=False,
        )


def _aws_lc() -> LoadKey | None:
    """Return the other library, if it is installed."""
    if importlib.util.find_spec("awscrt") is None or sys.platform != "linux":
        return None
    from nitrosim.attestation import awslc  # noqa: PLC0415 - an optional dependency

    return awslc.load_key


def _sample() -> tuple[bytes, bytes, dict[int, bytes]]:
    """Make a document of now, its root, and PCR0 to PCR2."""

    def clock() -> int:
        return time.time_ns() // 1_000_000

    sources = {"clock": clock, "entropy": os.urandom}
    root = RootAuthority.create(**sources)
    pki = InstancePki(root, region=_REGION, instance_id=_INSTANCE, **sources)
    identity = EnclaveIdentity.launch(instance_id=_INSTANCE, region=_REGION, **sources)
    measured = Measurements(pcr0=b"\1" * 48, pcr1=b"\2" * 48, pcr2=b"\3" * 48)
    registers = measured.of_parent(instance_id=_INSTANCE).by_index()
    module = FakeNsm(identity, PcrBank(registers), pki, **sources)
    request = {"Attestation": {"user_data": None, "nonce": _NONCE, "public_key": None}}
    answer = cbor2.loads(module.handle(cbor2.dumps(request)))
    return (
        answer["Attestation"]["document"],
        root.certificate_der,
        {index: registers[index] for index in (0, 1, 2)},
    )


def _verification(
    verifier: Verifier, document: bytes, pcrs: dict[int, bytes]
) -> Callable[[], object]:
    return functools.partial(verifier.verify, document, Pcrs(pcrs), nonce=_NONCE, time=_HOURS)


_Signature = tuple[ec.EllipticCurvePublicKey, bytes, bytes]


def _signatures(document: bytes) -> list[_Signature]:
    """Return key, signature in DER and what it covers, of the chain first, of the document last."""
    protected, _unprotected, payload, signature = cbor2.loads(document)
    fields = cbor2.loads(payload)
    certificates = [
        x509.load_der_x509_certificate(der) for der in (*fields["cabundle"], fields["certificate"])
    ]
    keys = [_public_key(certificate) for certificate in certificates]
    found = [
        (keys[i], certificate.signature, certificate.tbs_certificate_bytes)
        for i, certificate in enumerate(certificates[1:])
    ]
    r, s = (int.from_bytes(signature[at : at + 48], "big") for at in (0, 48))
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    return [*found, (keys[-1], encode_dss_signature(r, s), signed)]


def _public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError(f"expected a key on P-384, got {type(key).__name__}")
    return key


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    numbers = key.public_numbers()
    return b"\x04" + numbers.x.to_bytes(48, "big") + numbers.y.to_bytes(48, "big")


def _check(signatures: list[_Signature]) -> None:
    for key, signature, signed in signatures:
        key.verify(signature, signed, _ES384)


def _load_and_check(signatures: list[_Signature], points: list[bytes]) -> None:
    for (_key, signature, signed), point in zip(signatures, points, strict=True):
        key = ec.EllipticCurvePublicKey.from_encoded_point(_P384, point)
        key.verify(signature, signed, _ES384)


_P384 = ec.SECP384R1()
_ES384 = ec.ECDSA(SHA384())


def _median_time(function: Callable[[], object], count: int) -> float:
    times = []
    for _repetition in range(count):
        start = time.perf_counter_ns()
        function()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times)
