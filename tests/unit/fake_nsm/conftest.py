"""A small world for the fake module: a clock that is set by hand, and entropy from a seed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import cbor2
import pytest

from fake_nsm import (
    EnclaveIdentity,
    FakeNsm,
    InstancePki,
    Measurements,
    NsmOptions,
    PcrBank,
    RootAuthority,
    seeded_entropy,
)
from fake_nsm.keys import P384Key

if TYPE_CHECKING:
    from collections.abc import Callable

# 2026-09-21T14:13:20Z.
START_MS = 1_790_000_000_000
INSTANCE_ID = "i-0123456789abcdef0"
REGION = "eu-central-1"


@dataclasses.dataclass
class HandClock:
    """A clock that stands still until it is told otherwise."""

    now: int = START_MS

    def __call__(self) -> int:
        return self.now

    def advance(self, *, seconds: float) -> None:
        self.now += int(seconds * 1000)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def root() -> RootAuthority:
    return RootAuthority.create(clock=HandClock(), entropy=seeded_entropy(b"root"))


@pytest.fixture
def make_pki(clock: HandClock, root: RootAuthority) -> Callable[..., InstancePki]:
    def make(
        *,
        seed: bytes = b"pki",
        key_identifiers: bool = True,
        make_key: Any = P384Key.generate,
        instance_id: str = INSTANCE_ID,
        region: str = REGION,
    ) -> InstancePki:
        return InstancePki(
            root,
            region=region,
            instance_id=instance_id,
            clock=clock,
            entropy=seeded_entropy(seed),
            instance_key_identifiers=key_identifiers,
            make_key=make_key,
        )

    return make


@pytest.fixture
def identity(clock: HandClock) -> EnclaveIdentity:
    return EnclaveIdentity(
        instance_id=INSTANCE_ID, region=REGION, launched_ms=clock() - 60_000, suffix=0xBEEF
    )


@pytest.fixture
def make_nsm(clock, make_pki, identity) -> Callable[..., FakeNsm]:
    def make(
        *,
        seed: bytes = b"nsm",
        pki: InstancePki | None = None,
        measurements: Measurements | None = None,
        pcrs: PcrBank | None = None,
        options: NsmOptions | None = None,
    ) -> FakeNsm:
        return FakeNsm(
            identity,
            pcrs or PcrBank.measured(measurements or Measurements()),
            pki or make_pki(),
            clock=clock,
            entropy=seeded_entropy(seed),
            options=options or NsmOptions(),
        )

    return make


@pytest.fixture
def nsm(make_nsm) -> FakeNsm:
    return make_nsm()


@pytest.fixture(scope="session")
def ask() -> Callable[..., Any]:
    """Encode a request, hand it over, decode the answer."""

    def ask_one(nsm: FakeNsm, request: object, **kwargs: Any) -> Any:
        return cbor2.loads(nsm.handle(cbor2.dumps(request), **kwargs))

    return ask_one


@pytest.fixture(scope="session")
def attest(ask) -> Callable[..., bytes]:
    def attest_once(nsm: FakeNsm, **fields: bytes | None) -> bytes:
        return ask(nsm, {"Attestation": fields})["Attestation"]["document"]

    return attest_once


@pytest.fixture(scope="session")
def payload_of() -> Callable[[bytes], dict[str, Any]]:
    return lambda document: cbor2.loads(cbor2.loads(document)[2])


@pytest.fixture(scope="session")
def chain_of(payload_of) -> Callable[[bytes], list[bytes]]:
    """Return the five certificates of a document, root first."""

    def chain(document: bytes) -> list[bytes]:
        payload = payload_of(document)
        return [*payload["cabundle"], payload["certificate"]]

    return chain


@pytest.fixture(scope="session")
def der_elements() -> Callable[[bytes], list[tuple[int, bytes]]]:
    """Split DER into its top-level elements: tag and content. Small and strict about lengths."""

    def elements(data: bytes) -> list[tuple[int, bytes]]:
        found = []
        at = 0
        while at < len(data):
            tag, length = data[at], data[at + 1]
            at += 2
            if length & 0x80:
                width = length & 0x7F
                length = int.from_bytes(data[at : at + width], "big")
                assert length >= 0x80
                assert data[at] != 0
                at += width
            assert at + length <= len(data)
            found.append((tag, data[at : at + length]))
            at += length
        return found

    return elements


@pytest.fixture(scope="session")
def certificate_shape(der_elements) -> Callable[[bytes], Any]:
    """Reduce a certificate to what is the same in all certificates of its level.

    Tags are kept everywhere; values are kept of object identifiers, booleans and of the
    extensions whose value is part of the profile. Strings, times, serials and keys are dropped.
    """
    key_identifiers = {bytes.fromhex("551d0e"), bytes.fromhex("551d23")}
    fixed_values = {bytes.fromhex("551d13"), bytes.fromhex("551d0f")}

    def shape(data: bytes) -> list[Any]:
        return [element(tag, content) for tag, content in der_elements(data)]

    def element(tag: int, content: bytes) -> Any:
        if tag & 0x20:
            parts = der_elements(content)
            if parts and parts[0][0] == 0x06 and parts[-1][0] == 0x04:
                return extension(parts)
            return (tag, shape(content))
        if tag in (0x01, 0x06):
            return (tag, content.hex())
        return (tag, None)

    def extension(parts: list[tuple[int, bytes]]) -> Any:
        oid, value = parts[0][1], parts[-1][1]
        critical = [content for tag, content in parts if tag == 0x01]
        if oid in fixed_values:
            kept: Any = value.hex()
        elif oid in key_identifiers:
            kept = (shape(value), len(value))
        else:
            kept = shape(value)
        return ("extension", oid.hex(), critical, kept)

    return shape
