"""Policies: what the caller demands of the PCRs, as objects with one method.

Every customer's enclaves chain to the same AWS root. A document without a PCR policy
proves that *somebody* runs *some* enclave, so the verifier does not work without
one; `UnsafeSkipPcrs` says loudly that there is none.

Lessons from published verifiers that are built in here: an absent PCR matches
nothing, not even zeros (CVE-2025-64186); an all-zero expectation is refused because
it accepts every debug-mode enclave, or every unsigned image in PCR8; empty
combinators are refused because they are trivially true.

PCR 0, 1 and 2 hash plain concatenations, and bytes can move between neighbours without
changing one of them: pin all three. `SignedBy` alone accepts every image ever signed
with that key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, Self, runtime_checkable

from nitrosim.attestation.builds import read_builds
from nitrosim.attestation.errors import Code, PolicyError
from nitrosim.attestation.model import PCR_BYTES, ZERO_PCR, Claims

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PCR_INDEX: Final = 31

_INSTANCE_ID: Final = re.compile(r"i-[0-9a-f]{8,17}")
_ROLE_PCR: Final = 3
_INSTANCE_PCR: Final = 4
_SIGNER_PCR: Final = 8


@runtime_checkable
class Policy(Protocol):
    """What the caller demands of an authentic document."""

    def check(self, claims: Claims) -> None:
        """Return None when `claims` are acceptable; raise `PolicyError` otherwise.

        Called after chain, signature and time have been verified. Returning anything else is an
        `ExpectationError`: a verdict of False would otherwise pass for approval.
        """
        ...


def extended(value: bytes) -> bytes:
    """Return a zero PCR after one extension with `value`: SHA-384 of 48 zero bytes, then it."""
    return hashlib.sha384(ZERO_PCR + value).digest()


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class Pcrs:
    """Demands that each of the given PCRs is present and equal.

    Example::

        Pcrs({0: "5d4c...", 1: "52b9...", 2: "9d1f..."})

    Attributes:
        expected: index -> 48 bytes, read-only.

    """

    expected: Mapping[int, bytes]

    def __init__(self, expected: Mapping[int, bytes | str]) -> None:
        """Take index (0..31) -> value (48 bytes, or 96 hex digits).

        Raises `ExpectationError` for no PCR at all, a wrong index or length, an all-zero value.
        """
        if not expected:
            raise Code.EMPTY_POLICY("expected PCRs", got="none", expected="at least one")
        given: object = expected
        if not isinstance(given, Mapping):
            raise Code.PCR_EXPECTATION(
                "expected PCRs", got=type(given).__name__, expected="a mapping of index to value"
            )
        values = {index: _expected_pcr(index, value) for index, value in expected.items()}
        object.__setattr__(self, "expected", MappingProxyType(values))

    @classmethod
    def from_build(cls, output: str | bytes) -> Self:
        """Take what ``nitro-cli build-enclave`` or ``describe-eif`` prints: JSON with measurements.

        Demands PCR0, PCR1 and PCR2, and PCR8 when the image is signed. For several releases side
        by side see `AnyOf.from_builds`.

        Raises `ExpectationError` for anything else than that JSON, of one image.
        """
        builds = read_builds(output)
        if len(builds) != 1:
            raise Code.PCR_EXPECTATION(
                "build output", got=f"{len(builds)} images", expected="one; AnyOf.from_builds"
            )
        return cls(builds[0])  # type: ignore[arg-type]  # the values are checked there

    def check(self, claims: Claims) -> None:
        """Compare every expected PCR. Raises `PolicyError`."""
        for index, expected in self.expected.items():
            actual = claims.pcrs.get(index)
            if actual is None:
                present = ", ".join(map(str, claims.pcrs))
                raise Code.PCR_ABSENT(f"PCR{index}", got=f"only {present}", expected=expected)
            if not hmac.compare_digest(actual, expected):
                got = actual.hex()
                if claims.debug and index in {0, 1, 2, _SIGNER_PCR} and actual == ZERO_PCR:
                    got = f"{got} (debug mode)"
                raise Code.PCR_MISMATCH(f"PCR{index}", got=got, expected=expected)

    def __repr__(self) -> str:
        values = ", ".join(f"{i}: {v.hex()!r}" for i, v in self.expected.items())
        return f"{type(self).__name__}({{{values}}})"


class SignedBy(Pcrs):
    """Demands an image signed with the certificate that gives this PCR8.

    Says nothing about which image: old and vulnerable ones signed with that key pass.
    """

    __slots__ = ()

    def __init__(self, pcr8: bytes | str) -> None:
        """Take PCR8 as ``nitro-cli pcr --signing-certificate`` prints it (48 bytes or hex)."""
        super().__init__({_SIGNER_PCR: pcr8})


class InstanceRole(Pcrs):
    """Demands that the parent instance has this IAM role (PCR3).

    The form of the ARN is ``arn:aws:iam::<account>:role/<name>`` (AWS user guide).
    """

    __slots__ = ()

    def __init__(self, arn: str) -> None:
        """Take the ARN; raises `ExpectationError` when it is not a role's."""
        text: object = arn
        if not isinstance(text, str) or not text.startswith("arn:") or ":role/" not in text:
            raise Code.PCR_EXPECTATION(
                "role", got=repr(arn), expected="arn:aws:iam::<account>:role/<name>"
            )
        super().__init__({_ROLE_PCR: extended(arn.encode())})


class Instance(Pcrs):
    """Demands this parent instance (PCR4), by its id ``i-<hex>``."""

    __slots__ = ()

    def __init__(self, instance_id: str) -> None:
        """Take the EC2 instance id; raises `ExpectationError` for another kind of id."""
        text: object = instance_id
        if not isinstance(text, str) or not _INSTANCE_ID.fullmatch(text):
            raise Code.PCR_EXPECTATION(
                "instance id", got=repr(text), expected="i-<8 to 17 hex digits, lower case>"
            )
        super().__init__({_INSTANCE_PCR: extended(instance_id.encode())})


@dataclass(frozen=True, slots=True, init=False, eq=False)
class AllOf:
    """Demands everything that each of the given policies demands."""

    policies: Sequence[Policy]

    def __init__(self, *policies: Policy) -> None:
        """Take one or more policies. Raises `ExpectationError` for none."""
        object.__setattr__(self, "policies", _some(policies))

    def check(self, claims: Claims) -> None:
        """Check each policy in order. Raises what the first refusing one raises."""
        for policy in self.policies:
            apply_policy(policy, claims)


@dataclass(frozen=True, slots=True, init=False, eq=False)
class AnyOf:
    """Demands what at least one of the given policies demands: releases side by side."""

    policies: Sequence[Policy]

    def __init__(self, *policies: Policy) -> None:
        """Take one or more policies. Raises `ExpectationError` for none."""
        object.__setattr__(self, "policies", _some(policies))

    @classmethod
    def from_builds(cls, *outputs: str | bytes) -> Self:
        """Demand one of several releases, each as a whole: for the time of a rolling upgrade.

        Takes what builders print, as `Pcrs.from_build` does, of one image each or of several:
        an array of such objects, or objects one behind the other.

        Raises `ExpectationError` for no output and for anything else than that JSON.
        """
        builds = [build for output in outputs for build in read_builds(output)]
        return cls(*(Pcrs(build) for build in builds))  # type: ignore[arg-type]  # checked there

    def check(self, claims: Claims) -> None:
        """Return at the first policy that accepts. Raises `PolicyError` when none does."""
        reasons: list[str] = []
        for policy in self.policies:
            try:
                apply_policy(policy, claims)
            except PolicyError as error:
                reasons.append(f"{error.code} {error.what}")
            else:
                return
        raise Code.NO_ALTERNATIVE(
            "policies", got="; ".join(reasons), expected=f"one of {len(self.policies)} to accept"
        )


@dataclass(frozen=True, slots=True)
class UnsafeSkipPcrs:
    """Demands nothing: accepts any enclave of any AWS customer, except in debug mode."""

    def check(self, claims: Claims) -> None:
        """Accept."""


def require_policy(policy: object) -> None:
    """Raise `ExpectationError` unless `policy` is one. None and a bare dict are not."""
    # A class has the method too, but it is not a policy until it has been called. (isinstance
    # with a protocol means the same and takes twenty times as long.)
    if isinstance(policy, type) or not callable(getattr(policy, "check", None)):
        raise Code.NO_POLICY(
            "PCR policy",
            got=repr(policy),
            expected="a policy such as Pcrs({0: ..., 1: ..., 2: ...})",
        )


def apply_policy(policy: Policy, claims: Claims) -> None:
    """Let a policy check; raise what it raises, and `ExpectationError` if it returns a verdict."""
    verdict: object = policy.check(claims)  # type: ignore[func-returns-value]  # that is the point
    if verdict is not None:
        raise Code.NO_POLICY(
            f"{type(policy).__name__}.check",
            got=f"{type(verdict).__name__} returned",
            expected="None, or PolicyError raised",
        )


def _some(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    if not policies:
        raise Code.EMPTY_POLICY("combined policies", got="none", expected="at least one")
    for policy in policies:
        require_policy(policy)
    return policies


def _expected_pcr(index: object, value: object) -> bytes:
    if type(index) is not int or not 0 <= index <= MAX_PCR_INDEX:
        raise Code.PCR_EXPECTATION(
            "index of an expected PCR", got=repr(index), expected=f"0 to {MAX_PCR_INDEX}"
        )
    name = f"expected PCR{index}"
    if isinstance(value, str):
        try:
            value = bytes.fromhex(value)
        except ValueError as error:
            raise Code.PCR_EXPECTATION(name, got=repr(value), expected="hex digits") from error
    if not isinstance(value, bytes) or len(value) != PCR_BYTES:
        got = f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__
        raise Code.PCR_EXPECTATION(name, got=got, expected=f"{PCR_BYTES} bytes")
    if value == ZERO_PCR:
        raise Code.ZERO_EXPECTATION(
            f"{name} (would accept every debug-mode or unsigned enclave)",
            got="all zero",
            expected="a measurement",
        )
    return value
